//! The last lines that each lease's replicas wrote: in memory, and in a file that outlives the
//! daemon.
//!
//! A lease's log goes on over its restarts, so the end of the run that crashed can be read while the
//! next one runs. What is kept is bounded: [`LINES`] lines of [`LINE_BYTES`] for each of the last
//! [`LEASES`] leases.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remuda_types::LeaseId;

use crate::files;

/// Lines kept for each lease.
pub(crate) const LINES: usize = 1_000;

/// Bytes kept of each line.
pub(crate) const LINE_BYTES: usize = 4 << 10;

/// Leases whose logs are kept, those that run not counted.
pub(crate) const LEASES: usize = 20;

/// Bytes of one answer, below what a frame holds.
const ANSWER_BYTES: usize = 3 << 20;

/// All logs of a node.
#[derive(Debug)]
pub(crate) struct Logs {
    folder: PathBuf,
    open: Mutex<BTreeMap<LeaseId, Log>>,
}

/// The log of one lease. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    ring: Arc<Mutex<Ring>>,
}

#[derive(Debug)]
struct Ring {
    path: PathBuf,
    lines: VecDeque<String>,
    /// None when it cannot be written.
    file: Option<File>,
    /// Lines in the file; it is written anew when they are twice as many as are kept.
    written: usize,
}

impl Logs {
    /// The logs in a folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            open: Mutex::default(),
        }
    }

    /// The log of a lease that is about to run.
    pub(crate) fn open(&self, lease: LeaseId) -> Log {
        let mut open = locked(&self.open);
        let log = open
            .entry(lease)
            .or_insert_with(|| Log::load(self.path(lease)))
            .clone();
        // A log that only this map holds is of a replica that does not run.
        open.retain(|_, log| !log.is_idle());
        let running: Vec<_> = open.keys().map(|lease| self.path(*lease)).collect();
        prune(&self.folder, &running);
        log
    }

    /// The last `count` lines of a lease, oldest first; nothing when none are kept.
    pub(crate) fn tail(&self, lease: LeaseId, count: usize) -> Option<Vec<String>> {
        let running = locked(&self.open).get(&lease).cloned();
        let lines = match running {
            Some(log) => locked(&log.ring).lines.clone(),
            None => kept(&self.path(lease)).ok()??,
        };
        Some(last(lines, count))
    }

    fn path(&self, lease: LeaseId) -> PathBuf {
        self.folder.join(format!("{lease}.log"))
    }
}

impl Log {
    fn load(path: PathBuf) -> Self {
        let lines = kept(&path).ok().flatten().unwrap_or_default();
        let mut ring = Ring {
            path,
            lines,
            file: None,
            written: 0,
        };
        ring.rewrite();
        Self {
            ring: Arc::new(Mutex::new(ring)),
        }
    }

    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.ring) == 1
    }

    /// Reads lines until the end.
    pub(crate) fn read(&self, mut from: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while read_line(&mut from, &mut line)? {
            self.append(String::from_utf8_lossy(&line).into_owned());
        }
        Ok(())
    }

    /// Adds a line of the daemon's own.
    pub(crate) fn note(&self, text: &str) {
        self.append(format!("--- {text} ---"));
    }

    fn append(&self, line: String) {
        locked(&self.ring).append(line);
    }
}

impl Ring {
    fn append(&mut self, line: String) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        self.written += 1;
        if self.written > 2 * LINES {
            self.rewrite();
        } else {
            self.write_last();
        }
    }

    fn write_last(&mut self) {
        let (Some(file), Some(line)) = (&mut self.file, self.lines.back()) else {
            return;
        };
        if let Err(error) = writeln!(file, "{line}") {
            tracing::warn!(%error, path = %self.path.display(), "a log is not kept any more");
            self.file = None;
        }
    }

    fn rewrite(&mut self) {
        self.written = self.lines.len();
        self.file = write_all(&self.path, &self.lines)
            .inspect_err(
                |error| tracing::warn!(%error, path = %self.path.display(), "a log is not kept"),
            )
            .ok();
    }
}

fn write_all(path: &Path, lines: &VecDeque<String>) -> io::Result<File> {
    let mut file = files::private(path)?;
    let text: String = lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect();
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// Reads one line without its end; the bytes over [`LINE_BYTES`] are dropped. False at the end.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let text = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&text[..text.len().min(LINE_BYTES - line.len())]);
        let used = end.map_or(buffer.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn kept(path: &Path) -> io::Result<Option<VecDeque<String>>> {
    let Some(content) = files::read(path)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&content);
    let lines: VecDeque<_> = text.lines().map(str::to_owned).collect();
    Ok(Some(last(lines, LINES).into()))
}

/// The last `count` lines, fewer where they are too long for one answer.
fn last(lines: VecDeque<String>, count: usize) -> Vec<String> {
    let mut room = ANSWER_BYTES;
    let fits = |line: &String| {
        room = room.saturating_sub(line.len() + 8);
        room > 0
    };
    let mut newest: Vec<_> = lines
        .into_iter()
        .rev()
        .take(count)
        .take_while(fits)
        .collect();
    newest.reverse();
    newest
}

/// Removes the oldest logs over [`LEASES`], those of `running` not counted.
fn prune(folder: &Path, running: &[PathBuf]) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let written = |entry: &fs::DirEntry| entry.metadata().ok()?.modified().ok();
    let mut idle: Vec<_> = entries
        .map(|entry| (written(&entry), entry.path()))
        .filter(|(_, path)| !running.contains(path))
        .collect();
    idle.sort();
    for (_, path) in idle.iter().rev().skip(LEASES) {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(%error, path = %path.display(), "an old log cannot be removed");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lease(n: usize) -> LeaseId {
        LeaseId::from_u128(n as u128)
    }

    #[test]
    fn a_log_is_bounded_and_outlives_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned());
        let log = logs.open(lease(1));
        for n in 0..3 * LINES {
            log.append(n.to_string());
        }
        let tail = logs.tail(lease(1), 5_000).unwrap();
        assert_eq!((tail.len(), tail.last().unwrap().as_str()), (LINES, "2999"));
        let next = Logs::new(folder.path().to_owned());
        assert_eq!(next.tail(lease(1), 2).unwrap(), ["2998", "2999"]);
        next.open(lease(1)).note("starting");
        assert_eq!(
            next.tail(lease(1), 2).unwrap(),
            ["2999", "--- starting ---"]
        );
        assert_eq!(next.tail(lease(2), 2), None);
    }

    #[test]
    fn logs_of_the_last_leases_are_kept_and_of_those_that_run() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned());
        let running = logs.open(lease(0));
        for n in 1..=LEASES + 5 {
            logs.open(lease(n)).note("starting");
        }
        running.note("still here");
        let kept = (1..=LEASES + 5)
            .filter(|n| logs.tail(lease(*n), 1).is_some())
            .count();
        assert!((LEASES..=LEASES + 1).contains(&kept), "{kept}");
        assert_eq!(logs.tail(lease(0), 1).unwrap(), ["--- still here ---"]);
    }

    #[test]
    fn an_answer_fits_a_frame() {
        let lines: VecDeque<_> = (0..LINES).map(|_| "x".repeat(LINE_BYTES)).collect();
        let bytes: usize = last(lines, LINES).iter().map(|line| line.len() + 8).sum();
        assert!(bytes < remuda_wire::frame::MAX_FRAME_BYTES);
    }

    proptest! {
        #[test]
        fn lines_are_cut_never_joined(lengths in proptest::collection::vec(0..3 * LINE_BYTES, 0..8)) {
            let text: Vec<u8> = lengths.iter().flat_map(|n| [vec![b'x'; *n], vec![b'\n']].concat()).collect();
            let mut from = io::BufReader::with_capacity(100, &text[..]);
            let mut line = Vec::new();
            let mut read = Vec::new();
            while read_line(&mut from, &mut line)? {
                read.push(line.len());
            }
            let expected: Vec<_> = lengths.iter().map(|n| (*n).min(LINE_BYTES)).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
