//! Scenarios that are read, and those that are refused.

use proptest::prelude::*;

use super::*;

#[test]
fn every_shipped_scenario_can_be_read() {
    for Shipped { name, text } in shipped() {
        let scenario = Scenario::read(name, text).unwrap();
        assert_ne!(
            scenario.about,
            Scenario::default().about,
            "{name} says what it is about"
        );
    }
}

#[test]
fn each_refusal_names_its_field_and_the_way_out() {
    let refused = |text: &str| Scenario::read("mine.toml", text).unwrap_err().to_string();
    assert_eq!(refused("gpus = 0"), "gpus is 0: 1 to 2000000 is expected");
    assert_eq!(
        refused("days = 9999"),
        "days is 9999: 1 to 3660 is expected"
    );
    assert!(refused("gpu = 5").contains("unknown field `gpu`"));
    assert!(refused("[failures]\nrestarts = 1.5").contains("1.5 is no share: 0 to 1 is expected"));
    assert!(refused("[failures]\ngpu_hours = nan").contains("failures.gpu_hours is NaN"));
    assert!(refused("[pace]\nstart = \"soon\"").contains("`soon` is no length of time"));
    assert!(refused("[demand]\nload = 0.99").contains("demand.load is 0.99: at most 0.95"));
    assert!(refused("[demand]\nstandard = 0.9\nenterprise = 0.9").contains("make up"));
    assert!(refused("[demand]\nservices = []").contains("demand.services is none"));
    assert!(refused("days = 1\ncalm = \"2days\"").contains("calm is 172800.000 s: shorter than"));
    assert!(refused("[outages]\nper_group_year = 1.0").contains("outages.group_sites is 0"));
    assert!(refused("[wires]\nlost = 0.1").contains("only where wires.every_report is true"));
    assert!(refused("[clocks]\ndrift_ppm = 200000").contains("clocks.drift_ppm is 200000"));
    assert!(refused("[demand]\norders_per_day = -1.0").contains("demand.orders_per_day is -1"));
    assert!(refused("[demand]\nspare = 4294967295").contains("demand.spare with services.needs"));
    assert!(refused("[wires]\nlate = \"1000000years\"").contains("at most a hundred years"));
    assert!(refused("= 1").starts_with("mine.toml: TOML parse error at line 1"));
}

/// Rates at which a run would not come to an end.
#[test]
fn what_comes_too_often_is_refused_with_its_bound() {
    for (text, expected) in [
        (
            "[control]\nper_year = 1e12",
            "control.per_year is 1000000000000.0: at most 100000",
        ),
        (
            "[failures]\ngpu_hours = 1e-300",
            "failures.gpu_hours is 1e-300: 0, which is never, or at least 1",
        ),
        (
            "[failures]\nfreeze_node_hours = 1e-9",
            "failures.freeze_node_hours is 1e-9: 0, which is never, or at least 0.1",
        ),
        (
            "[outages]\nper_site_year = 1e9",
            "outages.per_site_year is 1000000000.0: at most 100000",
        ),
        (
            "[outages]\ngroup_sites = 2\nper_group_year = 1e9",
            "outages.per_group_year is 1000000000.0: at most 100000",
        ),
        (
            "[gateways]\ncount = 1\nper_year = 1e9",
            "gateways.per_year is 1000000000.0: at most 100000",
        ),
        (
            "[gateways]\nlate = \"1h\"",
            "gateways.late is 1h: at most 1m",
        ),
        (
            "[gateways]\ncount = 1\n[wires]\nlost = 1\nevery_report = true",
            "wires.lost is 1: at most 0.9 where there are gateways",
        ),
        ("[wires]\nlate = \"1h\"", "wires.late is 1h: at most 1m"),
        (
            "[clocks]\nstep_node_hours = 1e-9",
            "clocks.step_node_hours is 1e-9: 0, which is never, or at least 0.1",
        ),
        (
            "[clocks]\ncontrol_steps_per_day = 1e9",
            "clocks.control_steps_per_day is 1000000000.0: at most 1440",
        ),
        (
            "[clocks]\nset_every = \"1ms\"",
            "clocks.set_every is 1ms: 0s, which is never, or at least 1m",
        ),
        (
            "[clocks]\noff = \"1y\"",
            "clocks.off is 1year: at most 1day",
        ),
        (
            "[clocks]\ncontrol_off = \"1y\"",
            "clocks.control_off is 1year: at most 1day",
        ),
        (
            "[demand]\nlifetime = \"1ms\"",
            "demand.lifetime is 1ms: at least 1m",
        ),
        (
            "[demand]\nscales_per_day = 1e6",
            "demand.scales_per_day is 1000000.0: at most 10000",
        ),
        (
            "[demand]\norders_per_day = 1e6",
            "demand.orders_per_day is 1000000.0: at most 10000",
        ),
        (
            "[demand]\nreservations_per_day = 1e6",
            "demand.reservations_per_day is 1000000.0: at most 10000",
        ),
        (
            "[policy]\nplan_every = \"1ms\"",
            "policy.plan_every is 1ms: 0s, which is never, or at least 1m",
        ),
        (
            "[policy]\nrepack_every = \"1ms\"",
            "policy.repack_every is 1ms: 0s, which is never, or at least 1m",
        ),
        (
            "[policy]\nslice = \"1ms\"",
            "policy.slice is 1ms: at least 1m",
        ),
        (
            "[policy]\ntranche_ttl = \"1ms\"",
            "policy.tranche_ttl is 1ms: at least 1m",
        ),
    ] {
        let refused = Scenario::read("mine.toml", text).unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{text}: {refused}");
    }
}

#[test]
fn a_policy_that_the_network_would_not_take_is_no_scenario() {
    for (text, expected) in [
        (
            "slice = \"0s\"",
            "policy.slice is 0s, and policy.lease_term 30days: a time above zero is expected",
        ),
        (
            "slice = \"90y\"",
            "policy.slice is 90years, and policy.lease_term 30days: a slice is no longer",
        ),
        (
            "lease_term = \"0s\"",
            "policy.slice is 1day, and policy.lease_term 0s: a slice is no longer than the lease term",
        ),
    ] {
        let text = format!("[policy]\n{text}");
        let refused = Scenario::read("mine.toml", &text).unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{text}: {refused}");
    }
}

#[test]
fn what_would_come_after_the_run_is_refused_with_the_days_that_it_needs() {
    let refused = |text: &str, days| {
        let mut scenario = Scenario::unchecked("mine.toml", text).unwrap();
        scenario.days = days;
        scenario.checked().unwrap_err()
    };
    let needed = |error: &ScenarioError| match error {
        ScenarioError::Late { needs_days, .. } => *needs_days,
        _ => panic!("{error}"),
    };
    for name in ["exit", "big-exit", "price-shock", "region-cut"] {
        let shipped = shipped().iter().find(|shipped| shipped.name == name);
        let error = refused(shipped.unwrap().text, 2);
        let list = if name == "region-cut" {
            "cuts"
        } else {
            "exits"
        };
        assert_eq!(
            error.to_string(),
            format!("{list}[0].after is 10days, and the run lasts 2 days: it would never happen")
        );
        assert_eq!(needed(&error), Some(11), "{name}");
    }
    let two = "calm = \"1h\"\n[[exits]]\nafter = \"1h\"\nshare = 0.1\n[[exits]]\nafter = \"23h\"\nshare = 0.1\n";
    let error = refused(two, 1);
    assert_eq!(
        error.to_string(),
        "exits[1].after is 23h, and the run lasts 1 day, the last 1h of it calm: it would never happen"
    );
    assert_eq!(needed(&error), Some(2));
    let never = refused(
        "[[cuts]]\nafter = \"90y\"\nlength = \"1h\"\nradius_km = 9\n",
        3_660,
    );
    assert_eq!(needed(&never), None, "{never}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _answer = Scenario::read("any", &text);
    }

    #[test]
    fn any_value_is_read_or_refused(
        field in proptest::sample::select(vec!["gpus", "days", "failures.gpu_hours", "demand.load", "pace.start", "cuts"]),
        value in "[-+.0-9a-z\"\\[\\]]{0,12}",
    ) {
        let _answer = Scenario::read("any", &format!("{field} = {value}"));
    }
}
