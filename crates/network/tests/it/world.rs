//! A network under a clock that stands until it is moved, with short ways to fill it.
//!
//! Every command that is run has its promises checked: the invariants hold, the batch survives its
//! encoding, and the same command again is a repeat.

use std::collections::BTreeSet;

use remuda_ledger::{Account, Rail};
use remuda_network::command::{EnrolNode, IssueKey, ObservedPhase};
use remuda_network::event::UsageTotal;
use remuda_network::network::Decision;
use remuda_network::state::{KeyOwner, Lease, Phase, Presence, Scope, Terms};
use remuda_network::{Command, Event, Network, Policy, Refusal, State, invariant};
use remuda_placement::Relaxation;
use remuda_types::{
    ApiKeyId, Capacity, Class, CommandId, Digest, Entropy, GatewayKey, Label, LeaseId, Money,
    NodeKey, Place, Price, ProjectId, ProviderId, ReplicaId, Shape, SiteId, Span, TenantId, Tier,
    Time, Together, WorkloadId, WorkloadKind,
};

use crate::oracle::{Expected, has_room_for};

/// A long while after the epoch, and a round number of days.
pub(crate) const START: Time = Time::from_millis(20_000 * 86_400_000);

pub(crate) const GATEWAY: GatewayKey = GatewayKey([9; 32]);

/// What has been committed, as a journal has it.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) at: Time,
    pub(crate) id: CommandId,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) now: Time,
    pub(crate) journal: Vec<Record>,
    commands: u64,
}

pub(crate) fn usd(text: &str) -> Money {
    text.parse().unwrap()
}

pub(crate) fn per_hour(text: &str) -> Price {
    text.parse().unwrap()
}

pub(crate) fn label(n: u8) -> Label {
    Label([n; 16])
}

pub(crate) fn key(n: u8) -> NodeKey {
    NodeKey([n; 32])
}

pub(crate) fn secs(n: u64) -> Span {
    Span::from_secs(n)
}

/// The id of the `n`th command, sent at `at`.
pub(crate) fn command_id(at: Time, n: u64) -> CommandId {
    let mut entropy = [0; 10];
    entropy[2..].copy_from_slice(&n.to_be_bytes());
    CommandId::new(at, Entropy(entropy))
}

/// Two GPUs, four cores: room for two replicas of [`terms`].
pub(crate) fn capacity() -> Capacity {
    Capacity {
        gpus: 2,
        gpu_memory_mib: 81_920,
        cpu_milli: 4_000,
        memory_mib: 8_192,
        disk_mib: 10_240,
    }
}

/// A service of one GPU a replica.
pub(crate) fn terms(n: u8) -> Terms {
    Terms {
        kind: WorkloadKind::Service,
        label: label(n),
        spec: label(n),
        tier: Tier::Standard,
        shape: Shape {
            gpu_milli: 1_000,
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

/// The default, without bonds: most scenarios are not about them.
pub(crate) fn lax() -> Policy {
    Policy {
        bond_floor: Span::ZERO,
        ..Policy::default()
    }
}

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        let mut world = Self {
            network: Network::default(),
            now: START,
            journal: Vec::new(),
            commands: 0,
        };
        world.run(Command::SetPolicy(Box::new(policy)));
        world.run(Command::AdmitGateway { gateway: GATEWAY });
        world
    }

    pub(crate) fn state(&self) -> &State {
        self.network.state()
    }

    /// Sends a command with a new id.
    pub(crate) fn try_run(&mut self, command: &Command) -> Result<Vec<Event>, Refusal> {
        self.commands += 1;
        let id = command_id(self.now, self.commands);
        self.send(id, command)
    }

    /// Sends a command with an id; a repeat has no events.
    pub(crate) fn send(&mut self, id: CommandId, command: &Command) -> Result<Vec<Event>, Refusal> {
        let before = self.network.index().clone();
        let expected = Expected::of(&self.network, command);
        let has_room = has_room_for(&self.network, command);
        let decided = self.network.decide(self.now, id, command);
        assert!(
            *self.network.index() == before,
            "deciding left a trace in the index"
        );
        let decided = decided.inspect_err(|refusal| {
            if let Command::Scale { workload, .. } = *command {
                self.check_scale(workload, refusal);
            }
            if let Some(expected) = &expected {
                let explained = self.network.explain(refusal.clone());
                assert!(!matches!(explained, Refusal::NoRoom(_)), "{explained}");
                expected.check(&Err(explained));
            }
        });
        match (&decided, has_room) {
            (Ok(Decision::New(_)), Some(has_room)) => assert!(has_room, "{decided:?}"),
            (Err(refusal @ Refusal::NoRoom(_)), Some(has_room)) => {
                let why = self.network.explain(refusal.clone());
                assert!(!has_room, "{why}");
            }
            _ => {}
        }
        match decided? {
            Decision::Repeat => Ok(Vec::new()),
            Decision::New(events) => {
                let events = Ok(events);
                if let Some(expected) = expected {
                    expected.check(&events);
                }
                let events = events?;
                self.commit(id, &events);
                let again = self.network.decide(self.now, id, command);
                assert_eq!(again, Ok(Decision::Repeat));
                Ok(events)
            }
        }
    }

    /// Where there is no room for so many it is said why; and where fewer are named there is room for
    /// those.
    fn check_scale(&mut self, workload: WorkloadId, refusal: &Refusal) {
        let Refusal::NoRoom(wanted) = refusal else {
            return;
        };
        let why = match self.network.explain(refusal.clone()) {
            Refusal::NoCapacity(why) => why,
            other => panic!("there is room: {other}; {wanted:?}"),
        };
        let Some(Relaxation::Replicas(all)) = why.relaxation else {
            return;
        };
        let replicas = all.get();
        let fewer = Command::Scale { workload, replicas };
        let id = command_id(self.now, u64::MAX);
        let decided = self.network.decide(self.now, id, &fewer);
        assert!(!matches!(decided, Err(Refusal::NoRoom(_))), "{why}");
    }

    fn commit(&mut self, id: CommandId, events: &[Event]) {
        let body = minicbor::to_vec(events).unwrap();
        assert_eq!(minicbor::decode::<Vec<Event>>(&body).unwrap(), events);
        self.network.commit(self.now, id, events);
        check_standbys(self.state(), events);
        self.journal.push(Record {
            at: self.now,
            id,
            body,
        });
        let checked = invariant::check(&self.network);
        let checked = checked.and_then(|()| invariant::check_batch(self.state(), events));
        if let Err(violation) = checked {
            panic!("{violation}, after {events:#?}");
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "commands are made where they are run"
    )]
    pub(crate) fn run(&mut self, command: Command) -> Vec<Event> {
        self.try_run(&command).unwrap()
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "commands are made where they are run"
    )]
    pub(crate) fn refused(&mut self, command: Command) -> String {
        let before = self.state().clone();
        let refusal = self.try_run(&command).unwrap_err();
        assert!(*self.state() == before);
        self.network.explain(refusal).to_string()
    }

    /// Lets time pass without anybody noticing.
    pub(crate) fn wait(&mut self, span: Span) {
        self.now = self.now + span;
    }

    /// Lets time pass, and the clock tick once at its end.
    pub(crate) fn tick_after(&mut self, span: Span) -> Vec<Event> {
        self.wait(span);
        self.run(Command::Tick { adopting: false })
    }

    /// What the journal alone gives.
    pub(crate) fn replayed(&self) -> Network {
        let mut network = Network::default();
        for record in &self.journal {
            let events: Vec<Event> = minicbor::decode(&record.body).unwrap();
            network.commit(record.at, record.id, &events);
        }
        network
    }

    pub(crate) fn provider(&mut self, n: u8) -> ProviderId {
        let events = self.run(Command::RegisterProvider { label: label(n) });
        let [Event::ProviderRegistered { provider, .. }] = events[..] else {
            panic!("{events:?}")
        };
        provider
    }

    pub(crate) fn bond(&mut self, provider: ProviderId, amount: &str) {
        self.run(Command::DepositBond {
            provider,
            amount: usd(amount),
            rail: Rail::Bank,
        });
    }

    pub(crate) fn site(&mut self, provider: ProviderId, n: u8) -> SiteId {
        let events = self.run(Command::RegisterSite {
            provider,
            label: label(n),
            country: "KR".parse().unwrap(),
            place: Place::from_degrees(37.5, 127.0).unwrap(),
        });
        let [Event::SiteRegistered { site, .. }] = events[..] else {
            panic!("{events:?}")
        };
        site
    }

    pub(crate) fn enrol(
        provider: ProviderId,
        site: SiteId,
        node: NodeKey,
        price: Price,
    ) -> Command {
        Command::EnrolNode(Box::new(EnrolNode {
            node,
            provider,
            site,
            class: "h100-sxm-80".parse::<Class>().unwrap(),
            capacity: capacity(),
            price,
        }))
    }

    pub(crate) fn connect(&mut self, node: NodeKey) -> Vec<Event> {
        self.run(Command::NodeConnected {
            node,
            capacity: capacity(),
        })
    }

    /// A provider with one site and one connected node, all of the number `n`.
    pub(crate) fn node(&mut self, n: u8, price: &str) -> (ProviderId, NodeKey) {
        let provider = self.provider(n);
        let site = self.site(provider, n);
        self.run(Self::enrol(provider, site, key(n), per_hour(price)));
        self.connect(key(n));
        (provider, key(n))
    }

    /// A tenant with one project that has this budget.
    pub(crate) fn project(&mut self, n: u8, budget: &str) -> (TenantId, ProjectId) {
        let events = self.run(Command::CreateTenant { label: label(n) });
        let [Event::TenantCreated { tenant, .. }] = events[..] else {
            panic!("{events:?}")
        };
        let (label, amount) = (label(n), usd(budget));
        let events = self.run(Command::CreateProject { tenant, label });
        let [Event::ProjectCreated { project, .. }] = events[..] else {
            panic!("{events:?}")
        };
        if !amount.is_zero() {
            let rail = Rail::Bank;
            self.run(Command::TopUp {
                tenant,
                amount,
                rail,
            });
            self.run(Command::FundBudget { project, amount });
        }
        (tenant, project)
    }

    pub(crate) fn deploy(
        &mut self,
        project: ProjectId,
        terms: &Terms,
        replicas: u32,
    ) -> WorkloadId {
        let terms = Box::new(terms.clone());
        let events = self.run(Command::Deploy {
            project,
            terms,
            replicas,
        });
        let Event::WorkloadAccepted { workload, .. } = events[0] else {
            panic!("{events:?}")
        };
        workload
    }

    /// What an account may spend.
    pub(crate) fn available(&self, account: Account) -> Money {
        self.state().ledger.balance(account).available()
    }

    pub(crate) fn posted(&self, account: Account) -> Money {
        self.state().ledger.balance(account).posted
    }

    pub(crate) fn presence(&self, node: NodeKey) -> Presence {
        self.state().nodes[&node].presence
    }

    pub(crate) fn lease(&self, id: LeaseId) -> &Lease {
        &self.state().leases[&id]
    }

    /// The replicas of a workload with the lease each has.
    pub(crate) fn held(&self, workload: WorkloadId) -> Vec<(ReplicaId, Option<LeaseId>)> {
        let replicas = &self.state().workloads[&workload].replicas;
        let held = |id: &ReplicaId| (*id, self.state().replicas[id].lease);
        replicas.iter().map(held).collect()
    }

    /// The only lease of a workload's only replica.
    pub(crate) fn only(&self, workload: WorkloadId) -> LeaseId {
        match self.held(workload)[..] {
            [(_, Some(lease))] => lease,
            ref other => panic!("{other:?}"),
        }
    }

    /// Its node sees a lease's replica.
    pub(crate) fn see(&mut self, lease: LeaseId, observed: ObservedPhase) -> Vec<Event> {
        self.see_since(lease, observed, self.now)
    }

    /// Its node says that it has seen that since a while ago.
    pub(crate) fn see_since(
        &mut self,
        lease: LeaseId,
        observed: ObservedPhase,
        since: Time,
    ) -> Vec<Event> {
        let Lease { node, epoch, .. } = *self.lease(lease);
        self.run(Command::ObserveReplica {
            node,
            lease,
            epoch,
            observed,
            since,
        })
    }

    /// Every lease of a workload is ready.
    pub(crate) fn all_ready(&mut self, workload: WorkloadId) {
        for (_, lease) in self.held(workload) {
            self.see(lease.unwrap(), ObservedPhase::Ready);
        }
    }

    pub(crate) fn phase(&self, lease: LeaseId) -> Phase {
        self.lease(lease).phase
    }

    pub(crate) fn issue(owner: KeyOwner, digest: u8) -> Command {
        Command::IssueKey(Box::new(IssueKey {
            owner,
            digest: Digest([digest; 32]),
            scopes: BTreeSet::from([Scope::Read]),
            expires: None,
            requests_per_minute: 0,
        }))
    }

    pub(crate) fn used(lease: LeaseId, amount: &str) -> UsageTotal {
        UsageTotal {
            lease,
            key: ApiKeyId::from_u128(1),
            requests: 1,
            prompt_tokens: 10,
            completion_tokens: 20,
            amount: usd(amount),
        }
    }
}

/// Where a workload's replica just went no standby of it is alone with it: what took the node would
/// take both.
fn check_standbys(state: &State, events: &[Event]) {
    let granted = events.iter().filter_map(|event| match event {
        Event::LeaseGranted { replica, .. } => state.replicas.get(replica),
        _ => None,
    });
    for workload in granted.map(|replica| replica.workload) {
        let replicas = state.workloads[&workload].replicas.iter();
        let replicas = replicas.map(|id| &state.replicas[id]);
        let leases = replicas.filter_map(|replica| replica.successor.or(replica.lease));
        let nodes: BTreeSet<_> = leases.map(|id| state.leases[&id].node).collect();
        let claims = state.claims.values();
        let standbys = claims.filter(|claim| {
            claim.workload == workload && !state.reservations.contains_key(&workload)
        });
        for place in standbys.filter_map(|claim| claim.place) {
            let is_alone = nodes.iter().all(|node| *node == place.node);
            assert!(!is_alone, "{place:?}, after {events:#?}");
        }
    }
}
