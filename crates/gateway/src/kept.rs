//! Responses that clients asked to keep, so that later requests can go on from them: in a file of this
//! gateway, for so long and no longer.
//!
//! Another gateway does not know them. They are a tenant's text: the file is only its owner's to read,
//! and who does not want them there says `store: false`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remuda_types::{ProjectId, Time};
use rusqlite::{Connection, OptionalExtension, params};
use tokio_util::sync::CancellationToken;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS responses (
    project BLOB NOT NULL,
    id      TEXT NOT NULL,
    created INTEGER NOT NULL,
    -- The response, as it is shown.
    object  TEXT NOT NULL,
    -- The items of the request.
    input   TEXT NOT NULL,
    -- All items up to and with the answer, for the next request.
    history TEXT NOT NULL,
    PRIMARY KEY (project, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON responses (project, created);
PRAGMA user_version = 1;
";

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long a response can be gone on from.
    pub kept_for: Duration,
    /// How many responses of a project are kept; the oldest make room.
    pub most_of_project: u32,
}

impl Default for Policy {
    /// A week, and enough for a busy agent.
    fn default() -> Self {
        Self {
            kept_for: Duration::from_hours(7 * 24),
            most_of_project: 10_000,
        }
    }
}

/// A response that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Each is JSON.
    pub(crate) object: String,
    pub(crate) input: String,
    pub(crate) history: String,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Responses {
    policy: Policy,
    database: Arc<Mutex<Connection>>,
    /// Those that are being made in the background, by id, and what ends them.
    running: Mutex<BTreeMap<String, CancellationToken>>,
}

/// The file cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("kept responses cannot be read or written now")]
pub struct StoreError(#[source] Arc<rusqlite::Error>);

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "the file of kept responses cannot be used");
        Self(Arc::new(error))
    }
}

impl Responses {
    pub(crate) fn open(state_dir: &Path, policy: Policy) -> Result<Self, StoreError> {
        let database = Connection::open(state_dir.join("responses.db"))?;
        database.busy_timeout(Duration::from_secs(5))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        // What a power failure takes was no promise.
        database.pragma_update(None, "synchronous", "NORMAL")?;
        database.pragma_update(None, "secure_delete", true)?;
        database.execute_batch(TABLES)?;
        Ok(Self {
            policy,
            database: Arc::new(Mutex::new(database)),
            running: Mutex::default(),
        })
    }

    /// Keeps a response, in place of an earlier state of itself.
    pub(crate) async fn keep(
        &self,
        project: ProjectId,
        id: String,
        kept: Kept,
        now: Time,
    ) -> Result<(), StoreError> {
        let policy = self.policy;
        self.run(move |database| {
            let keep = "INSERT OR REPLACE INTO responses VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let Kept {
                object,
                input,
                history,
            } = kept;
            let project = project.as_u128().to_be_bytes();
            let created = now.as_millis().cast_signed();
            database
                .prepare_cached(keep)?
                .execute(params![project, id, created, object, input, history])?;
            make_room(database, project, policy, now)
        })
        .await
    }

    pub(crate) async fn get(
        &self,
        project: ProjectId,
        id: String,
        now: Time,
    ) -> Result<Option<Kept>, StoreError> {
        let since = oldest(self.policy, now);
        self.run(move |database| {
            let get = "SELECT object, input, history FROM responses WHERE project = ?1 AND id = ?2 AND created >= ?3";
            let mut get = database.prepare_cached(get)?;
            let found = get.query_row(params![project.as_u128().to_be_bytes(), id, since], |row| {
                Ok(Kept {
                    object: row.get(0)?,
                    input: row.get(1)?,
                    history: row.get(2)?,
                })
            });
            found.optional()
        })
        .await
    }

    /// Whether there was one.
    pub(crate) async fn forget(&self, project: ProjectId, id: String) -> Result<bool, StoreError> {
        let forget = "DELETE FROM responses WHERE project = ?1 AND id = ?2";
        self.run(move |database| {
            let forgotten =
                database.execute(forget, params![project.as_u128().to_be_bytes(), id])?;
            Ok(forgotten > 0)
        })
        .await
    }

    /// A response is being made in the background.
    pub(crate) fn begin(&self, id: &str) -> CancellationToken {
        let cancel = CancellationToken::new();
        self.running().insert(id.to_owned(), cancel.clone());
        cancel
    }

    pub(crate) fn end(&self, id: &str) {
        self.running().remove(id);
    }

    pub(crate) fn is_running(&self, id: &str) -> bool {
        self.running().contains_key(id)
    }

    /// Ends one that is being made; false when it is not.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        match self.running().get(id) {
            Some(cancel) => {
                cancel.cancel();
                true
            }
            None => false,
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        let worked = tokio::task::spawn_blocking(move || {
            work(&database.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let broke_off = |_| StoreError(Arc::new(rusqlite::Error::UnwindingPanic));
        Ok(worked.await.map_err(broke_off)??)
    }
}

fn oldest(policy: Policy, now: Time) -> i64 {
    let kept_for = u64::try_from(policy.kept_for.as_millis()).unwrap_or(u64::MAX);
    now.as_millis().saturating_sub(kept_for).cast_signed()
}

fn make_room(
    database: &Connection,
    project: [u8; 16],
    policy: Policy,
    now: Time,
) -> rusqlite::Result<()> {
    let lapsed = "DELETE FROM responses WHERE project = ?1 AND created < ?2";
    database
        .prepare_cached(lapsed)?
        .execute(params![project, oldest(policy, now)])?;
    let too_many = "DELETE FROM responses WHERE project = ?1 AND id IN
        (SELECT id FROM responses WHERE project = ?1 ORDER BY created DESC, id DESC LIMIT -1 OFFSET ?2)";
    database
        .prepare_cached(too_many)?
        .execute(params![project, policy.most_of_project])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: ProjectId = ProjectId::from_u128(1);
    const OTHERS: ProjectId = ProjectId::from_u128(2);

    fn kept(text: &str) -> Kept {
        Kept {
            object: text.to_owned(),
            input: "[]".to_owned(),
            history: "[]".to_owned(),
        }
    }

    fn store() -> (tempfile::TempDir, Responses) {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy {
            kept_for: Duration::from_secs(10),
            most_of_project: 2,
        };
        let store = Responses::open(dir.path(), policy).unwrap();
        (dir, store)
    }

    async fn has(store: &Responses, project: ProjectId, id: &str, at: u64) -> bool {
        let now = Time::from_millis(at);
        let found = store.get(project, id.to_owned(), now).await.unwrap();
        found.is_some()
    }

    #[tokio::test]
    async fn a_response_is_its_projects_own_and_can_be_forgotten() {
        let (_dir, store) = store();
        let now = Time::from_millis(20_000);
        store
            .keep(MINE, "a".to_owned(), kept("1"), now)
            .await
            .unwrap();
        store
            .keep(MINE, "a".to_owned(), kept("2"), now)
            .await
            .unwrap();
        let found = store.get(MINE, "a".to_owned(), now).await.unwrap();
        assert_eq!(found, Some(kept("2")));
        assert!(!has(&store, OTHERS, "a", 20_000).await);
        assert!(!store.forget(OTHERS, "a".to_owned()).await.unwrap());
        assert!(store.forget(MINE, "a".to_owned()).await.unwrap());
        assert!(!has(&store, MINE, "a", 20_000).await);
    }

    #[tokio::test]
    async fn what_is_old_or_too_much_is_gone() {
        let (_dir, store) = store();
        for (id, at) in [("a", 20_000), ("b", 21_000), ("c", 22_000)] {
            let now = Time::from_millis(at);
            store
                .keep(MINE, id.to_owned(), kept(id), now)
                .await
                .unwrap();
        }
        assert!(!has(&store, MINE, "a", 22_000).await, "the oldest of three");
        assert!(has(&store, MINE, "b", 31_000).await);
        assert!(!has(&store, MINE, "b", 31_001).await);
    }

    #[tokio::test]
    async fn only_what_runs_can_be_cancelled() {
        let (_dir, store) = store();
        assert!(!store.cancel("a"));
        let cancel = store.begin("a");
        assert!(store.cancel("a") && cancel.is_cancelled());
        store.end("a");
        assert!(!store.is_running("a"));
    }
}
