//! A child process in a group of its own, that dies with the daemon.
//!
//! One thread spawns the child, waits for it and reaps it: the kernel ties the child's life to the
//! thread that spawned it. Two more read its output. The group is killed before its leader is
//! reaped, so its number cannot belong to anybody else by then.

use std::io::{self, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child as Spawned, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::{Instance, fork, memory};
use crate::exit::Ended;
use crate::logs::Log;

/// How long the last output may take to arrive after the end.
const LAST_OUTPUT_WITHIN: Duration = Duration::from_secs(1);

/// A running child. Dropping it kills its group.
#[derive(Debug)]
pub(crate) struct Child {
    group: Arc<Group>,
    end: oneshot::Receiver<Ended>,
}

/// The group, for as long as its number is ours.
#[derive(Debug, Default)]
struct Group {
    leader: Mutex<Option<Pid>>,
}

impl Child {
    /// Spawns `command`; its output goes to `log`.
    pub(crate) async fn spawn(mut command: Command, log: Log) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        fork::die_with_parent(command.process_group(0));
        let group = Arc::new(Group::default());
        let (started, has_started) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let child = Self {
            group: Arc::clone(&group),
            end,
        };
        let supervisor = thread::Builder::new().name("replica".to_owned());
        supervisor.spawn(move || supervise(command, &log, &group, started, ended))?;
        has_started
            .await
            .map_err(|_| io::Error::other("its supervisor ended"))??;
        Ok(child)
    }
}

impl Instance for Child {
    fn stop(&self) {
        self.group.signal(Signal::SIGTERM);
    }

    fn kill(&self) {
        self.group.signal(Signal::SIGKILL);
    }

    async fn ended(&mut self) -> Ended {
        (&mut self.end).await.unwrap_or_default()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.group.signal(Signal::SIGKILL);
    }
}

impl Group {
    fn signal(&self, signal: Signal) {
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = *leader
            && let Err(error) = killpg(leader, signal)
        {
            tracing::debug!(%leader, %error, "the process group was gone");
        }
    }

    fn set(&self, leader: Option<Pid>) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = leader;
    }
}

fn supervise(
    mut command: Command,
    log: &Log,
    group: &Group,
    started: oneshot::Sender<io::Result<()>>,
    ended: oneshot::Sender<Ended>,
) {
    let memory_kills = memory::kills();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return answer(started, Err(error)),
    };
    let leader = Pid::from_raw(child.id().cast_signed());
    group.set(Some(leader));
    let output = read_output(&mut child, log);
    if started.send(Ok(())).is_err() {
        group.signal(Signal::SIGKILL);
    }

    wait(leader);
    group.signal(Signal::SIGKILL);
    group.set(None);
    let status = child.wait().ok();
    let last = output.recv_timeout(LAST_OUTPUT_WITHIN);
    if matches!(last, Err(RecvTimeoutError::Timeout)) {
        tracing::debug!("something still holds the replica's output open");
    }
    let memory_kill = memory_kills
        .zip(memory::kills())
        .is_some_and(|(before, now)| now > before);
    answer(ended, how(status, memory_kill));
}

fn answer<T>(to: oneshot::Sender<T>, what: T) {
    if to.send(what).is_err() {
        tracing::debug!("nobody waits for this replica any more");
    }
}

/// Waits until the leader has ended, without reaping it.
fn wait(leader: Pid) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(leader), flags) == Err(Errno::EINTR) {}
}

fn how(status: Option<ExitStatus>, memory_kill: bool) -> Ended {
    Ended {
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        memory_kill,
    }
}

/// Reads both outputs into the log. The receiver is disconnected when both have ended.
fn read_output(child: &mut Spawned, log: &Log) -> std::sync::mpsc::Receiver<()> {
    let (open, all_closed) = sync_channel(0);
    if let Some(output) = child.stdout.take() {
        read_into(log.clone(), output, open.clone());
    }
    if let Some(output) = child.stderr.take() {
        read_into(log.clone(), output, open);
    }
    all_closed
}

fn read_into(log: Log, output: impl Read + Send + 'static, open: SyncSender<()>) {
    let read = move || {
        if let Err(error) = log.read(BufReader::new(output)) {
            tracing::debug!(%error, "a replica's output cannot be read");
        }
        drop(open);
    };
    if let Err(error) = thread::Builder::new()
        .name("replica output".to_owned())
        .spawn(read)
    {
        tracing::warn!(%error, "a replica's output is not read");
    }
}
