//! What was drawn to fail together is found, and is worth knowing.

use proptest::prelude::*;
use remuda_types::{Span, Time};

use super::*;
use crate::availability::Availability;

const RULE: Rule = Rule {
    window: Span::from_secs(600),
    half_life: Span::from_secs(365 * 86_400),
    lift_milli: 20_000,
};

fn trial(drawn: &Drawn) -> (Trial, BTreeSet<(usize, usize)>) {
    let DrawnRecord { traces, kin } = drawn.draw();
    (Trial::new(Record::of(&traces).unwrap(), &RULE), kin)
}

fn two() -> Replicas {
    Replicas::new(2).unwrap()
}

#[test]
fn groups_that_share_a_fate_are_found_and_kept_off() {
    let (trial, kin) = trial(&Drawn::default());
    let found = trial.kin().intersection(&kin).count();
    let wrong = trial.kin().difference(&kin).count();
    assert!(found * 5 >= kin.len() * 4, "{found} of {}", kin.len());
    assert!(wrong <= 2, "{wrong}");
    let judged = trial.judge(two(), 1_000, 1).unwrap();
    assert!(judged.blind > 3.0 * judged.independent, "{judged:?}");
    assert!(judged.learned < judged.blind / 3.0, "{judged:?}");
    assert!(
        judged.learned < 3.0 * judged.learned_independent,
        "{judged:?}"
    );
}

#[test]
fn where_nothing_is_shared_nothing_is_learned_and_nothing_lost() {
    let drawn = Drawn {
        shared_per_year: 0.0,
        own_per_year: 40.0,
        ..Drawn::default()
    };
    let (trial, _) = trial(&drawn);
    assert!(trial.kin().len() <= 2, "{:?}", trial.kin());
    let judged = trial.judge(two(), 500, 1).unwrap();
    assert!(judged.learned < 1.2 * judged.blind, "{judged:?}");
}

#[test]
fn more_replicas_than_sites_are_not_judged_and_draws_come_back() {
    let drawn = Drawn {
        sites: 4,
        group: 2,
        days: 100,
        ..Drawn::default()
    };
    let (trial, _) = trial(&drawn);
    assert_eq!(trial.judge(Replicas::new(5).unwrap(), 1, 1), None);
    assert_eq!(trial.judge(two(), 50, 3), trial.judge(two(), 50, 3));
}

#[test]
fn traces_that_make_no_record_are_refused() {
    let trace = |ticks: usize| Availability::but_for(Span::HOUR, vec![false; ticks]);
    let refused = |traces: &[Availability]| Record::of(traces).unwrap_err().to_string();
    assert!(refused(&[]).starts_with("0 sites: at least 2"));
    assert!(refused(&[trace(9)]).starts_with("1 sites: at least 2"));
    assert!(refused(&[trace(9), trace(3)]).starts_with("the traces have 3 ticks"));
    assert!(Record::of(&[trace(4), trace(9)]).is_ok());
}

fn downs() -> impl Strategy<Value = Vec<Vec<bool>>> {
    (4_usize..300, 2_usize..5).prop_flat_map(|(ticks, sites)| {
        let site = proptest::collection::vec(proptest::bool::weighted(0.4), ticks);
        proptest::collection::vec(site, sites)
    })
}

proptest! {
    #[test]
    fn halves_are_cut_and_counted_as_they_are_read(downs in downs()) {
        let traces: Vec<_> = downs
            .iter()
            .map(|down| Availability::but_for(Span::HOUR, down.iter().copied()))
            .collect();
        let record = Record::of(&traces).unwrap();
        let ticks = downs[0].len();
        let half = ticks / 2;
        let mut begun = Vec::new();
        for tick in 1..half {
            let sites = (0..downs.len()).filter(|site| downs[*site][tick] && !downs[*site][tick - 1]);
            begun.extend(sites.map(|site| (Time::EPOCH + Span::from_secs(3_600 * tick as u64), site)));
        }
        prop_assert!(record.outages_of_first_half().eq(begun));
        let both = (half..ticks).filter(|tick| downs[0][*tick] && downs[1][*tick]).count();
        let float = |count: usize| f64::from(u32::try_from(count).unwrap());
        let counted = record.all_down(&[0, 1]) * float(ticks - half);
        prop_assert!((counted - float(both)).abs() < 1e-6);
    }
}
