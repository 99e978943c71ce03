//! A lease runs once: a newer epoch ends the older one first.

use remuda_wire::node::{ExitReason, ObservedState};

use crate::control::{Terms, find};
use crate::rig::{Rig, assigned, lives, process, soon};

#[tokio::test]
async fn a_newer_epoch_ends_the_older_one_before_it_starts() {
    let (_rig, mut session) = Rig::start().await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    let old = session.pid(1, 1).await;
    session.assign(vec![assigned(1, 2, process(&[]))]).await;
    let newer_runs = async {
        loop {
            let report = session.report().await;
            let (older, newer) = (find(&report.replicas, 1, 1), find(&report.replicas, 1, 2));
            let newer_runs = newer.is_some_and(|seen| seen.state == ObservedState::Ready);
            let older_runs =
                older.is_some_and(|seen| !matches!(seen.state, ObservedState::Ended(_)));
            assert!(!(newer_runs && older_runs));
            if newer_runs {
                return;
            }
        }
    };
    soon("the newer epoch", newer_runs).await;
    assert!(!lives(old));
    assert_ne!(session.pid(1, 2).await, old);
}

#[tokio::test]
async fn another_spec_replaces_the_replica() {
    let (_rig, mut session) = Rig::start().await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    let old = session.pid(1, 1).await;
    session
        .assign(vec![assigned(1, 1, process(&["--other"]))])
        .await;
    assert_ne!(session.pid(1, 2).await, old);
    session.until_ready(1, 1).await;
    assert!(!lives(old));
}

#[tokio::test]
async fn processes_run_only_where_the_network_allows_them() {
    let terms = Terms {
        processes_allowed: false,
        ..Terms::default()
    };
    let (_rig, mut session) = Rig::start_with(terms, |_| {}).await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    let exit = session.until_ended(1, 1).await;
    assert_eq!(exit.reason, ExitReason::RuntimeRefused);
    assert!(
        exit.detail.contains("policy"),
        "the way out: {}",
        exit.detail
    );
}
