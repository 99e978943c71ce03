//! The daemon's own end: killed, doubled, stopped in order.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use remuda_node::{ControlAddress, StartError};
use remuda_wire::node::{ExitReason, NodeMessage, ObservedState};

use crate::control::{Control, Terms, find};
use crate::rig::{Rig, assigned, config, lives, process, soon, until};
use crate::roles;

/// A daemon in a process of its own.
fn spawn(state: &Path, control: &ControlAddress) -> Child {
    let (state, id) = (state.to_str().unwrap(), control.id.to_string());
    let at = control.addresses[0].to_string();
    let words = roles::with(
        "roles::daemon",
        &["--state", state, "--control", &id, "--at", &at],
    );
    let mut command = Command::new(&words[0]);
    let mut daemon = command
        .args(&words[1..])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(daemon.stdout.take().unwrap());
    let started = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("started"));
    assert!(started);
    daemon
}

#[tokio::test]
async fn replicas_die_with_a_killed_daemon_and_the_next_one_runs_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut control = Control::start(Terms::default()).await;
    let mut daemon = spawn(folder.path(), &control.address());
    let mut session = control.session().await;
    session
        .assign(vec![assigned(1, 1, process(&["--outcast"]))])
        .await;
    session.until_ready(1, 1).await;
    let pid = session.pid(1, 1).await;
    let outcast = session
        .logged(1, "outcast", 1)
        .await
        .remove(0)
        .parse()
        .unwrap();
    let boot = session.hello.boot;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    until("the replica dies", || !lives(pid)).await;

    let mut daemon = spawn(folder.path(), &control.address());
    let mut session = control.session().await;
    assert!(
        !lives(outcast),
        "what had left its group is found by its mark"
    );
    assert_ne!(session.hello.boot, boot);
    assert_eq!(
        session.hello.holds.generation, 1,
        "the assignment outlives the daemon"
    );
    let exit = session.until_ended(1, 1).await;
    assert_eq!(exit.reason, ExitReason::DaemonRestarted);
    session.until_ready(1, 1).await;
    // Its log outlives the daemon, so the second run is the second of it.
    assert_ne!(session.pid(1, 2).await, pid);
    let outcast: i32 = session.logged(1, "outcast", 2).await[1].parse().unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    kill(Pid::from_raw(outcast), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_state_folder_has_one_daemon() {
    let (rig, _session) = Rig::start().await;
    let second = remuda_node::start(config(rig.folder.path(), rig.control.address())).await;
    let error = second.unwrap_err();
    assert!(matches!(error, StartError::State(_)));
    assert!(
        error.to_string().contains("another node daemon runs"),
        "{error}"
    );
}

#[tokio::test]
async fn a_daemon_that_leaves_waits_until_its_leases_have_moved() {
    let (rig, mut session) = Rig::start().await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    let pid = session.pid(1, 1).await;
    let stopping = tokio::spawn(rig.node.stop());
    soon("leaving", async {
        while session.next().await != NodeMessage::Leaving {}
    })
    .await;
    session.until_ready(1, 1).await;
    assert!(lives(pid) && !stopping.is_finished());
    session.assign(Vec::new()).await;
    assert_eq!(session.until_ended(1, 1).await.reason, ExitReason::Stopped);
    soon("the stop", stopping).await.unwrap();
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_daemon_whose_control_is_gone_waits_for_nobody() {
    let (rig, mut session) = Rig::start_with(Terms::default(), |config| {
        config.policy.leave_grace = std::time::Duration::from_hours(1);
    })
    .await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    let pid = session.pid(1, 1).await;
    let stopping = tokio::spawn(rig.node.stop());
    soon("leaving", async {
        while session.next().await != NodeMessage::Leaving {}
    })
    .await;
    drop(session);
    rig.control.vanish().await;
    soon("the stop", stopping).await.unwrap();
    assert!(!lives(pid));
}

#[tokio::test]
async fn what_control_does_not_move_is_stopped_at_the_end_of_the_grace() {
    let (rig, mut session) = Rig::start_with(Terms::default(), |config| {
        config.policy.leave_grace = std::time::Duration::from_millis(200);
    })
    .await;
    session.assign(vec![assigned(1, 1, process(&[]))]).await;
    session.until_ready(1, 1).await;
    let pid = session.pid(1, 1).await;
    let stopping = tokio::spawn(rig.node.stop());
    assert_eq!(session.until_ended(1, 1).await.reason, ExitReason::Stopped);
    soon("the stop", stopping).await.unwrap();
    assert!(!lives(pid));

    // The next daemon runs it again: control still wants it.
    let mut control = rig.control;
    let node = remuda_node::start(config(rig.folder.path(), control.address()))
        .await
        .unwrap();
    let mut session = control.session().await;
    let ready = session.until_ready(1, 1).await;
    assert_eq!(ready.state, ObservedState::Ready);
    assert!(find(&session.hello.replicas, 1, 1).is_some());
    drop(node);
}
