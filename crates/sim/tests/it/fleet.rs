//! Service levels of networks of some thousand GPUs, over days.

use remuda_sim::availability::Availability;
use remuda_sim::cities::{parse_cities, parse_round_trips};
use remuda_sim::requests::requests;
use remuda_sim::run::{Cause, Delivered, Detection, Inputs, Outcome, Requests, Simulation};
use remuda_sim::scenario::{Chance, Factor, Length, Scenario};
use remuda_types::{Money, Span, Tier};

use super::{run, scenario};

/// The scenario in a network with as many sites as the world has, each a tenth of the size.
fn small(name: &str, days: u64) -> Scenario {
    let mut scenario = scenario(name);
    (scenario.gpus, scenario.site_gpus, scenario.days) = (6_000, 100, days);
    scenario
}

fn down_ms(outcome: &Outcome, tier: Tier, cause: Cause) -> u64 {
    let delivered = outcome.of(tier);
    delivered
        .tally
        .down_ms
        .get(&cause)
        .copied()
        .unwrap_or_default()
}

#[test]
fn multi_site_keeps_its_promise_where_ten_times_as_much_fails() {
    let outcome = run(small("ten-times-worse", 10), 1).unwrap();
    assert!(outcome.nodes_lost > 200, "{}", outcome.nodes_lost);
    let delivered = outcome.of(Tier::MultiSite);
    assert!(delivered.failovers > 100, "{}", delivered.failovers);
    assert!(
        delivered.tally.availability() >= 0.9999,
        "{:?}",
        delivered.tally
    );
    assert!(outcome.of(Tier::Standard).tally.up_ms > 0);
}

#[test]
fn the_timings_of_others_keep_replicas_down_for_longer() {
    let of = |detection| {
        let mut scenario = small("ten-times-worse", 3);
        (scenario.detection, scenario.demand.load) = (detection, Chance(0.5));
        let outcome = run(scenario, 2).unwrap();
        let failovers = outcome.of(Tier::Standard).failovers;
        assert!(failovers > 20, "{failovers}");
        down_ms(&outcome, Tier::Standard, Cause::Node) / failovers
    };
    let (ours, minute) = (of(Detection::Remuda), of(Detection::Minute));
    let kubernetes = of(Detection::Kubernetes);
    assert!(
        ours < 25_000 && minute > ours + 50_000 && kubernetes > minute + 200_000,
        "{ours} ms, {minute} ms, {kubernetes} ms for each failover"
    );
}

#[test]
fn who_leaves_without_notice_pays_and_who_gives_it_does_not() {
    let mut scenario = small("exit", 12);
    scenario.exits[0].silent = Chance(0.0);
    let outcome = run(scenario.clone(), 3).unwrap();
    assert!(outcome.forfeits > 0 && outcome.forfeited > Money::ZERO);
    scenario.exits[0].notice = Chance(1.0);
    let outcome = run(scenario, 3).unwrap();
    assert_eq!((outcome.forfeits, outcome.forfeited), (0, Money::ZERO));
    assert!(
        outcome.of(Tier::Standard).moves > 0,
        "leases move away from who leaves"
    );
}

#[test]
fn one_provider_of_several_sites_leaves_in_one_command() {
    let mut scenario = small("big-exit", 12);
    let outcome = run(scenario.clone(), 3).unwrap();
    let lost = |outcome: &Outcome| outcome.by_day.iter().map(|day| day.leases_lost).max();
    assert!(lost(&outcome) > Some(100), "{:?}", outcome.by_day);
    assert_eq!((outcome.forfeits, outcome.silent_exits), (1, 0));
    // Every lease that it broke has another node, but for those that only its sites would do for.
    let replaced = outcome.of(Tier::MultiSite).failovers;
    assert!(replaced > 20, "{replaced}");
    scenario.exits[0].silent = Chance(1.0);
    let outcome = run(scenario, 3).unwrap();
    assert!(lost(&outcome) > Some(100), "{:?}", outcome.by_day);
    assert_eq!((outcome.forfeits, outcome.silent_exits), (0, 1));
}

#[test]
fn whoever_leaves_without_a_word_is_found_out() {
    let scenario = small("exit", 12);
    let outcome = run(scenario, 3).unwrap();
    assert!(outcome.silent_exits > 0);
    assert!(down_ms(&outcome, Tier::Standard, Cause::Exit) > 0);
    let replaced = outcome.of(Tier::MultiSite).failovers;
    assert!(replaced > 5, "{replaced}");
    // The network sees nodes that are lost and no provider that left: nobody forfeits for that yet.
    assert_eq!((outcome.forfeits, outcome.forfeited), (0, Money::ZERO));
}

#[test]
fn what_is_redundant_costs_what_it_costs() {
    let outcome = run(small("calm", 3), 4).unwrap();
    let delivered = outcome.delivered.iter();
    let multi_site = delivered.filter(|(kind, _)| kind.tier == Tier::MultiSite);
    for (kind, delivered) in multi_site {
        let (ratio, needed) = (delivered.cost_ratio().unwrap(), f64::from(kind.needed));
        assert!(
            ratio > (needed + 1.0) / needed - 0.01 && ratio < 2.5,
            "{kind:?}: {ratio}"
        );
    }
    let mut large = Delivered::default();
    let of_twelve = outcome
        .delivered
        .iter()
        .filter(|(kind, _)| kind.needed >= 12);
    of_twelve.for_each(|(_, delivered)| large.add(delivered));
    let ratio = large.cost_ratio().unwrap();
    assert!(
        ratio <= 1.10,
        "services of twelve replicas and more: {ratio}"
    );
    let single = outcome.of(Tier::Enterprise).cost_ratio().unwrap();
    assert!((0.99..1.01).contains(&single), "{single}");
}

#[test]
fn a_region_that_is_cut_off_is_told_from_what_else_befalls() {
    let mut scenario = small("region-cut", 11);
    scenario.cuts[0].radius_km = 5_000;
    let outcome = run(scenario, 5).unwrap();
    assert!(down_ms(&outcome, Tier::Standard, Cause::Region) > 0);
    assert_eq!(down_ms(&outcome, Tier::Standard, Cause::Site), 0);
}

#[test]
fn a_trace_takes_nodes_away_and_gives_them_back() {
    let trace = br#"{"metadata":{"gap_seconds":21600},"data":[4,4,3,4]}"#;
    let trace = Availability::read("drawn", trace).unwrap();
    let mut scenario = small("calm", 2);
    (scenario.failures.gpu_hours, scenario.demand.load) = (0.0, Chance(0.5));
    let inputs = Inputs {
        traces: vec![trace],
        ..Inputs::default()
    };
    let outcome = Simulation::new(scenario, 6, inputs).unwrap();
    let outcome = outcome.run(|_| ()).unwrap();
    assert!(outcome.nodes_lost > 100, "{}", outcome.nodes_lost);
    assert!(down_ms(&outcome, Tier::Standard, Cause::Trace) > 0);
    assert_eq!(down_ms(&outcome, Tier::Standard, Cause::Node), 0);
}

#[test]
fn sites_stand_in_the_cities_that_are_given() {
    let cities = parse_cities(b"city,Lat,Long,Population\nSeoul,37.5,127,10\nBusan,35,129,4\n");
    let inputs = Inputs {
        cities: cities.unwrap(),
        ..Inputs::default()
    };
    let mut scenario = small("region-cut", 11);
    scenario.cuts[0].radius_km = 600;
    let outcome = Simulation::new(scenario, 5, inputs).unwrap();
    let outcome = outcome.run(|_| ()).unwrap();
    // Both cities lie within the radius, so the whole network was cut off.
    assert!(
        outcome.node_faults > outcome.nodes as u64,
        "{}",
        outcome.node_faults
    );
}

const MINUTES: Span = Span::from_secs(300);

#[test]
fn what_was_learned_of_sites_that_share_a_fate_keeps_services_up() {
    let down = |kin_lift_milli| {
        let mut scenario = small("shared-fate", 120);
        (scenario.gpus, scenario.site_gpus) = (2_100, 70);
        (scenario.outages.per_group_year, scenario.outages.length) = (36.0, Length(MINUTES));
        let demand = &mut scenario.demand;
        (demand.load, demand.multi_site) = (Chance(0.5), Chance(1.0));
        (demand.standard, demand.enterprise) = (Chance(0.0), Chance(0.0));
        demand.services.retain(|mix| mix.needs <= 4);
        scenario.policy.slice = Some(Length(Span::from_secs(30 * 86_400)));
        scenario.policy.kin_lift_milli = kin_lift_milli;
        let outcome = run(scenario, 7).unwrap();
        assert!(outcome.node_faults > 1_000, "{}", outcome.node_faults);
        down_ms(&outcome, Tier::MultiSite, Cause::Site)
    };
    let (learned, blind) = (down(None), down(Some(0)));
    assert!(learned * 2 < blind, "{learned} ms beside {blind} ms");
}

/// So small that every promise is checked every minute, with nodes that sleep while all is well.
#[test]
fn every_promise_holds_where_nodes_sleep_while_all_is_well() {
    for seed in 1..=3 {
        let mut scenario = scenario("ten-times-worse");
        (scenario.gpus, scenario.site_gpus, scenario.days) = (1_000, 40, 2);
        scenario.demand.lifetime = Length(Span::from_secs(1_200));
        let outcome = run(scenario, seed).unwrap_or_else(|failure| {
            panic!("{failure}: {}", failure.broken);
        });
        assert!(outcome.nodes_lost > 5, "{}", outcome.nodes_lost);
    }
}

/// What others notice later may be charged for longer, and for no longer than that.
#[test]
fn every_promise_holds_where_others_judge_the_nodes() {
    for detection in [Detection::Kubernetes, Detection::Minute] {
        for seed in 1..=3 {
            let mut scenario = scenario("ten-times-worse");
            (scenario.gpus, scenario.site_gpus, scenario.days) = (1_000, 50, 1);
            scenario.detection = detection;
            let outcome = run(scenario, seed).unwrap_or_else(|failure| {
                panic!("{detection:?}, {failure}: {}", failure.broken);
            });
            let suspected = outcome.nodes_suspected + outcome.nodes_lost;
            assert!(suspected > 0);
        }
    }
}

/// A lease that gives way or is settled in the seconds in which its node is dead and not missed yet is
/// charged for them.
#[test]
fn every_promise_holds_where_leases_end_before_their_node_is_missed() {
    let failures = "gpus = 300\ndays = 1\nsite_gpus = 50\n[failures]\ngpu_hours = 3\nrestart = \"1m\"\nrestarts = 1\n";
    let settled = format!("{failures}[policy]\nslice = \"1m\"\n");
    let brief = format!("{failures}[demand]\nlifetime = \"1h\"\n");
    for (text, detection) in [
        (failures, Detection::Remuda),
        (&brief, Detection::Remuda),
        (&settled, Detection::Remuda),
        (&settled, Detection::Kubernetes),
    ] {
        for seed in [2, 3, 12] {
            let mut scenario = Scenario::read("restarts", text).unwrap();
            scenario.detection = detection;
            let outcome = run(scenario, seed).unwrap_or_else(|failure| {
                panic!("{text}{detection:?}, {failure}: {}", failure.broken);
            });
            assert!(outcome.node_faults > 100, "{}", outcome.node_faults);
        }
    }
}

/// Nodes fail and come back: what was placed elsewhere meanwhile finds a better place again.
#[test]
fn every_promise_holds_while_replicas_move_to_where_they_cost_less() {
    let mut scenario = scenario("ten-times-worse");
    (scenario.gpus, scenario.site_gpus, scenario.days) = (1_000, 40, 2);
    scenario.demand.load = Chance(0.6);
    scenario.policy.repack_every = Some(Length(Span::from_secs(600)));
    let outcome = run(scenario, 4).unwrap_or_else(|failure| {
        panic!("{failure}: {}", failure.broken);
    });
    let tiers = [Tier::Standard, Tier::Enterprise, Tier::MultiSite];
    let moves: u64 = tiers.iter().map(|tier| outcome.of(*tier).moves).sum();
    assert!(moves > 10, "{moves}");
    for tier in tiers {
        assert_eq!(down_ms(&outcome, tier, Cause::Move), 0, "{tier}");
    }
}

#[test]
fn a_control_that_is_replaced_and_clocks_that_are_set_end_nothing() {
    let mut scenario = small("calm", 3);
    (scenario.gpus, scenario.days) = (1_000, 3);
    (scenario.failures.gpu_hours, scenario.control.per_year) = (0.0, 1_000.0);
    scenario.control.down = Length(Span::from_secs(2));
    scenario.clocks.off = Length(Span::from_secs(1));
    scenario.clocks.step_node_hours = 24.0;
    scenario.policy.lease_term = Some(Length(Span::from_secs(26 * 3_600)));
    let outcome = run(scenario, 8).unwrap();
    assert!(outcome.control_faults > 3, "{}", outcome.control_faults);
    for tier in [Tier::MultiSite, Tier::Enterprise, Tier::Standard] {
        let delivered = outcome.of(tier);
        // A node whose clock is ahead vouches for less than it served: what came up less than that
        // before control went is believed anew.
        let ahead_ms = 1_000 * outcome.control_faults;
        let all_ms = delivered.tally.all_down_ms();
        assert!(all_ms <= ahead_ms, "{tier}: {:?}", delivered.tally);
        assert_eq!(all_ms, down_ms(&outcome, tier, Cause::Suspicion), "{tier}");
    }
}

#[test]
fn the_farther_a_node_the_later_it_is_heard() {
    let cities = b"city,Lat,Long,Population\nSeoul,37.5,127,10\nBusan,35,129,4\n";
    let cities = parse_cities(cities).unwrap();
    // Where replicas find room differs from run to run by more than the wires do.
    let each_ms = |ms: u32| {
        let (mut down_ms, mut failovers) = (0, 0);
        for seed in 5..13 {
            let trips = format!("from_city,to_city_country_continent,avg_ms\nSeoul,Busan,{ms}\n");
            let trips = parse_round_trips(trips.as_bytes(), &cities).unwrap();
            let mut scenario = small("ten-times-worse", 4);
            scenario.demand.load = Chance(0.5);
            scenario.pace.prepare_sigma = Factor(0.0);
            let inputs = Inputs {
                cities: cities.clone(),
                round_trips: Some(trips),
                ..Inputs::default()
            };
            let run = Simulation::new(scenario, seed, inputs).unwrap();
            let delivered = run.run(|_| ()).unwrap().of(Tier::Standard);
            let down = delivered.tally.down_ms.get(&Cause::Node);
            down_ms += down.copied().unwrap_or_default();
            failovers += delivered.failovers;
        }
        down_ms / failovers
    };
    let (near, far) = (each_ms(12), each_ms(600));
    assert!(far > near + 100, "{near} ms, {far} ms for each failover");
}

/// What comes of a trace of requests in a small network where nothing else happens.
fn of_trace(gateways: u32, lines: impl Iterator<Item = String>) -> Requests {
    let mut scenario = scenario("published");
    (scenario.gpus, scenario.site_gpus, scenario.days) = (400, 20, 1);
    scenario.gateways.count = gateways;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.csv");
    let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n".to_owned() + &lines.collect::<String>();
    std::fs::write(&file, text).unwrap();
    let inputs = Inputs {
        requests: Some(requests(&file).unwrap()),
        ..Inputs::default()
    };
    let run = Simulation::new(scenario, 5, inputs).unwrap();
    run.run(|_| ()).unwrap().requests
}

#[test]
fn requests_come_as_a_trace_has_them() {
    let lines = (0..60).map(|minute| format!("2023-11-16 18:{minute:02}:46.6805900,374,44\n"));
    let came = of_trace(2, lines);
    // One a minute, but before there is anything to ask.
    assert!((1_200..=1_470).contains(&came.came), "{came:?}");
    assert_eq!(came.served, came.came, "{came:?}");
    let each = (374 + 3 * 44) * (came.served - 5)..=(374 + 3 * 44) * came.served;
    let posted = u64::try_from(came.posted.as_micros()).unwrap();
    assert!(each.contains(&posted), "{came:?}");
}

#[test]
fn more_requests_than_slots_are_crowded_out_and_not_counted_as_failed() {
    // At noon 600 at once, each at work for a minute and a half; a request waits for half a minute.
    let noon = (0..600).map(|_| "2023-11-16 12:00:00,10,1800\n");
    let lines = ["2023-11-16 00:00:00,10,1\n"].into_iter().chain(noon);
    let lines = lines
        .chain(["2023-11-18 00:00:00,10,1\n"])
        .map(str::to_owned);
    let came = of_trace(1, lines);
    assert!(came.overloaded > 100, "{came:?}");
    assert!(came.served > 100, "{came:?}");
    assert_eq!(came.failed_though_served, 0, "{came:?}");
}
