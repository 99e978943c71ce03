//! Money in gateways' hands.

use remuda_ledger::Account;
use remuda_network::command::ObservedPhase;
use remuda_network::event::UsageTotal;
use remuda_network::state::EndReason;
use remuda_network::{Command, Event, Policy};
use remuda_types::{Digest, GatewayKey, LeaseId, Money, ProjectId, ProviderId, Span, TrancheId};

use crate::world::{GATEWAY, World, lax, secs, terms, usd};

const TRANCHE: TrancheId = TrancheId::from_u128(1);

struct Door {
    world: World,
    provider: ProviderId,
    project: ProjectId,
    lease: LeaseId,
}

/// A free node, so that all money is the tranche's; a budget of three dollars.
fn door() -> Door {
    let mut world = World::new(lax());
    let (provider, _) = world.node(1, "0.00");
    let (_, project) = world.project(1, "3.00");
    let workload = world.deploy(project, &terms(1), 1);
    let lease = world.only(workload);
    Door {
        world,
        provider,
        project,
        lease,
    }
}

fn post(seq: u64, totals: Vec<UsageTotal>) -> Command {
    Command::PostUsage {
        gateway: GATEWAY,
        tranche: TRANCHE,
        seq,
        totals,
        rows: Digest::default(),
    }
}

impl Door {
    fn open_of(&self, tranche: TrancheId, amount: &str) -> Command {
        Command::OpenTranche {
            gateway: GATEWAY,
            tranche,
            project: self.project,
            amount: usd(amount),
        }
    }

    fn open(&mut self, amount: &str) -> Vec<Event> {
        let open = self.open_of(TRANCHE, amount);
        self.world.run(open)
    }

    fn used(&self, amount: &str) -> Vec<UsageTotal> {
        vec![World::used(self.lease, amount)]
    }

    fn budget(&self) -> Money {
        self.world.available(Account::ProjectBudget(self.project))
    }

    fn left(&self) -> Money {
        self.world.state().tranches[&TRANCHE].left
    }
}

#[test]
fn usage_is_paid_from_the_tranche_and_split_and_the_rest_goes_back() {
    let mut door = door();
    door.open("2.00");
    assert_eq!(door.budget(), usd("1.00"));
    let twice = [door.used("0.25"), door.used("0.25")].concat();
    door.world.run(post(1, twice));
    assert_eq!((door.budget(), door.left()), (usd("1.00"), usd("1.50")));
    let shares = [
        Account::ProviderHeld(door.provider),
        Account::PlatformFee,
        Account::InsurancePool,
    ]
    .map(|account| door.world.posted(account));
    assert_eq!(shares, [usd("0.47"), usd("0.025"), usd("0.005")]);
    door.world.run(Command::CloseTranche {
        gateway: GATEWAY,
        tranche: TRANCHE,
    });
    assert_eq!(door.budget(), usd("2.50"));
}

#[test]
fn a_post_counts_once_and_in_order() {
    let mut door = door();
    door.open("2.00");
    let (first, third) = (post(1, door.used("0.50")), post(3, door.used("0.50")));
    door.world.run(first.clone());
    assert!(door.world.run(first).is_empty());
    assert_eq!(door.left(), usd("1.50"));
    assert_eq!(
        door.world.refused(third),
        "post 3 does not follow post 1 of this tranche"
    );
}

#[test]
fn no_more_is_posted_than_is_left_and_what_is_empty_leaves_no_trace() {
    let mut door = door();
    door.open("2.00");
    let (over, all) = (post(1, door.used("2.000001")), post(1, door.used("2.00")));
    assert_eq!(
        door.world.refused(over),
        "the post of 2.000001 USD is over the 2.000000 left in the tranche"
    );
    door.world.run(all);
    door.world.run(Command::CloseTranche {
        gateway: GATEWAY,
        tranche: TRANCHE,
    });
    assert_eq!(door.world.state().ledger.reservations().count(), 0);
}

#[test]
fn a_tranche_is_as_large_as_the_policy_and_the_budget_allow() {
    let mut door = door();
    door.open("100.00");
    assert_eq!(door.left(), usd("3.00"));
    let more = door.open_of(TrancheId::from_u128(2), "1.00");
    assert_eq!(
        door.world.refused(more),
        "the project's budget has 0.000000 USD left, 0.000001 are needed: fund it with `remuda ledger fund`"
    );
    assert!(door.open("1.00").is_empty());
}

/// What a project of so much has before and gets as its first tranche, beside a lease of 3.60 USD/h.
fn first_tranche(policy: Policy, budget: &str) -> (Money, Money) {
    let mut world = World::new(policy);
    world.node(1, "7.20");
    let (_, project) = world.project(1, budget);
    world.deploy(project, &terms(1), 1);
    let before = world.available(Account::ProjectBudget(project));
    world.run(Command::OpenTranche {
        gateway: GATEWAY,
        tranche: TRANCHE,
        project,
        amount: usd("300.00"),
    });
    (before, world.state().tranches[&TRANCHE].left)
}

#[test]
fn a_tranche_leaves_the_leases_of_its_project_what_they_cost_meanwhile() {
    let of_a_day = |budget| first_tranche(lax(), budget);
    assert_eq!(
        of_a_day("300.00"),
        (usd("213.60"), usd("5.00")),
        "the policy's most"
    );
    assert_eq!(of_a_day("90.00"), (usd("3.60"), usd("1.80")), "half of it");
    let of_a_minute = Policy {
        slice: secs(60),
        ..lax()
    };
    let hour = first_tranche(of_a_minute, "8.00");
    assert_eq!(
        hour,
        (usd("7.94"), usd("4.34")),
        "all but an hour of the lease"
    );
}

#[test]
fn what_is_left_is_voided_when_nothing_more_may_arrive() {
    let mut door = door();
    door.open("2.00");
    door.world.tick_after(secs(4_199));
    assert_eq!(door.left(), usd("2.00"));
    door.world.tick_after(secs(1));
    assert_eq!(door.budget(), usd("3.00"));
    let late = post(1, door.used("0.50"));
    assert_eq!(
        door.world.refused(late),
        format!("there is no tranche {TRANCHE}")
    );
}

#[test]
fn a_control_that_was_away_for_long_hears_its_gateways_before_it_voids_anything() {
    let mut door = door();
    door.open("1.00");
    door.world.wait(Span::DAY);
    door.world.run(Command::Tick { adopting: true });
    let used = door.used("0.10");
    door.world.run(post(1, used));
    assert_eq!(door.left(), usd("0.90"));
}

#[test]
fn usage_of_a_lease_that_ended_a_short_while_ago_is_still_paid() {
    let mut door = door();
    door.world.see(door.lease, ObservedPhase::Ready);
    door.open("2.00");
    door.world
        .see(door.lease, ObservedPhase::Ended(EndReason::Crashed));
    let used = post(1, door.used("1.00"));
    door.world.wait(secs(3_000));
    door.world.run(used);
    assert_eq!(
        door.world.posted(Account::ProviderHeld(door.provider)),
        usd("0.94")
    );
    door.world.tick_after(secs(3_600));
    assert!(!door.world.state().ended_leases.contains_key(&door.lease));
}

#[test]
fn a_tranche_is_one_gateways_and_one_projects() {
    let mut door = door();
    door.open("2.00");
    let other = GatewayKey([8; 32]);
    let gateway = other;
    let text = door.world.refused(Command::CloseTranche {
        gateway,
        tranche: TRANCHE,
    });
    assert_eq!(text, "the tranche belongs to another gateway");
    let (_, stranger) = door.world.project(2, "1.00");
    let tranche = TrancheId::from_u128(2);
    door.world.run(Command::OpenTranche {
        gateway: GATEWAY,
        tranche,
        project: stranger,
        amount: usd("1.00"),
    });
    let budget = door.world.available(Account::ProjectBudget(stranger));
    door.world.run(Command::PostUsage {
        gateway: GATEWAY,
        tranche,
        seq: 1,
        totals: door.used("0.10"),
        rows: Digest::default(),
    });
    // It is not charged for what another project used.
    door.world.run(Command::CloseTranche {
        gateway: GATEWAY,
        tranche,
    });
    let left = door.world.available(Account::ProjectBudget(stranger));
    assert_eq!(left.saturating_sub(budget), usd("1.00"));
}

#[test]
fn usage_of_a_lease_that_nobody_knows_is_charged_to_nobody_and_later_posts_stand() {
    let mut door = door();
    door.open("1.00");
    let unknown = UsageTotal {
        lease: LeaseId::from_u128(77),
        ..door.used("0.40")[0]
    };
    let known = door.used("0.10")[0];
    door.world.run(post(1, vec![unknown, known]));
    assert_eq!(door.left(), usd("0.90"));
    let later = door.used("0.20");
    door.world.run(post(2, later));
    assert_eq!(door.left(), usd("0.70"));
}
