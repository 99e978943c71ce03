//! Joining, reporting, and working on without control.

use remuda_types::{Class, Span};
use remuda_wire::node::{
    Assigned, ExitReason, LogsRequest, NodeReply, NodeRequest, ObservedState, SessionRefused,
    Wanted,
};
use remuda_wire::probe::Ping;

use crate::control::{Control, Terms, find, now};
use crate::rig::{Rig, assigned, config, lease, lives, process, soon, until};

#[tokio::test]
async fn a_node_joins_and_runs_a_process() {
    let (rig, mut session) = Rig::start_with(Terms::default(), |config| {
        config.class = Some(Class::CPU);
        config.capacity.memory_mib = Some(512);
    })
    .await;
    let hello = &session.hello;
    assert_eq!(hello.inventory.class, Class::CPU);
    assert_eq!(hello.inventory.capacity.memory_mib, 512);
    assert_eq!(hello.enrolment.as_ref().unwrap().provider_key, "key");
    assert_eq!(hello.addresses, rig.node.addresses());
    assert!(hello.replicas.is_empty());
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    let environment = session.logged(1, "environment", 1).await.remove(0);
    assert!(
        environment.contains("PATH") && environment.contains("OWN"),
        "{environment}"
    );
    assert!(
        !environment.contains("HOME") && !environment.contains("CARGO"),
        "{environment}"
    );
    let ping = Ping { nonce: 3 };
    assert_eq!(
        session.ask(NodeRequest::Ping(ping)).await,
        NodeReply::Pong(ping)
    );
    let unknown = LogsRequest {
        lease: lease(9),
        tail: 1,
    };
    assert_eq!(
        session.ask(NodeRequest::Logs(unknown)).await,
        NodeReply::Unknown
    );
    let pid = session.pid(1, 1).await;
    session.assign(Vec::new()).await;
    assert_eq!(session.until_ended(1, 1).await.reason, ExitReason::Stopped);
    assert!(!lives(pid));
    // Once control has surely heard of the end, it is forgotten; its log is not.
    soon("it is forgotten", async {
        while find(&session.report().await.replicas, 1, 1).is_some() {}
    })
    .await;
    assert!(
        session
            .logs(1)
            .await
            .iter()
            .any(|line| line.contains("stopped"))
    );
}

#[tokio::test]
async fn a_workload_outlives_its_control() {
    let (rig, mut session) = Rig::start().await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    let ready = session.until_ready(1, 1).await;
    let pid = session.pid(1, 1).await;
    drop(session);
    let address = rig.control.vanish().await;
    // Longer than the session's patience and several tries to dial.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(lives(pid));
    let mut control = Control::start_at(address, Terms::default()).await;
    let mut session = control.session().await;
    let adopted = find(&session.hello.replicas, 1, 1).unwrap();
    assert_eq!(
        (adopted.state, adopted.since),
        (ObservedState::Ready, ready.since)
    );
    assert_eq!(session.hello.holds.generation, 1);
    assert_eq!(session.pid(1, 1).await, pid);
    session.until_ready(1, 1).await;
    assert!(lives(pid));
}

#[tokio::test]
async fn older_assignments_are_not_taken() {
    let (_rig, mut session) = Rig::start().await;
    session
        .assign_as(2, 5, vec![assigned(1, 1, process(&[]))])
        .await;
    session.until_ready(1, 1).await;
    let pid = session.pid(1, 1).await;
    session.assign_as(2, 4, Vec::new()).await;
    session.assign_as(1, 99, Vec::new()).await;
    // A newer one is taken after both, so they have been looked at by then.
    session
        .assign_as(
            2,
            6,
            vec![assigned(1, 1, process(&[])), assigned(2, 1, process(&[]))],
        )
        .await;
    session.until_ready(2, 1).await;
    let report = session.report().await;
    assert_eq!((report.holds.epoch, report.holds.generation), (2, 6));
    assert_eq!(
        find(&report.replicas, 1, 1).unwrap().state,
        ObservedState::Ready
    );
    assert!(lives(pid));
}

#[tokio::test]
async fn a_hard_end_needs_no_control() {
    let (rig, mut session) = Rig::start().await;
    let mut ending = assigned(1, 1, process(&[]));
    ending.hard_end = now() + remuda_types::Span::from_secs(6);
    session
        .assign(vec![ending, assigned(2, 1, process(&[]))])
        .await;
    session.until_ready(1, 1).await;
    session.until_ready(2, 1).await;
    let (ending, staying) = (session.pid(1, 1).await, session.pid(2, 1).await);
    drop(session);
    let address = rig.control.vanish().await;
    until("the lease ends", || !lives(ending)).await;
    assert!(lives(staying));
    let mut control = Control::start_at(address, Terms::default()).await;
    let session = control.session().await;
    let ended = find(&session.hello.replicas, 1, 1).unwrap();
    let ObservedState::Ended(exit) = ended.state else {
        panic!("{ended:?}")
    };
    assert_eq!(exit.reason, ExitReason::LeaseEnded);
}

fn refusal(detail: &str, retry: bool) -> Terms {
    let detail = detail.to_owned();
    Terms {
        refused: Some(SessionRefused { detail, retry }),
        ..Terms::default()
    }
}

#[tokio::test]
async fn a_refusal_for_good_ends_the_daemon_and_another_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut control = Control::start(refusal("no such site", true)).await;
    let node = remuda_node::start(config(folder.path(), control.address()))
        .await
        .unwrap();
    let coming = tokio::time::timeout(std::time::Duration::from_secs(2), async {
        tokio::select! {
            _ = control.session() => {}
            _ = node.refused() => {}
        }
    });
    assert!(coming.await.is_err(), "it keeps trying");
    let address = control.vanish().await;
    let mut control = Control::start_at(address, refusal("no such site", false)).await;
    let refused = tokio::select! {
        refused = soon("a refusal", node.refused()) => refused,
        _ = control.session() => panic!("it was refused"),
    };
    assert_eq!(
        refused.to_string(),
        "control refuses this node: no such site"
    );
    soon("the stop", node.stop()).await;
}

/// One thread runs the daemon and all else here, so that whatever holds it up stops them all.
#[tokio::test]
async fn a_node_tells_a_control_that_comes_back_when_it_stood_still() {
    let (rig, mut session) = Rig::start().await;
    assert!(session.hello.pauses.is_empty());
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    drop(session);
    let address = rig.control.vanish().await;
    std::thread::sleep(std::time::Duration::from_secs(2));
    let mut control = Control::start_at(address, Terms::default()).await;
    let session = control.session().await;
    let pauses = &session.hello.pauses;
    assert!(
        pauses.iter().any(|pause| pause.lasted_ms >= 2_000),
        "{pauses:?}"
    );
}

#[tokio::test]
async fn a_refused_node_shows_the_systems_clock_and_then_its_own_again() {
    let ahead = Terms {
        ahead: Span::HOUR,
        ..Terms::default()
    };
    let (rig, mut session) = Rig::start_with(ahead, |_| {}).await;
    // It has heard the welcome.
    session.report().await;
    drop(session);
    let address = rig.control.vanish().await;
    let mut control = Control::start_at(address, refusal("its clock is wrong", true)).await;
    for is_ahead in [true, false, true] {
        let shown = control.refusal().await.clock;
        assert_eq!(shown > now() + Span::from_secs(1_800), is_ahead);
    }
}

#[tokio::test]
async fn the_owner_can_watch() {
    let (rig, mut session) = Rig::start_with(Terms::default(), |config| {
        config.metrics = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    let text = rig.page("/metrics").await;
    for line in [
        "remuda_node_session_up 1",
        r#"remuda_node_replicas{state="ready"} 1"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(rig.page("/health").await.ends_with("ok\n"));
}

#[tokio::test]
async fn a_process_drains_until_its_deadline() {
    let (_rig, mut session) = Rig::start().await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    let deadline = now() + remuda_types::Span::from_secs(1);
    let draining = Assigned {
        wanted: Wanted::Drain(deadline),
        ..assigned(1, 1, process(&[]))
    };
    session.assign(vec![draining]).await;
    session
        .until("draining", 1, 1, |state| *state == ObservedState::Draining)
        .await;
    let exit = session.until_ended(1, 1).await;
    assert_eq!(exit.reason, ExitReason::Stopped);
    assert!(now() >= deadline);
}
