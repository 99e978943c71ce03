//! How replicas end, and what is known of it afterwards.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use remuda_types::Digest;
use remuda_wire::node::{ExitReason, ObservedState};

use crate::control::Terms;
use crate::rig::{Rig, assigned, engine, process, process_with_port};

#[tokio::test]
async fn a_killed_replica_is_restarted_and_its_log_kept() {
    let (_rig, mut session) = Rig::start().await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    for run in 1..=2 {
        let pid = session.pid(1, run).await;
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        let exit = session.until_ended(1, 1).await;
        assert_eq!((exit.reason, exit.signal), (ExitReason::Crashed, Some(9)));
        session.until_ready(1, 1).await;
        assert_ne!(session.pid(1, run + 1).await, pid);
    }
}

#[tokio::test]
async fn exit_codes_are_told() {
    let (_rig, mut session) = Rig::start().await;
    let replicas = [("0", 1), ("3", 2)];
    session
        .assign(
            replicas
                .map(|(code, n)| assigned(n, 1, process(&["--exit", code])))
                .to_vec(),
        )
        .await;
    let done = session.until_ended(1, 1).await;
    assert_eq!((done.reason, done.code), (ExitReason::Completed, Some(0)));
    let failed = session.until_ended(2, 1).await;
    assert_eq!((failed.reason, failed.code), (ExitReason::Crashed, Some(3)));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let (_rig, mut session) = Rig::start().await;
    let mut spec = process(&[]);
    if let remuda_wire::spec::RuntimeSpec::Process(process) = &mut spec.runtime {
        process.command = vec!["no-such-program".to_owned()];
    }
    session.assign(vec![assigned(1, 1, spec)]).await;
    let exit = session.until_ended(1, 1).await;
    assert_eq!(exit.reason, ExitReason::Crashed);
    assert!(exit.detail.contains("cannot be started"), "{}", exit.detail);
}

#[tokio::test]
async fn ready_means_that_a_probe_was_served() {
    let (_rig, mut session) = Rig::start_with(Terms::default(), |config| {
        config.policy.never_ready_after = std::time::Duration::from_secs(5);
    })
    .await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = port.to_string();
    session
        .assign(vec![
            assigned(1, 1, process_with_port(&["--listen", &text], port)),
            assigned(2, 1, process_with_port(&[], 1)),
        ])
        .await;
    session.until_ready(1, 1).await;
    assert_eq!(
        session.until_ended(2, 1).await.reason,
        ExitReason::NeverReady
    );
}

#[tokio::test]
async fn a_model_with_another_digest_is_not_served() {
    let (rig, mut session) = Rig::start().await;
    let path = rig.folder.path().join("origin.gguf");
    std::fs::write(&path, b"not the model").unwrap();
    let url = format!("file://{}?token=secret", path.display());
    session
        .assign(vec![assigned(
            1,
            1,
            engine(Digest::of(b"the model"), 13, &url),
        )])
        .await;
    let exit = session.until_ended(1, 1).await;
    assert_eq!(exit.reason, ExitReason::PrepareFailed);
    assert!(exit.detail.contains("digest"), "{}", exit.detail);
    assert!(!exit.detail.contains("secret"), "{}", exit.detail);
}

#[tokio::test]
async fn a_frozen_engine_is_unhealthy_until_it_thaws() {
    let (rig, mut session) = Rig::start().await;
    session
        .assign(vec![assigned(1, 1, rig.model(b"weights"))])
        .await;
    session.until_ready(1, 1).await;
    let pid = Pid::from_raw(session.pid(1, 1).await);
    kill(pid, Signal::SIGSTOP).unwrap();
    session
        .until("unhealthy", 1, 1, |state| {
            *state == ObservedState::Unhealthy
        })
        .await;
    kill(pid, Signal::SIGCONT).unwrap();
    session.until_ready(1, 1).await;
    assert_eq!(session.pid(1, 1).await, pid.as_raw());
}
