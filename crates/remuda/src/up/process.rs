//! A program of the network as a child of this one: its log, its end, and signals to it.
//!
//! One thread spawns the child, waits for it and reaps it: the kernel ties the child's life to the
//! thread that spawned it, so that no program outlives `remuda up`, however that ends.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::{oneshot, watch};

/// What is to be started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// For people, and for its log's name.
    pub(crate) name: String,
    /// The program and its arguments; never empty.
    pub(crate) command: Vec<OsString>,
    /// Where its output goes; appended.
    pub(crate) log: PathBuf,
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    pid: Pid,
    alive: Arc<Alive>,
    end: watch::Receiver<Option<End>>,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an exit code.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
}

/// The child's number, for as long as it is the child's.
#[derive(Debug, Default)]
struct Alive(Mutex<Option<Pid>>);

impl Process {
    /// Starts `program`.
    pub(crate) async fn start(program: Program) -> io::Result<Self> {
        let Program { name, command, log } = program;
        let command = prepared(&command, &log)?;
        let alive = Arc::new(Alive::default());
        let (started, has_started) = oneshot::channel();
        let (ended, end) = watch::channel(None);
        let (of, thread) = (
            Arc::clone(&alive),
            thread::Builder::new().name(name.clone()),
        );
        thread.spawn(move || supervise(command, &of, started, &ended))?;
        let pid = has_started
            .await
            .map_err(|_| io::Error::other("its supervisor ended"))??;
        Ok(Self {
            name,
            log,
            pid,
            alive,
            end,
        })
    }

    /// For people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its output is.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Its number.
    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, if it did.
    pub(crate) fn end(&self) -> Option<End> {
        *self.end.borrow()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) -> End {
        let mut end = self.end.clone();
        let ended = end
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|end| *end);
        ended.unwrap_or(End::Exited(-1))
    }

    /// Sends a signal; nothing happens when it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        self.alive.signal(signal);
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn kill(&self) -> End {
        self.signal(Signal::SIGKILL);
        self.ended().await
    }

    /// Asks it to stop; kills it when it has not within `grace`.
    pub(crate) async fn stop(&self, grace: Duration) -> End {
        self.signal(Signal::SIGTERM);
        match tokio::time::timeout(grace, self.ended()).await {
            Ok(end) => end,
            Err(_) => self.kill().await,
        }
    }

    /// The last lines of its log, for the error that tells of its end.
    pub(crate) fn last_words(&self) -> String {
        const LINES: usize = 5;
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with exit code {code}"),
            Self::Signalled(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

impl Alive {
    fn signal(&self, signal: Signal) {
        let pid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *pid
            && let Err(error) = kill(pid, signal)
        {
            tracing::debug!(%pid, %error, "the process was gone");
        }
    }

    fn set(&self, pid: Option<Pid>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = pid;
    }
}

/// A group of its own, so that Ctrl-C in the terminal reaches `up` alone, which then stops its
/// children in order.
fn prepared(words: &[OsString], log: &Path) -> io::Result<Command> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    remuda_node::die_with_parent(command.process_group(0));
    Ok(command)
}

fn supervise(
    mut command: Command,
    alive: &Alive,
    started: oneshot::Sender<io::Result<Pid>>,
    ended: &watch::Sender<Option<End>>,
) {
    let spawned = command.spawn();
    // Its copies of the log would keep the file open.
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return started.send(Err(error)).unwrap_or_default(),
    };
    let pid = Pid::from_raw(child.id().cast_signed());
    alive.set(Some(pid));
    // Whoever started it is there, or drops it at once, which kills it.
    started.send(Ok(pid)).unwrap_or_default();
    ended.send_replace(Some(wait(&mut child, pid, alive)));
}

/// Waits for the end. The number is given up before the child is reaped, so that no signal can
/// reach another process of the same number.
fn wait(child: &mut Child, pid: Pid, alive: &Alive) -> End {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
    alive.set(None);
    child.wait().map_or(End::Exited(-1), End::from)
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        let signal = || status.signal().map_or(Self::Exited(-1), Self::Signalled);
        status.code().map_or_else(signal, Self::Exited)
    }
}
