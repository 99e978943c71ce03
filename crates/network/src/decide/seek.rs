//! A lease for one more replica: on what is free, on what was kept for it, or where spot gives way.

use remuda_placement::{GpuSet, Placement, Request};
use remuda_types::{LeaseId, NodeKey, Shape, Tier};

use super::draft::Draft;
use super::lease::{self, Grant};
use super::observe::after_end;
use super::standby;
use crate::index::{Layer, done};
use crate::refusal::Refusal;
use crate::state::{EndReason, Lease};

/// When the workload's standbys are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standby {
    /// Not for this replica: they are for those that lose their nodes.
    Never,
    /// Before anything else.
    First,
    /// When nothing is free.
    Last,
}

/// Grants a lease where there is a node for it; says nothing where there is none. A refusal is
/// about money, and nothing was done then.
pub(super) fn seek(
    draft: &mut Draft<'_>,
    of: &Grant<'_>,
    wanted: &Request,
    when: Standby,
) -> Result<Option<LeaseId>, Refusal> {
    if when == Standby::First
        && let Some(lease) = standby::call(draft, of, wanted)?
    {
        return Ok(Some(lease));
    }
    if let Some(placement) = free_place(draft, of.terms.tier, wanted) {
        return lease::grant(draft, of, &placement).map(Some);
    }
    if when == Standby::Last
        && let Some(lease) = standby::call(draft, of, wanted)?
    {
        return Ok(Some(lease));
    }
    if draft.spares_spot || Layer::of(of.terms.tier) == Layer::Spot {
        return Ok(None);
    }
    cleared_place(draft, of, wanted)
}

/// A node that is free; for spot also one that is claimed and not called, where it costs no more.
fn free_place(draft: &mut Draft<'_>, tier: Tier, wanted: &Request) -> Option<Placement> {
    let index = &mut *draft.index;
    let free = remuda_placement::find(index.fleet.now(), wanted);
    let beneath = &mut index.layers.beneath;
    if Layer::of(tier) != Layer::Spot || beneath.is_empty() {
        return free;
    }
    let claimed = remuda_placement::find(beneath, wanted);
    match (claimed, free) {
        (Some(claimed), Some(free)) if free.price < claimed.price => Some(free),
        (claimed, free) => claimed.or(free),
    }
}

/// So many nodes on which spot has what is asked are looked at. The first will do, unless what stands
/// there has only just got a lease in this batch, or another slice.
const CLEARED_MAX: usize = 8;

/// Takes a node on which spot has what is asked, and ends what stands in the way.
fn cleared_place(
    draft: &mut Draft<'_>,
    of: &Grant<'_>,
    wanted: &Request,
) -> Result<Option<LeaseId>, Refusal> {
    let mut wanted = wanted.clone();
    for _ in 0..CLEARED_MAX {
        let yielding = &mut draft.index.layers.yielding;
        let Some(found) = remuda_placement::find(yielding, &wanted) else {
            break;
        };
        let mark = draft.mark();
        if let Some(gpus) = clear(draft, found.node, wanted.shape()) {
            let granted = lease::grant(draft, of, &Placement { gpus, ..found });
            if granted.is_err() {
                draft.back_to(mark);
            }
            return granted.map(Some);
        }
        // What is there was only just granted or renewed.
        wanted.avoid.nodes.insert(found.node);
    }
    Ok(None)
}

/// Ends the spot leases of a node that are in the way of a shape; says which GPUs it then gets.
/// Nothing is done where that would not help.
pub(super) fn clear(draft: &mut Draft<'_>, node: NodeKey, shape: &Shape) -> Option<GpuSet> {
    let has_room = |draft: &Draft<'_>| draft.index.fleet().room_for(node, shape).is_some();
    end_in_the_way(draft, node, has_room)?;
    draft.index.fleet.now().room_for(node, shape)
}

/// The same for these very GPUs.
pub(super) fn clear_on(
    draft: &mut Draft<'_>,
    node: NodeKey,
    (shape, gpus): (&Shape, GpuSet),
) -> Option<()> {
    let has_room = |draft: &Draft<'_>| draft.index.fleet().has_room_on(node, shape, gpus);
    end_in_the_way(draft, node, has_room)
}

fn end_in_the_way(
    draft: &mut Draft<'_>,
    node: NodeKey,
    has_room: impl Fn(&Draft<'_>) -> bool,
) -> Option<()> {
    for id in in_the_way(draft, node, has_room)? {
        if let Some(lease) = draft.state.leases.get(&id) {
            lease::end(draft, id, lease, EndReason::GaveWay, draft.now);
            after_end(draft, lease, EndReason::GaveWay);
        }
    }
    Some(())
}

/// The spot leases that are to end for there to be room: one if one is enough, and the youngest
/// first: those that ran longest have most to lose.
fn in_the_way(
    draft: &mut Draft<'_>,
    node: NodeKey,
    has_room: impl Fn(&Draft<'_>) -> bool,
) -> Option<Vec<LeaseId>> {
    let mut trial = Trial::new(draft, node);
    let has_room = |trial: &Trial<'_, '_>| has_room(trial.draft);
    let all = 0..trial.leases.len();
    if !has_room(&trial) && !all.clone().any(|at| trial.helps_alone(at, &has_room)) {
        let _enough = all.clone().any(|at| {
            trial.end(at);
            has_room(&trial)
        });
        // The oldest are spared first.
        for at in all.rev() {
            trial.spare_unless_needed(at, &has_room);
        }
    }
    let helped = has_room(&trial);
    let ended = trial.over();
    helped.then_some(ended)
}

/// Spot leases of a node ended for the sake of looking at what is free then.
struct Trial<'d, 'a> {
    draft: &'d mut Draft<'a>,
    node: NodeKey,
    /// The youngest first, and whether it is ended.
    leases: Vec<(LeaseId, &'a Lease, bool)>,
}

impl<'d, 'a> Trial<'d, 'a> {
    fn new(draft: &'d mut Draft<'a>, node: NodeKey) -> Self {
        draft.index.settle();
        let state = draft.state;
        let on = state
            .nodes
            .get(&node)
            .into_iter()
            .flat_map(|node| &node.leases);
        let leases = on.filter(|id| draft.may_give_way(**id));
        let leases = leases.filter_map(|id| state.leases.get(id).map(|lease| (*id, lease, false)));
        let spot = |lease: &Lease| Layer::of_workload(state, lease.workload) == Layer::Spot;
        let mut leases: Vec<_> = leases.filter(|(_, lease, _)| spot(lease)).collect();
        leases.sort_by_key(|(id, lease, _)| std::cmp::Reverse((lease.granted, *id)));
        Self {
            draft,
            node,
            leases,
        }
    }

    fn end(&mut self, at: usize) {
        let (_, lease, ended) = &mut self.leases[at];
        if !std::mem::replace(ended, true) {
            let held = (&lease.shape, lease.gpus());
            done(self.draft.index.release(self.node, held, Layer::Spot));
        }
    }

    fn spare(&mut self, at: usize) {
        let (_, lease, ended) = &mut self.leases[at];
        if std::mem::replace(ended, false) {
            let held = (&lease.shape, lease.gpus());
            done(self.draft.index.hold(self.node, held, Layer::Spot));
        }
    }

    fn helps_alone(&mut self, at: usize, has_room: &impl Fn(&Self) -> bool) -> bool {
        self.end(at);
        let helps = has_room(self);
        if !helps {
            self.spare(at);
        }
        helps
    }

    fn spare_unless_needed(&mut self, at: usize, has_room: &impl Fn(&Self) -> bool) {
        if self.leases[at].2 {
            self.spare(at);
            if !has_room(self) {
                self.end(at);
            }
        }
    }

    /// Those that are ended; all are held again.
    fn over(mut self) -> Vec<LeaseId> {
        let ended = self.leases.iter().filter(|(_, _, ended)| *ended);
        let ended = ended.map(|(id, _, _)| *id).collect();
        for at in 0..self.leases.len() {
            self.spare(at);
        }
        ended
    }
}
