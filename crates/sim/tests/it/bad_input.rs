//! What cannot be: answered with a reason that names it, whatever the size of the number.

use remuda_network::command::EnrolNode;
use remuda_network::ledger::Rail;
use remuda_network::network::Decision;
use remuda_network::placement::Request;
use remuda_network::state::{Near, Terms};
use remuda_network::{Command, Event, Network, Refusal, invariant};
use remuda_sim::run::{Inputs, Simulation};
use remuda_sim::scenario::Scenario;
use remuda_types::{
    Capacity, CommandId, Country, Entropy, Label, Money, NodeKey, Place, Price, ProjectId,
    ProviderId, Shape, SiteId, TenantId, Tier, Time, Together, WorkloadKind,
};

/// A network with one provider, one site and one project with money.
struct Small {
    network: Network,
    commands: u8,
    provider: ProviderId,
    site: SiteId,
    project: ProjectId,
}

const NOW: Time = Time::from_millis(1_700_000_000_000);
const RICH: Money = Money::from_micros(1 << 60);

impl Small {
    fn new() -> Self {
        let mut small = Self {
            network: Network::default(),
            commands: 0,
            provider: ProviderId::from_u128(0),
            site: SiteId::from_u128(0),
            project: ProjectId::from_u128(0),
        };
        let label = Label([1; 16]);
        small.run(&Command::RegisterProvider { label }).unwrap();
        let state = |small: &Self| small.network.state().clone();
        small.provider = *state(&small).providers.keys().next().unwrap();
        small.run(&small.bond(RICH)).unwrap();
        let command = Command::RegisterSite {
            provider: small.provider,
            label,
            country: Country::UNKNOWN,
            place: Place::ORIGIN,
        };
        small.run(&command).unwrap();
        small.site = *state(&small).sites.keys().next().unwrap();
        small.run(&Command::CreateTenant { label }).unwrap();
        let tenant: TenantId = *state(&small).tenants.keys().next().unwrap();
        let (amount, rail) = (RICH, Rail::Bank);
        let top_up = Command::TopUp {
            tenant,
            amount,
            rail,
        };
        small.run(&top_up).unwrap();
        small
            .run(&Command::CreateProject { tenant, label })
            .unwrap();
        small.project = *state(&small).projects.keys().next().unwrap();
        let project = small.project;
        small.run(&Command::FundBudget { project, amount }).unwrap();
        small
    }

    fn bond(&self, amount: Money) -> Command {
        Command::DepositBond {
            provider: self.provider,
            amount,
            rail: Rail::Bank,
        }
    }

    /// What comes of a command; the network's invariants hold after it.
    fn run(&mut self, command: &Command) -> Result<Vec<Event>, Refusal> {
        self.commands += 1;
        let id = CommandId::new(NOW, Entropy([self.commands; 10]));
        let decided = self.network.decide(NOW, id, command);
        let decided = decided.map_err(|refusal| self.network.explain(refusal))?;
        let Decision::New(events) = decided else {
            panic!("an id is used once");
        };
        self.network.commit(NOW, id, &events);
        invariant::check(&self.network).unwrap();
        Ok(events)
    }

    fn enrol(&mut self, key: u8, capacity: Capacity, micros: u64) -> Result<Vec<Event>, Refusal> {
        let node = NodeKey([key; 32]);
        let enrolled = self.run(&Command::EnrolNode(Box::new(EnrolNode {
            node,
            provider: self.provider,
            site: self.site,
            class: "h100-sxm-80".parse().unwrap(),
            capacity,
            price: Price::from_micros_per_hour(micros),
        })))?;
        self.run(&Command::NodeConnected { node, capacity })?;
        Ok(enrolled)
    }

    fn deploy(&mut self, shape: Shape, replicas: u32) -> Result<Vec<Event>, Refusal> {
        let terms = Terms {
            kind: WorkloadKind::Service,
            label: Label([self.commands; 16]),
            spec: Label::default(),
            tier: Tier::Standard,
            shape,
            classes: Vec::new(),
            countries: Vec::new(),
            max_price: None,
            near: None::<Near>,
            tokens: None,
            model: None,
            together: Together::default(),
            max_owner_share: None,
            max_site_share: None,
        };
        self.run(&Command::Deploy {
            project: self.project,
            terms: Box::new(terms),
            replicas,
        })
    }
}

const NODE: Capacity = Capacity {
    gpus: 8,
    gpu_memory_mib: 81_920,
    cpu_milli: 128_000,
    memory_mib: 1 << 20,
    disk_mib: 1 << 22,
};

const ONE_GPU: Shape = Shape {
    gpu_milli: 1_000,
    cpu_milli: 4_000,
    memory_mib: 16_384,
    gpu_memory_mib: 0,
    disk_mib: 0,
};

#[test]
fn a_network_without_nodes_and_a_node_without_gpus_say_what_is_missing() {
    let mut small = Small::new();
    let empty = small.deploy(ONE_GPU, 1).unwrap_err();
    assert!(matches!(empty, Refusal::NoCapacity(_)), "{empty}");
    let none = Capacity { gpus: 0, ..NODE };
    let enrolled = small.enrol(1, none, 1_000_000);
    let deployed = small.deploy(ONE_GPU, 1).unwrap_err();
    assert!(
        matches!(deployed, Refusal::NoCapacity(_)),
        "{enrolled:?} {deployed}"
    );
    let nothing = Capacity::default();
    let refused = small.enrol(2, nothing, 1_000_000).unwrap_err();
    assert!(refused.to_string().contains("capacity"), "{refused}");
}

#[test]
fn what_no_node_could_hold_is_refused_with_what_eliminated_how_many() {
    let mut small = Small::new();
    small.enrol(1, NODE, 1_000_000).unwrap();
    let shapes = [
        Shape {
            gpu_milli: 9_000,
            ..ONE_GPU
        },
        Shape {
            cpu_milli: u64::MAX,
            ..ONE_GPU
        },
        Shape {
            memory_mib: u64::MAX,
            ..ONE_GPU
        },
        Shape {
            gpu_memory_mib: 1 << 63,
            ..ONE_GPU
        },
        Shape {
            disk_mib: u64::MAX,
            ..ONE_GPU
        },
        Shape {
            gpu_milli: u64::MAX,
            ..ONE_GPU
        },
        Shape {
            gpu_milli: 1_500,
            ..ONE_GPU
        },
        Shape::default(),
    ];
    for shape in shapes {
        let refused = small.deploy(shape, 1).unwrap_err();
        let typed = matches!(
            refused,
            Refusal::NoCapacity(_) | Refusal::Request(_) | Refusal::Invalid { .. }
        );
        assert!(typed, "{shape:?}: {refused}");
        assert!(refused.to_string().len() > 10, "{refused}");
    }
    let gang = small.deploy(ONE_GPU, 9).unwrap_err();
    assert!(matches!(gang, Refusal::NoCapacity(_)), "{gang}");
    for replicas in [8_193, u32::MAX] {
        let gang = small.deploy(ONE_GPU, replicas).unwrap_err();
        assert!(gang.to_string().contains("max_replicas"), "{gang}");
    }
    small.deploy(ONE_GPU, 8).unwrap();
}

#[test]
fn prices_of_nothing_and_of_more_than_there_is_are_taken_or_refused() {
    for micros in [0, 1, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX] {
        let mut small = Small::new();
        let enrolled = small.enrol(1, NODE, micros);
        match &enrolled {
            Ok(_) => {
                // Whoever can pay the first slice gets it.
                let deployed = small.deploy(ONE_GPU, 8);
                assert!(deployed.is_ok() || micros > 1, "{micros}: {deployed:?}");
            }
            Err(Refusal::BondShort { .. }) => assert!(micros > 1, "{micros}"),
            Err(other) => panic!("{micros}: {other}"),
        }
    }
    let mut small = Small::new();
    let too_much = small.run(&small.bond(Money::MAX)).unwrap_err();
    assert!(matches!(too_much, Refusal::Money(_)), "{too_much}");
    assert!(
        "9223372036854.775808".parse::<Price>().is_err(),
        "2^63 micro-USD"
    );
}

#[test]
fn a_key_that_is_taken_stays_with_whom_it_is() {
    let mut small = Small::new();
    small.enrol(1, NODE, 1_000_000).unwrap();
    assert_eq!(
        small.enrol(1, NODE, 2_000_000).unwrap(),
        [],
        "the same again is nothing new"
    );
    let label = Label([2; 16]);
    small.run(&Command::RegisterProvider { label }).unwrap();
    let taken = small.run(&Command::RegisterProvider { label }).unwrap_err();
    assert!(matches!(taken, Refusal::NameTaken { .. }), "{taken}");
}

#[test]
fn there_is_no_place_beyond_the_poles() {
    for (north, east) in [
        (91.0, 0.0),
        (0.0, 181.0),
        (f64::NAN, 0.0),
        (0.0, f64::INFINITY),
    ] {
        assert!(Place::from_degrees(north, east).is_err(), "{north} {east}");
    }
    assert!(
        Request::new(Shape {
            gpu_milli: 1_500,
            ..ONE_GPU
        })
        .is_err()
    );
}

#[test]
fn services_that_no_network_could_hold_are_orders_without_a_place() {
    let text = "gpus = 8\ndays = 1\nsite_gpus = 4\n[demand]\nmulti_site = 1.0\nstandard = 0\nenterprise = 0\n\
        services = [{ needs = 999, share = 1 }]\n";
    let scenario = Scenario::read("huge", text).unwrap();
    let run = Simulation::new(scenario, 1, Inputs::default()).unwrap();
    let outcome = run.run(|_| ()).unwrap();
    let multi_site = outcome.of(Tier::MultiSite);
    assert!(outcome.refused > 0 && multi_site.units == 0);
    assert_eq!(
        multi_site.wanted, outcome.refused,
        "what was asked for is told"
    );
    let one = Scenario::read("one", "gpus = 1\ndays = 1\nsite_gpus = 1\n").unwrap();
    let run = Simulation::new(one, 1, Inputs::default()).unwrap();
    assert!(run.run(|_| ()).is_ok());
}

#[test]
fn numbers_that_are_none_are_no_scenario() {
    for line in [
        "[gateways]\nprompt_price = nan",
        "[gateways]\nanswer_price = 9223372036854775808.0",
        "[gateways]\ncount = 1000",
        "[gateways]\nper_second = 1.0",
        "[gateways]\nper_second = inf\ncount = 1",
        "[failures]\ngpu_hours = nan",
        "[outages]\nper_site_year = -1.0",
        "[demand]\nload = nan",
        "[[exits]]\nafter = \"1day\"\nshare = 0.1\nsilent = 1.5",
        "gpus = 9223372036854775807",
        "days = 0",
        "site_gpus = 0",
    ] {
        let refused = Scenario::read("mine.toml", line).unwrap_err();
        assert!(refused.to_string().len() > 10, "{refused}");
    }
}
