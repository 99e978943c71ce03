//! A history fed record by record and in groups: the state and the rows must be the same.

use std::fmt::Write;
use std::path::Path;

use remuda_journal::{Claim, Journal};
use remuda_network::command::{EnrolNode, ObservedPhase};
use remuda_network::ledger::Rail;
use remuda_network::network::Decision;
use remuda_network::state::{EndReason, Terms};
use remuda_network::{Command, Event, Network, Policy};
use remuda_types::{
    Capacity, Class, CommandId, Entropy, Label, LeaseId, NodeKey, Place, Price, ProjectId,
    ProviderId, Shape, SiteId, TenantId, Tier, Time, Together, WorkloadId, WorkloadKind,
};
use rusqlite::Connection;

use super::*;
use crate::metrics::Metrics;
use crate::projection;

const START_MS: u64 = 20_000 * 86_400_000;

const NODE: NodeKey = NodeKey([1; 32]);

/// Decides one command a second and keeps what a journal would.
#[derive(Default)]
struct History {
    network: Network,
    records: Vec<Committed>,
}

impl History {
    fn run(&mut self, command: &Command) -> CommandId {
        let number = self.records.len() as u64;
        let at = Time::from_millis(START_MS + number * 1_000);
        let mut entropy = [0; 10];
        entropy[2..].copy_from_slice(&number.to_be_bytes());
        let id = CommandId::new(at, Entropy(entropy));
        let Decision::New(events) = self.network.decide(at, id, command).unwrap() else {
            panic!("{id:?} is a new id");
        };
        self.network.commit(at, id, &events);
        self.records.push(Committed {
            seq: Seq(number + 1),
            at,
            command: id,
            events: events.into(),
        });
        id
    }

    fn lease(&self) -> LeaseId {
        let events = self.records.iter().flat_map(|record| record.events.iter());
        let mut newest_first = events.rev().filter_map(|event| match event {
            Event::LeaseGranted { lease, .. } => Some(*lease),
            _ => None,
        });
        newest_first.next().unwrap()
    }

    fn supply(&mut self) {
        let policy = Policy {
            bond_floor: remuda_types::Span::ZERO,
            ..Policy::default()
        };
        self.run(&Command::SetPolicy(Box::new(policy)));
        let label = Label([1; 16]);
        let provider = self.run(&Command::RegisterProvider { label });
        let provider = ProviderId::derived(provider, 0);
        let site = self.run(&Command::RegisterSite {
            provider,
            label,
            country: "KR".parse().unwrap(),
            place: Place::from_degrees(37.5, 127.0).unwrap(),
        });
        let capacity = Capacity {
            cpu_milli: 4_000,
            memory_mib: 8_192,
            disk_mib: 10_000,
            ..Capacity::default()
        };
        self.run(&Command::EnrolNode(Box::new(EnrolNode {
            node: NODE,
            provider,
            site: SiteId::derived(site, 0),
            class: Class::CPU,
            capacity,
            price: Price::from_micros_per_hour(1_000_000),
        })));
        let node = NODE;
        self.run(&Command::NodeConnected { node, capacity });
    }

    fn demand(&mut self) -> ProjectId {
        let (label, rail) = (Label([2; 16]), Rail::Bank);
        let tenant = TenantId::derived(self.run(&Command::CreateTenant { label }), 0);
        let amount = "100".parse().unwrap();
        self.run(&Command::TopUp {
            tenant,
            amount,
            rail,
        });
        let project = self.run(&Command::CreateProject { tenant, label });
        let project = ProjectId::derived(project, 0);
        self.run(&Command::FundBudget { project, amount });
        project
    }

    /// A workload that is deployed, runs and ends: its lease is in the state for a while only.
    fn life_of_a_workload(&mut self, project: ProjectId, number: u8) {
        let deployed = self.run(&Command::Deploy {
            project,
            terms: Box::new(terms(number)),
            replicas: 1,
        });
        let lease = self.lease();
        let observe = |observed| Command::ObserveReplica {
            node: NODE,
            lease,
            epoch: 1,
            observed,
            since: Time::FOREVER,
        };
        self.run(&observe(ObservedPhase::Ready));
        let workload = WorkloadId::derived(deployed, 0);
        self.run(&Command::StopWorkload { workload });
        self.run(&observe(ObservedPhase::Ended(EndReason::Stopped)));
    }
}

fn terms(number: u8) -> Terms {
    Terms {
        kind: WorkloadKind::Service,
        label: Label([number; 16]),
        spec: Label([number; 16]),
        tier: Tier::Spot,
        shape: Shape {
            cpu_milli: 1_000,
            memory_mib: 1_024,
            ..Shape::default()
        },
        classes: Vec::new(),
        countries: Vec::new(),
        max_price: None,
        near: None,
        tokens: None,
        model: None,
        together: Together::default(),
        max_owner_share: None,
        max_site_share: None,
    }
}

fn history() -> History {
    let mut history = History::default();
    history.supply();
    let project = history.demand();
    (10..30).for_each(|number| history.life_of_a_workload(project, number));
    history
}

/// A feed in a folder of its own. No snapshot is cut: there is no journal behind it.
fn feed(dir: &Path) -> Feed {
    drop(Journal::open(dir, Claim::Alone).unwrap());
    let (projector, _) = projection::open(&dir.join("projections.db")).unwrap();
    let snapshots = remuda_journal::Snapshots::open(dir).unwrap();
    let empty = Recovered {
        network: Network::default(),
        seq: Seq::NONE,
    };
    Feed {
        follower: Arc::new(Follower::new(empty)),
        projector,
        cutter: Cutter::new(snapshots, u64::MAX, Seq::NONE, Metrics::default()),
    }
}

/// Every row of every table, as text, and how many.
fn rows(dir: &Path) -> (String, usize) {
    let connection = Connection::open(dir.join("projections.db")).unwrap();
    let (mut text, mut count) = (String::new(), 0);
    for table in ["event", "line", "slice", "usage", "lease_end", "forfeit"] {
        let mut select = connection
            .prepare(&format!("select * from {table}"))
            .unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..columns).map(|at| row.get_ref(at).unwrap());
            writeln!(text, "{table} {:?}", values.collect::<Vec<_>>()).unwrap();
            count += 1;
        }
    }
    (text, count)
}

fn fed(history: &History, group: usize) -> (String, usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut feed = feed(dir.path());
    for records in history.records.chunks(group) {
        feed.committed(records, ChainHead::default());
    }
    assert!(
        feed.follower
            .read(|network| network.state() == history.network.state())
    );
    rows(dir.path())
}

#[test]
fn groups_make_the_same_rows_as_single_records() {
    let history = history();
    let (single, count) = fed(&history, 1);
    assert!(
        single.contains("slice [") && single.contains("lease_end ["),
        "{single}"
    );
    for group in [7, 100] {
        assert_eq!(fed(&history, group), (single.clone(), count));
    }
}

#[test]
fn a_records_number_is_never_seen_without_its_state() {
    let history = history();
    let dir = tempfile::tempdir().unwrap();
    let mut feed = feed(dir.path());
    let follower = Arc::clone(&feed.follower);
    let end = history.records.last().unwrap().seq;
    let at = |seq: Seq| Time::from_millis(START_MS + (seq.0 - 1) * 1_000);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let seen = follower.changes();
            loop {
                let (seq, clock) = follower.read(|network| {
                    let seq = *seen.borrow();
                    (seq, network.state().clock)
                });
                assert!(seq == Seq::NONE || clock == at(seq), "{seq} at {clock:?}");
                if seq == end {
                    return;
                }
            }
        });
        for records in history.records.chunks(5) {
            feed.committed(records, ChainHead::default());
        }
        reader.join().unwrap();
    });
}
