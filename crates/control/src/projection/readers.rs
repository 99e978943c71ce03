//! A few connections that read, so that one long statement does not hold up every other reader.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rusqlite::Connection;

/// How many queries run at once.
const READERS: usize = 4;

/// The connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

/// A connection in use; it goes back when it is dropped, in a panic, too.
struct Lent<'a> {
    from: &'a Shared,
    connection: Option<Connection>,
}

impl Readers {
    /// Opens a file that has been opened for writing.
    pub(super) fn open(path: &Path) -> Result<Self, rusqlite::Error> {
        let opened = (0..READERS).map(|_| super::schema::open_reader(path));
        let idle = Mutex::new(opened.collect::<Result<_, _>>()?);
        let returned = Condvar::new();
        let shared = Arc::new(Shared { idle, returned });
        Ok(Self { shared })
    }

    /// Runs a query on the next connection that is free.
    pub(super) fn with<T>(&self, query: impl FnOnce(&Connection) -> T) -> T {
        query(self.shared.lend().connection())
    }
}

impl Shared {
    fn lend(&self) -> Lent<'_> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = idle.pop() {
                let connection = Some(connection);
                return Lent {
                    from: self,
                    connection,
                };
            }
            idle = self
                .returned
                .wait(idle)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Lent<'_> {
    #[expect(
        clippy::expect_used,
        reason = "the connection is taken out only where it is dropped"
    )]
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("lent until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut idle = self
            .from
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
        self.from.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_queries_than_connections_wait_and_all_are_answered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("projections.db");
        drop(super::super::schema::open(&path).unwrap());
        let readers = Readers::open(&path).unwrap();
        let query = |_| {
            let readers = readers.clone();
            std::thread::spawn(move || {
                readers.with(|connection| {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    connection.query_row("select count(*) from event", [], |row| row.get(0))
                })
            })
        };
        let threads: Vec<_> = (0..READERS * 4).map(query).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Ok(0_i64));
        }
        assert_eq!(readers.shared.idle.lock().unwrap().len(), READERS);
    }
}
