//! What is derived from the state for speed: capacity, names, keys, and what is due when.
//!
//! [`Index::rebuild`] from the state must equal the index that followed every event; a property
//! test holds it to that.

mod claims;
mod due;
mod dues;
mod facts;
mod kin;
mod later;
mod layers;
mod lazy_fleet;
mod projects;
mod seekers;
mod sites;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use remuda_placement::{DemandClass, Fleet, NodeOffer};
use remuda_types::{
    ApiKeyId, ClaimId, Digest, Label, LeaseId, Lookup, NodeKey, ProjectId, ProviderId, SiteId,
    TenantId, Time, WorkloadId,
};
use smallvec::SmallVec;

use crate::state::{AdoptedPlan, KeyOwner, Node, Presence, Site, State};

pub use due::Due;
use due::due_at;
use dues::Dues;
use later::Later;
use lazy_fleet::LazyFleet;
use projects::Projects;

use sites::Sites;
use waiting::Waiting;

pub(crate) use claims::{Claims, Held, after_of, begun_on, kept};
pub(crate) use layers::{Interval, Kept, Layer, Layers};

/// Who has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// A provider's name.
    Provider(Label),
    /// A provider's site's name.
    Site(ProviderId, Label),
    /// A tenant's name.
    Tenant(Label),
    /// A tenant's project's name.
    Project(TenantId, Label),
}

/// The 128 bits of an id of the kind that its [`Named`] says.
type Bits = u128;

/// The index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    pub(crate) fleet: LazyFleet,
    pub(crate) layers: Layers,
    pub(crate) claims: Claims,
    pub(crate) sites: Sites,
    /// What the state's kinship said of this when the fleet was last told all of it.
    kin_cuts: u64,
    /// All but those of workloads.
    names: BTreeMap<Named, Bits>,
    pub(crate) projects: Projects,
    later: Later,
    waiting: Waiting,
    seekers: Dues,
    keys: BTreeMap<Digest, ApiKeyId>,
    keys_of: BTreeSet<(KeyOwner, ApiKeyId)>,
    nodes_of: BTreeSet<(ProviderId, NodeKey)>,
    /// Every live lease, those included that their replica has left and that still drain.
    leases_of: Lookup<WorkloadId, Leases>,
    /// What facts changed since it was last said when it is due.
    changed: SmallVec<[Due; 8]>,
    dues: Dues,
    /// Those of standing orders, of which all may be overdue at once.
    dues_of_orders: Dues,
}

/// In order; almost always one.
type Leases = SmallVec<[LeaseId; 1]>;

impl Index {
    /// The index of `state`, from nothing.
    pub fn rebuild(state: &State) -> Self {
        let mut index = Self::default();
        if let Some(plan) = &state.plan {
            index.follow(plan);
        }
        for (id, provider) in &state.providers {
            index
                .names
                .insert(Named::Provider(provider.label), id.as_u128());
            index.refresh(state, Due::Provider(*id));
        }
        for (id, site) in &state.sites {
            index
                .names
                .insert(Named::Site(site.provider, site.label), id.as_u128());
        }
        for (id, tenant) in &state.tenants {
            index
                .names
                .insert(Named::Tenant(tenant.label), id.as_u128());
        }
        for (id, project) in &state.projects {
            index
                .names
                .insert(Named::Project(project.tenant, project.label), id.as_u128());
        }
        for (id, workload) in &state.workloads {
            index
                .projects
                .name(workload.project, workload.terms.label, *id);
        }
        for (id, key) in &state.keys {
            index.keys.insert(key.digest, *id);
            index.keys_of.insert((key.owner, *id));
        }
        for (id, node) in &state.nodes {
            index.nodes_of.insert((node.provider, *id));
            index.sites.count_in(*id, node);
            index.place_node(state, *id, node);
            for lease in node
                .leases
                .iter()
                .filter_map(|lease| state.leases.get(lease))
            {
                let layer = Layer::of_workload(state, lease.workload);
                done(index.hold(*id, (&lease.shape, lease.gpus()), layer));
                index.count_in(state, lease.workload, *id);
            }
            index.refresh(state, Due::Node(*id));
        }
        for (id, lease) in &state.leases {
            index.note_lease(lease.workload, *id);
            index.projects.granted(lease.project, lease.price);
            index.refresh(state, Due::Lease(*id));
        }
        for (id, reservation) in &state.reservations {
            index
                .projects
                .name(reservation.project, reservation.terms.label, *id);
            index.later.note_reservation(reservation.project, *id);
            index.refresh(state, Due::Reservation(*id));
        }
        for (id, order) in &state.orders {
            index.projects.name(order.project, order.terms.label, *id);
            index.later.note_order(order.project, *id);
            index.order_stands(*id, order);
            index.refresh(state, Due::Order(*id));
        }
        index.wake_all_orders(state.clock);
        index.note_all_claims(state);
        let ended = state.ended_leases.keys().copied().map(Due::Ended);
        let replicas = state.replicas.keys().copied().map(Due::Replica);
        let tranches = state.tranches.keys().copied().map(Due::Tranche);
        for due in ended.chain(replicas).chain(tranches) {
            index.refresh(state, due);
        }
        index.learn_all(state);
        index.settle();
        index
    }

    /// Tells the fleet of all that is held. To be called when a command is decided or committed.
    pub(crate) fn settle(&mut self) {
        self.fleet.now();
    }

    /// Says anew when what was changed is due: once for each, however many facts of a command did.
    pub(crate) fn reschedule(&mut self, state: &State) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        for due in changed {
            self.refresh(state, due);
        }
    }

    /// The provider, site, tenant or project of this name.
    pub fn named(&self, name: &Named) -> Option<Bits> {
        self.names.get(name).copied()
    }

    /// The key whose secret has this digest.
    pub fn key(&self, digest: &Digest) -> Option<ApiKeyId> {
        self.keys.get(digest).copied()
    }

    /// The live leases of a workload, those included that its replicas have left.
    pub fn leases_of(&self, workload: WorkloadId) -> impl Iterator<Item = LeaseId> + '_ {
        let leases = self.leases_of.get(&workload);
        leases.into_iter().flatten().copied()
    }

    /// The nodes of a provider, those included that are gone.
    pub fn nodes_of(&self, provider: ProviderId) -> impl Iterator<Item = NodeKey> + '_ {
        let (first, last) = (NodeKey([0; 32]), NodeKey([u8::MAX; 32]));
        let range = self.nodes_of.range((provider, first)..=(provider, last));
        range.map(|(_, node)| *node)
    }

    /// The keys of an owner, those included that are no longer good.
    pub fn keys_of(&self, owner: KeyOwner) -> impl Iterator<Item = ApiKeyId> + '_ {
        let (first, last) = (ApiKeyId::from_u128(0), ApiKeyId::from_u128(u128::MAX));
        let range = self.keys_of.range((owner, first)..=(owner, last));
        range.map(|(_, key)| *key)
    }

    /// The claims of a workload.
    pub fn claims_of(&self, workload: WorkloadId) -> impl Iterator<Item = ClaimId> + '_ {
        self.claims.of(workload)
    }

    /// When the clock next brings something about.
    pub fn next_due(&self) -> Option<Time> {
        let dues = [
            self.dues.next(),
            self.dues_of_orders.next(),
            self.woken_at(),
        ];
        dues.into_iter().flatten().min()
    }

    /// What is due at `now` besides standing orders, earliest first.
    pub fn due(&self, now: Time) -> impl Iterator<Item = Due> + '_ {
        self.dues.until(now)
    }

    /// The standing orders that are due at `now` by themselves, earliest first.
    pub fn due_orders(&self, now: Time) -> impl Iterator<Item = Due> + '_ {
        self.dues_of_orders.until(now)
    }

    /// The capacity of all nodes.
    pub fn fleet(&self) -> &Fleet {
        self.fleet.settled()
    }

    /// Has the fleet follow a plan.
    fn follow(&mut self, plan: &AdoptedPlan) {
        let fleet = self.fleet.now();
        fleet.set_quotas(plan.quotas.iter().cloned());
        fleet.set_plan(plan.packing.clone());
    }

    /// Counts a replica of the workload that is on the node against the quotas of its kind.
    fn count_in(&mut self, state: &State, workload: WorkloadId, node: NodeKey) {
        if let Some((class, milli)) = demand_of(state, workload) {
            self.fleet.count_in(class, node, milli);
        }
    }

    fn note_lease(&mut self, workload: WorkloadId, lease: LeaseId) {
        let leases = self.leases_of.or_default(workload);
        if let Err(at) = leases.binary_search(&lease) {
            leases.insert(at, lease);
        }
    }

    fn forget_lease(&mut self, workload: WorkloadId, lease: LeaseId) {
        if let Some(leases) = self.leases_of.get_mut(&workload) {
            leases.retain(|one| *one != lease);
            if leases.is_empty() {
                self.leases_of.remove(&workload);
            }
        }
    }

    /// A node that left goes out of the fleet with its last lease, and one that drains has nothing
    /// more to give up.
    fn forget_left(&mut self, state: &State, ended: LeaseId) {
        let node = state.ended_leases.get(&ended).map(|lease| lease.node);
        let Some((id, node)) = node.and_then(|id| state.nodes.get(&id).map(|node| (id, node)))
        else {
            return;
        };
        match node.presence {
            Presence::Left(_) => self.place_node(state, id, node),
            Presence::Draining(_) => self.changed.push(Due::Node(id)),
            Presence::Away(_) | Presence::Up(_) | Presence::Suspect(_) | Presence::Lost(_) => {}
        }
    }

    /// Brings a node of the fleet up to date; what it holds stays.
    ///
    /// Offers were checked when the node enrolled or was resized, so nothing here can be refused.
    fn place_node(&mut self, state: &State, id: NodeKey, node: &Node) {
        let Some(site) = state.sites.get(&node.site) else {
            return;
        };
        if matches!(node.presence, Presence::Left(_)) && node.leases.is_empty() {
            if self.fleet.offer(id).is_some() {
                done(self.remove(id));
            }
            return;
        }
        done(self.offer(&offer(id, node, site)));
        done(self.set_open(id, node.presence.is_open()));
    }

    fn forget(&mut self, due: Due) {
        self.seekers.set(due, None);
        self.set_due(due, None);
    }

    fn refresh(&mut self, state: &State, due: Due) {
        let at = due_at(state, due);
        if matches!(due, Due::Replica(_) | Due::Claim(_)) {
            self.note_seeker(state, due, at);
        }
        self.set_due(due, at);
    }

    fn set_due(&mut self, due: Due, at: Option<Time>) {
        match due {
            Due::Order(_) => self.dues_of_orders.set(due, at),
            _ => self.dues.set(due, at),
        }
    }
}

/// What kind of demand a workload's replicas are, unless they ask for no GPU, and how much of it
/// each, in thousandths of a GPU.
fn demand_of(state: &State, workload: WorkloadId) -> Option<(DemandClass, u64)> {
    let terms = &state.workloads.get(&workload)?.terms;
    Some((terms.demand_class()?, terms.shape.gpu_milli))
}

/// What a node offers, as placement sees it.
pub(crate) fn offer(id: NodeKey, node: &Node, site: &Site) -> NodeOffer {
    NodeOffer {
        node: id,
        provider: node.provider,
        site: node.site,
        country: site.country,
        place: site.place,
        class: node.class,
        capacity: node.capacity,
        price: node.price,
    }
}

/// Follows through what was decided: the fleet refused nothing then, so it refuses nothing now.
/// If it did, the index would differ from the state; [`crate::invariant::check`] looks for that.
pub(crate) fn done<T, E: std::fmt::Debug>(outcome: Result<T, E>) {
    if let Err(error) = outcome {
        debug_assert!(false, "the fleet is out of step: {error:?}");
    }
}

impl Index {
    /// The site's id behind a name, typed.
    pub fn site_named(&self, provider: ProviderId, label: Label) -> Option<SiteId> {
        self.named(&Named::Site(provider, label))
            .map(SiteId::from_u128)
    }

    /// The workload, the reservation or the standing order of this name.
    pub fn workload_named(&self, project: ProjectId, label: Label) -> Option<WorkloadId> {
        self.projects.named(project, label)
    }
}
