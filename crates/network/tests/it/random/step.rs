//! What may happen in a random history, and how often.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use remuda_ledger::Rail;
use remuda_network::Policy;
use remuda_network::command::{LeaveManner, ObservedPhase};
use remuda_network::state::{EndReason, Terms};
use remuda_types::{Capacity, Money, Shape, Share, Span, Tier, Together, WorkloadKind};

use crate::world::{capacity, lax, terms};

/// What happens next; whom it is about is drawn from what there is then.
#[derive(Clone, Debug)]
pub(super) enum Step {
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
pub(super) enum Ask {
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
    DrainSite,
    Leaving(u8),
    Returned(u8),
    Resume(u8),
    ResumeSite,
    Leave(LeaveManner),
    Tenant(u8),
    TopUp(Money, Rail),
    Project(u8),
    Fund(Money),
    Key(u8),
    Revoke,
    Deploy(Terms, u32),
    Scale(u32),
    Reserve(Terms, u32, u64, u64),
    Cancel,
    Order(Terms, u32, u64),
    CancelOrder,
    Stop,
    See(ObservedPhase, u64),
    Open(u8, Money),
    Post(u8, u64, Money),
    Close(u8),
    /// Quotas for kinds of demand at sites, by their places in the order of sites.
    Plan(Vec<(Terms, Index, u64)>, u64),
    Repack,
    Tick {
        adopting: bool,
    },
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
        replicas_per_standby: limits.0,
        standby_retry_max: Span::from_secs(spans.2),
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
    let tiers = select(Tier::ALL.to_vec());
    let kinds = prop_oneof![Just(WorkloadKind::Service), Just(WorkloadKind::Job)];
    let together = prop_oneof![3 => Just(Together::Anywhere), 1 => Just(Together::Fabric)];
    let wanted = (0_u8..4, shapes(), tiers, kinds, together, shares());
    wanted.prop_map(|(n, shape, tier, kind, together, shares)| Terms {
        shape,
        tier,
        kind,
        together,
        max_owner_share: shares.0,
        max_site_share: shares.1,
        ..terms(n)
    })
}

/// Mostly none; those of more than half are refused by one tier.
fn shares() -> impl Strategy<Value = (Option<Share>, Option<Share>)> {
    let share = || {
        let some = select(vec![1, 25, 34, 50, 67, 100]);
        let some = some.prop_map(|percent| Share::of_percent(percent).ok());
        prop_oneof![3 => Just(None), 1 => some]
    };
    (share(), share())
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
        1 => Just(Ask::DrainSite),
        1 => (0_u8..6).prop_map(Ask::Leaving),
        1 => (0_u8..6).prop_map(Ask::Returned),
        1 => (0_u8..6).prop_map(Ask::Resume),
        1 => Just(Ask::ResumeSite),
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
        4 => (wanted(), 0_u32..4, 0_u64..90, 0_u64..90)
            .prop_map(|(t, n, from, long)| Ask::Reserve(t, n, from, long)),
        1 => Just(Ask::Cancel),
        2 => (wanted(), 0_u32..4, 0_u64..300).prop_map(|(t, n, long)| Ask::Order(t, n, long)),
        1 => Just(Ask::CancelOrder),
        1 => Just(Ask::Stop),
        9 => (phases(), 0_u64..20).prop_map(|(p, e)| Ask::See(p, e)),
        2 => (0_u8..3, amounts()).prop_map(|(n, m)| Ask::Open(n, m)),
        3 => (0_u8..3, 0_u64..4, amounts()).prop_map(|(n, s, m)| Ask::Post(n, s, m)),
        1 => (0_u8..3).prop_map(Ask::Close),
    ]
}

fn plans() -> impl Strategy<Value = Ask> {
    let amount = prop_oneof![Just(0_u64), Just(300), 1_u64..4_000, Just(u64::MAX)];
    let row = (wanted(), any::<Index>(), amount);
    let numbers = prop_oneof![9 => Just(1_u64), 1 => 0_u64..3];
    (vec(row, 0..6), numbers).prop_map(|(rows, ahead)| Ask::Plan(rows, ahead))
}

pub(super) fn steps() -> impl Strategy<Value = Step> {
    let asks = prop_oneof![
        4 => supply(),
        5 => demand(),
        4 => any::<bool>().prop_map(|adopting| Ask::Tick { adopting }),
        1 => Just(Ask::Repack),
        1 => policies().prop_map(Ask::Policy),
        1 => plans(),
    ];
    prop_oneof![
        12 => (asks, any::<Index>(), any::<Index>()).prop_map(|(a, i, j)| Step::Do(Box::new(a), i, j)),
        1 => any::<Index>().prop_map(Step::Again),
        3 => prop_oneof![4 => 0_u64..5_000, 2 => 0_u64..100_000, 1 => Just(86_400_000)].prop_map(Step::Wait),
        2 => phases().prop_map(Step::AllSee),
    ]
}
