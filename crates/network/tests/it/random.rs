//! Random histories: whatever is asked in whatever order, what must be true is true.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use remuda_ledger::Rail;
use remuda_network::command::{EnrolNode, IssueKey, LeaveManner, ObservedPhase};
use remuda_network::event::UsageTotal;
use remuda_network::state::{EndReason, KeyOwner, Scope, Terms};
use remuda_network::{Command, Event, Network, Policy, State, invariant};
use remuda_types::{
    ApiKeyId, Capacity, Digest, LeaseId, Money, NodeKey, Place, Price, ProjectId, ProviderId,
    Shape, SiteId, Span, TenantId, Tier, Time, TrancheId, WorkloadId, WorkloadKind,
};

use crate::world::{GATEWAY, World, capacity, command_id, key, label, lax, terms};

/// What happens next; whom it is about is drawn from what there is then.
#[derive(Clone, Debug)]
enum Step {
    /// A command with a new id.
    Do(Box<Ask>, Index, Index),
    /// The same command with the same id, some steps later.
    Again(Index),
    /// Time passes.
    Wait(u64),
    /// Every live lease's node sees the same.
    AllSee(ObservedPhase),
}

#[derive(Clone, Debug)]
enum Ask {
    Policy(Policy),
    Provider(u8),
    Bond(Money),
    Site(u8),
    Enrol(u8, Capacity, u64),
    Connected(u8, Capacity),
    Disconnected(u8),
    Suspected(u8, u64),
    Cleared(u8),
    Lost(u8, u64),
    Drain(u8),
    Leave(LeaveManner),
    Tenant(u8),
    TopUp(Money, Rail),
    Project(u8),
    Fund(Money),
    Key(u8),
    Revoke,
    Deploy(Terms, u32),
    Scale(u32),
    Stop,
    See(ObservedPhase, u64),
    Open(u8, Money),
    Post(u8, u64, Money),
    Close(u8),
    Tick { adopting: bool },
}

fn amounts() -> impl Strategy<Value = Money> {
    let micros = prop_oneof![
        6 => 0_i64..20_000_000,
        2 => Just(1_000_000_000),
        1 => Just(i64::MAX),
        1 => Just(i64::MAX / 2),
        1 => -5_i64..5,
    ];
    micros.prop_map(Money::from_micros)
}

fn prices() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0_u64..5_000_000,
        1 => Just(0),
        1 => Just(1),
        1 => Just(u64::MAX),
    ]
}

fn capacities() -> impl Strategy<Value = Capacity> {
    (0_u32..4, prop_oneof![9 => 0_u64..3, 1 => Just(9)]).prop_map(|(gpus, cores)| Capacity {
        gpus: if cores == 9 { 65 } else { gpus },
        cpu_milli: cores * 2_000,
        ..capacity()
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let shares = (0_u32..6_000, 0_u32..6_000);
    let spans = (1_u64..200, 0_u64..60, 0_u64..60, 0_u64..60, 0_u64..20);
    let limits = (0_u32..5, 1_u32..4, 0_i64..5_000_000);
    (shares, spans, limits).prop_map(|(shares, spans, limits)| Policy {
        fee_bp: shares.0,
        pool_bp: shares.1,
        slice: Span::from_secs(spans.0),
        slice_min: Span::from_secs(spans.1),
        lease_term: Span::from_secs(150),
        holdback: Span::from_secs(spans.2),
        holdback_bucket: Span::from_secs(spans.3),
        drain_grace: Span::from_secs(spans.4),
        notice: Span::from_secs(30),
        tranche_ttl: Span::from_secs(spans.3),
        tick_limit: limits.0,
        max_keys: limits.1,
        id_window: Span::from_secs(60),
        migration_cost: Money::from_micros(limits.2),
        ..lax()
    })
}

fn shapes() -> impl Strategy<Value = Shape> {
    (select(vec![0_u64, 300, 500, 1_000, 1_500, 2_000]), 0_u64..3).prop_map(|(gpu_milli, cores)| {
        Shape {
            gpu_milli,
            cpu_milli: cores * 500,
            ..Shape::default()
        }
    })
}

fn wanted() -> impl Strategy<Value = Terms> {
    let tiers = prop_oneof![Just(Tier::Standard), Just(Tier::MultiSite)];
    let kinds = prop_oneof![Just(WorkloadKind::Service), Just(WorkloadKind::Job)];
    (0_u8..4, shapes(), tiers, kinds).prop_map(|(n, shape, tier, kind)| Terms {
        shape,
        tier,
        kind,
        ..terms(n)
    })
}

fn phases() -> impl Strategy<Value = ObservedPhase> {
    let ends = select(vec![
        EndReason::Stopped,
        EndReason::Completed,
        EndReason::Crashed,
        EndReason::OutOfMemory,
        EndReason::PrepareFailed,
        EndReason::NeverReady,
        EndReason::RuntimeRefused,
        EndReason::NodeRestarted,
        EndReason::TermOver,
        EndReason::NodeLost,
    ]);
    prop_oneof![
        1 => Just(ObservedPhase::Preparing),
        1 => Just(ObservedPhase::Starting),
        6 => Just(ObservedPhase::Ready),
        1 => Just(ObservedPhase::Unhealthy),
        3 => ends.prop_map(ObservedPhase::Ended),
    ]
}

fn supply() -> impl Strategy<Value = Ask> {
    let ago = prop_oneof![9 => 0_u64..20_000, 1 => Just(u64::MAX)];
    let manners = prop_oneof![Just(LeaveManner::Notice), Just(LeaveManner::Now)];
    prop_oneof![
        2 => (0_u8..4).prop_map(Ask::Provider),
        1 => amounts().prop_map(Ask::Bond),
        2 => (0_u8..4).prop_map(Ask::Site),
        4 => (0_u8..6, capacities(), prices()).prop_map(|(n, c, p)| Ask::Enrol(n, c, p)),
        6 => (0_u8..6).prop_map(|n| Ask::Connected(n, capacity())),
        1 => (0_u8..6, capacities()).prop_map(|(n, c)| Ask::Connected(n, c)),
        1 => (0_u8..6).prop_map(Ask::Disconnected),
        2 => (0_u8..6, ago.clone()).prop_map(|(n, ago)| Ask::Suspected(n, ago)),
        2 => (0_u8..6).prop_map(Ask::Cleared),
        2 => (0_u8..6, ago).prop_map(|(n, ago)| Ask::Lost(n, ago)),
        2 => (0_u8..6).prop_map(Ask::Drain),
        1 => manners.prop_map(Ask::Leave),
    ]
}

fn demand() -> impl Strategy<Value = Ask> {
    let rails = prop_oneof![Just(Rail::Bank), Just(Rail::Chain)];
    prop_oneof![
        1 => (0_u8..3).prop_map(Ask::Tenant),
        2 => (amounts(), rails).prop_map(|(m, r)| Ask::TopUp(m, r)),
        1 => (0_u8..3).prop_map(Ask::Project),
        2 => amounts().prop_map(Ask::Fund),
        1 => (0_u8..5).prop_map(Ask::Key),
        1 => Just(Ask::Revoke),
        6 => (wanted(), 0_u32..4).prop_map(|(t, n)| Ask::Deploy(t, n)),
        2 => (0_u32..5).prop_map(Ask::Scale),
        1 => Just(Ask::Stop),
        9 => (phases(), 0_u64..20).prop_map(|(p, e)| Ask::See(p, e)),
        2 => (0_u8..3, amounts()).prop_map(|(n, m)| Ask::Open(n, m)),
        3 => (0_u8..3, 0_u64..4, amounts()).prop_map(|(n, s, m)| Ask::Post(n, s, m)),
        1 => (0_u8..3).prop_map(Ask::Close),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let asks = prop_oneof![
        4 => supply(),
        5 => demand(),
        4 => any::<bool>().prop_map(|adopting| Ask::Tick { adopting }),
        1 => policies().prop_map(Ask::Policy),
    ];
    prop_oneof![
        12 => (asks, any::<Index>(), any::<Index>()).prop_map(|(a, i, j)| Step::Do(Box::new(a), i, j)),
        1 => any::<Index>().prop_map(Step::Again),
        3 => prop_oneof![4 => 0_u64..5_000, 2 => 0_u64..100_000, 1 => Just(86_400_000)].prop_map(Step::Wait),
        2 => phases().prop_map(Step::AllSee),
    ]
}

/// One of the keys, or one that is not there.
fn any_of<T: Copy>(mut known: Vec<T>, unknown: T, index: Index) -> T {
    if known.len() < 4 {
        known.push(unknown);
    }
    *index.get(&known)
}

struct Names<'a> {
    state: &'a State,
    first: Index,
    second: Index,
}

impl Names<'_> {
    fn provider(&self) -> ProviderId {
        let known = self.state.providers.keys().copied().collect();
        any_of(known, ProviderId::from_u128(7), self.first)
    }

    fn site(&self) -> SiteId {
        let known = self.state.sites.keys().copied().collect();
        any_of(known, SiteId::from_u128(7), self.second)
    }

    fn tenant(&self) -> TenantId {
        let known = self.state.tenants.keys().copied().collect();
        any_of(known, TenantId::from_u128(7), self.first)
    }

    fn project(&self) -> ProjectId {
        let known = self.state.projects.keys().copied().collect();
        any_of(known, ProjectId::from_u128(7), self.first)
    }

    fn workload(&self) -> WorkloadId {
        let known = self.state.workloads.keys().copied().collect();
        any_of(known, WorkloadId::from_u128(7), self.first)
    }

    fn key(&self) -> ApiKeyId {
        let known = self.state.keys.keys().copied().collect();
        any_of(known, ApiKeyId::from_u128(7), self.first)
    }

    fn lease(&self) -> (LeaseId, NodeKey, u64) {
        let live = self
            .state
            .leases
            .iter()
            .map(|(id, l)| (*id, l.node, l.epoch));
        let ended = self.state.ended_leases.iter();
        let known = live.chain(ended.map(|(id, l)| (*id, l.node, 1))).collect();
        any_of(known, (LeaseId::from_u128(7), key(7), 1), self.second)
    }

    fn usage(&self, amount: Money) -> Vec<UsageTotal> {
        let total = UsageTotal {
            lease: self.lease().0,
            key: self.key(),
            requests: 1,
            prompt_tokens: 2,
            completion_tokens: 3,
            amount,
        };
        vec![total; self.first.index(3)]
    }

    fn command(&self, ask: Ask, now: Time) -> Command {
        let ago = |ms| now - Span::from_millis(ms);
        match ask {
            Ask::Policy(policy) => Command::SetPolicy(Box::new(policy)),
            Ask::Provider(n) => Command::RegisterProvider { label: label(n) },
            Ask::Bond(amount) => Command::DepositBond {
                provider: self.provider(),
                amount,
                rail: Rail::Chain,
            },
            Ask::Site(n) => Command::RegisterSite {
                provider: self.provider(),
                label: label(n),
                country: "KR".parse().unwrap(),
                place: Place::from_degrees(f64::from(n), 0.0).unwrap(),
            },
            Ask::Enrol(n, capacity, price) => self.enrol(n, capacity, price),
            Ask::Connected(n, capacity) => Command::NodeConnected {
                node: key(n),
                capacity,
            },
            Ask::Disconnected(n) => Command::NodeDisconnected { node: key(n) },
            Ask::Suspected(n, ms) => Command::NodeSuspected {
                node: key(n),
                last_seen: ago(ms),
            },
            Ask::Cleared(n) => Command::NodeCleared { node: key(n) },
            Ask::Lost(n, ms) => Command::NodeLost {
                node: key(n),
                last_seen: ago(ms),
            },
            Ask::Drain(n) => Command::DrainNode { node: key(n) },
            Ask::Leave(manner) => Command::LeaveProvider {
                provider: self.provider(),
                manner,
            },
            Ask::Tenant(n) => Command::CreateTenant { label: label(n) },
            Ask::TopUp(amount, rail) => Command::TopUp {
                tenant: self.tenant(),
                amount,
                rail,
            },
            Ask::Project(n) => Command::CreateProject {
                tenant: self.tenant(),
                label: label(n),
            },
            Ask::Fund(amount) => Command::FundBudget {
                project: self.project(),
                amount,
            },
            Ask::Key(n) => self.issue(n),
            Ask::Revoke => Command::RevokeKey { key: self.key() },
            Ask::Deploy(terms, replicas) => Command::Deploy {
                project: self.project(),
                terms: Box::new(terms),
                replicas,
            },
            Ask::Scale(replicas) => Command::Scale {
                workload: self.workload(),
                replicas,
            },
            Ask::Stop => Command::StopWorkload {
                workload: self.workload(),
            },
            Ask::See(observed, stale) => {
                let (lease, node, epoch) = self.lease();
                Command::ObserveReplica {
                    node,
                    lease,
                    epoch: if stale == 0 { epoch + 1 } else { epoch },
                    observed,
                }
            }
            Ask::Open(n, amount) => Command::OpenTranche {
                gateway: GATEWAY,
                tranche: TrancheId::from_u128(u128::from(n)),
                project: self.project(),
                amount,
            },
            Ask::Post(n, ahead, amount) => {
                let tranche = TrancheId::from_u128(u128::from(n));
                let last = self.state.tranches.get(&tranche).map_or(0, |open| open.seq);
                Command::PostUsage {
                    gateway: GATEWAY,
                    tranche,
                    seq: last + ahead.min(2),
                    totals: self.usage(amount),
                    rows: Digest::default(),
                }
            }
            Ask::Close(n) => Command::CloseTranche {
                gateway: GATEWAY,
                tranche: TrancheId::from_u128(u128::from(n)),
            },
            Ask::Tick { adopting } => Command::Tick { adopting },
        }
    }

    fn enrol(&self, n: u8, capacity: Capacity, price: u64) -> Command {
        let site = self.site();
        let owner = self.state.sites.get(&site).map(|site| site.provider);
        Command::EnrolNode(Box::new(EnrolNode {
            node: key(n),
            provider: owner.unwrap_or_else(|| self.provider()),
            site,
            class: "h100-sxm-80".parse().unwrap(),
            capacity,
            price: Price::from_micros_per_hour(price),
        }))
    }

    fn issue(&self, n: u8) -> Command {
        let owner = match n {
            0 => KeyOwner::Operator,
            1 => KeyOwner::Project(self.project()),
            _ => KeyOwner::Provider(self.provider()),
        };
        Command::IssueKey(Box::new(IssueKey {
            owner,
            digest: Digest([n; 32]),
            scopes: BTreeSet::from([Scope::Supply]),
            expires: None,
            requests_per_minute: 0,
        }))
    }
}

/// A world that is not empty: three owners, a node of each, and money.
fn furnished() -> World {
    let mut world = World::new(lax());
    for n in 0..3 {
        world.node(n, "1.00");
    }
    world.project(0, "50.00");
    world.project(1, "0.10");
    world
}

fn send(world: &mut World, id: u64, at: Time, command: &Command) {
    let before = world.state().clone();
    let is_tick = matches!(command, Command::Tick { .. });
    match world.send(command_id(at, 1_000_000 + id), command) {
        Ok(_) => {}
        Err(refusal) => {
            assert!(
                !is_tick || world.state().policy.id_window < world.now.since(at),
                "{refusal}"
            );
            assert!(
                *world.state() == before,
                "a refused command changed something"
            );
        }
    }
}

fn live(world: &mut World, history: &[Step]) {
    let mut sent: Vec<(u64, Time, Command)> = Vec::new();
    for (n, step) in history.iter().enumerate() {
        let n = n as u64;
        match step {
            Step::Do(ask, first, second) => {
                let (first, second) = (*first, *second);
                let state = world.state();
                let names = Names {
                    state,
                    first,
                    second,
                };
                let command = names.command((**ask).clone(), world.now);
                send(world, n, world.now, &command);
                sent.push((n, world.now, command));
            }
            Step::Again(index) if !sent.is_empty() => {
                let (n, at, command) = index.get(&sent).clone();
                send(world, n, at, &command);
            }
            Step::Again(_) => {}
            Step::Wait(ms) => world.wait(Span::from_millis(*ms)),
            Step::AllSee(observed) => all_see(world, *observed),
        }
    }
}

fn all_see(world: &mut World, observed: ObservedPhase) {
    let leases: Vec<_> = world
        .state()
        .leases
        .iter()
        .map(|(id, l)| (*id, l.node, l.epoch))
        .collect();
    for (lease, node, epoch) in leases {
        let seen = Command::ObserveReplica {
            node,
            lease,
            epoch,
            observed,
        };
        let _taken = world.try_run(&seen).is_ok();
    }
}

/// Ticks until nothing is due; each tick gets further, so this ends.
fn settle_down(world: &mut World) {
    for _ in 0..10_000 {
        if world
            .network
            .index()
            .next_due()
            .is_none_or(|due| due > world.now)
        {
            return;
        }
        world.run(Command::Tick { adopting: false });
    }
    panic!(
        "the clock runs on the spot: {:?}",
        world.network.index().due(world.now).collect::<Vec<_>>()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// `World` checks the invariants, the encoding and repeats after every command.
    #[test]
    fn every_history_keeps_the_promises(history in vec(steps(), 0..120)) {
        let mut world = furnished();
        live(&mut world, &history);
        settle_down(&mut world);

        let replayed = world.replayed();
        prop_assert!(replayed.state() == world.state(), "the journal tells another story");
        prop_assert_eq!(invariant::check(&replayed), Ok(()));
        let bytes = minicbor::to_vec(world.state()).unwrap();
        let read: State = minicbor::decode(&bytes).unwrap();
        prop_assert!(read == *world.state(), "a snapshot tells another story");
        prop_assert!(Network::new(read).index() == world.network.index());
    }

    /// Bytes from outside never do more than fail to decode.
    #[test]
    fn decoding_is_total(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(events) = minicbor::decode::<Vec<Event>>(&bytes) {
            prop_assert!(minicbor::to_vec(events).is_ok());
        }
        if let Ok(state) = minicbor::decode::<State>(&bytes) {
            prop_assert!(minicbor::to_vec(state).is_ok());
        }
    }
}

/// The word before the first field of a value's debug form.
fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}

/// The histories are worth something only if they get everywhere.
#[test]
fn the_histories_reach_every_event_and_end() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..1_500 {
        let history = vec(steps(), 60..120)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut world = furnished();
        live(&mut world, &history);
        settle_down(&mut world);
        for record in &world.journal {
            let events: Vec<Event> = minicbor::decode(&record.body).unwrap();
            seen.extend(events.iter().map(variant));
            seen.extend(events.iter().filter_map(|event| match event {
                Event::LeaseEnded { reason, .. } => Some(variant(reason)),
                Event::LeaseSettled { charge, .. } if charge.amount.is_negative() => {
                    Some("given back".to_owned())
                }
                _ => None,
            }));
        }
    }
    let expected = [
        "PolicySet",
        "GatewayAdmitted",
        "ProviderRegistered",
        "ProviderStands",
        "SiteRegistered",
        "NodeEnrolled",
        "NodePresent",
        "NodeResized",
        "TenantCreated",
        "ProjectCreated",
        "KeyIssued",
        "KeyRevoked",
        "WorkloadAccepted",
        "WorkloadStopping",
        "WorkloadEnded",
        "ReplicaAdded",
        "ReplicaRemoved",
        "ReplicaUnplaced",
        "LeaseGranted",
        "LeasePhased",
        "ReplicaMoved",
        "LeaseSettled",
        "LeaseEnded",
        "LeaseForgotten",
        "TrancheOpened",
        "UsagePosted",
        "TrancheClosed",
        "MoneyMoved",
        "HoldbackReleased",
        "Forfeited",
        "Stopped",
        "Completed",
        "Crashed",
        "OutOfMemory",
        "PrepareFailed",
        "NeverReady",
        "RuntimeRefused",
        "NodeLost",
        "NodeRestarted",
        "Drained",
        "ProviderLeft",
        "BudgetExhausted",
        "TermOver",
        "given back",
    ];
    let missing: Vec<_> = expected
        .iter()
        .filter(|name| !seen.contains(**name))
        .collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}
