//! Responses that clients asked to keep, so that later requests can go on from them: in a file of this
//! gateway, for so long and a few minutes.
//!
//! Another gateway does not know them. They are a tenant's text: the file is only its owner's to read,
//! and who does not want them there says `store: false`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remuda_types::{ProjectId, Time};
use rusqlite::{Connection, OptionalExtension, params};
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

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
    /// How many bytes of a project's responses are kept; the oldest make room.
    pub most_bytes_of_project: u64,
    /// How many bytes one conversation may have that is to be kept.
    pub most_bytes: usize,
}

impl Default for Policy {
    /// A week, and enough for busy agents.
    fn default() -> Self {
        Self {
            kept_for: Duration::from_hours(7 * 24),
            most_of_project: 10_000,
            most_bytes_of_project: 256 << 20,
            most_bytes: 1 << 20,
        }
    }
}

/// How often what has lapsed is removed.
const PURGE_EVERY: Duration = Duration::from_mins(10);

/// A response that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Each is JSON.
    pub(crate) object: String,
    pub(crate) input: String,
    pub(crate) history: String,
}

type Pending = BTreeMap<(ProjectId, String), Kept>;

/// All of them.
#[derive(Debug)]
pub(crate) struct Responses {
    policy: Policy,
    database: Arc<Mutex<Connection>>,
    /// Those that are not written yet.
    pending: Arc<Mutex<Pending>>,
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
        let path = state_dir.join("responses.db");
        let mut options = OpenOptions::new();
        // The files beside it get its mode. What is wrong with the path, opening it says better.
        drop(options.create(true).append(true).mode(0o600).open(&path));
        let database = Connection::open(path)?;
        database.busy_timeout(Duration::from_secs(5))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        // What a power failure takes was no promise.
        database.pragma_update(None, "synchronous", "NORMAL")?;
        database.pragma_update(None, "secure_delete", true)?;
        database.execute_batch(TABLES)?;
        Ok(Self {
            policy,
            database: Arc::new(Mutex::new(database)),
            pending: Arc::default(),
            running: Mutex::default(),
        })
    }

    /// Keeps a new response.
    pub(crate) async fn keep(
        &self,
        project: ProjectId,
        id: String,
        kept: Kept,
        now: Time,
    ) -> Result<(), StoreError> {
        let policy = self.policy;
        self.run(move |database| {
            insert(database, project, &id, &kept, now)?;
            make_room(database, project, policy, now)
        })
        .await
    }

    /// Keeps a new response, which can be read at once, without waiting until it is written.
    pub(crate) fn keep_soon(
        self: &Arc<Self>,
        project: ProjectId,
        id: String,
        kept: Kept,
        now: Time,
    ) -> impl Future<Output = ()> + Send + 'static {
        let key = (project, id);
        lock(&self.pending).insert(key.clone(), kept);
        let (store, policy) = (Arc::clone(self), self.policy);
        async move {
            let pending = Arc::clone(&store.pending);
            let written = store.run(move |database| {
                // One that was forgotten meanwhile is not there any more.
                let Some(kept) = lock(&pending).remove(&key) else {
                    return Ok(());
                };
                insert(database, key.0, &key.1, &kept, now)?;
                make_room(database, key.0, policy, now)
            });
            // Why it failed was logged where it did.
            written.await.unwrap_or_default();
        }
    }

    /// What a kept response came to; one that was forgotten stays so.
    pub(crate) async fn update(
        &self,
        project: ProjectId,
        id: String,
        kept: Kept,
    ) -> Result<(), StoreError> {
        self.run(move |database| {
            let update =
                "UPDATE responses SET object = ?3, history = ?4 WHERE project = ?1 AND id = ?2";
            let mut update = database.prepare_cached(update)?;
            update.execute(params![bytes(project), id, kept.object, kept.history])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn get(
        &self,
        project: ProjectId,
        id: String,
        now: Time,
    ) -> Result<Option<Kept>, StoreError> {
        if let Some(kept) = lock(&self.pending).get(&(project, id.clone())) {
            return Ok(Some(kept.clone()));
        }
        let since = oldest(self.policy, now);
        self.run(move |database| {
            let get = "SELECT object, input, history FROM responses WHERE project = ?1 AND id = ?2 AND created >= ?3";
            let mut get = database.prepare_cached(get)?;
            let found = get.query_row(params![bytes(project), id, since], |row| {
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
        let pending = Arc::clone(&self.pending);
        self.run(move |database| {
            let forget = "DELETE FROM responses WHERE project = ?1 AND id = ?2";
            let written = database.execute(forget, params![bytes(project), id])?;
            let waited = lock(&pending).remove(&(project, id)).is_some();
            Ok(written > 0 || waited)
        })
        .await
    }

    /// Removes what has lapsed, of whatever project.
    async fn purge(&self, now: Time) -> Result<(), StoreError> {
        let since = oldest(self.policy, now);
        self.run(move |database| {
            let purge = "DELETE FROM responses WHERE created < ?1";
            database.execute(purge, params![since])?;
            // What was deleted is to be gone from the log as well.
            database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })
        .await
    }

    /// How many bytes one conversation may have that is to be kept.
    pub(crate) const fn most_bytes(&self) -> usize {
        self.policy.most_bytes
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
        lock(&self.running)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        let worked = tokio::task::spawn_blocking(move || work(&lock(&database)));
        let broke_off = |_| StoreError(Arc::new(rusqlite::Error::UnwindingPanic));
        Ok(worked.await.map_err(broke_off)??)
    }
}

fn oldest(policy: Policy, now: Time) -> i64 {
    let kept_for = u64::try_from(policy.kept_for.as_millis()).unwrap_or(u64::MAX);
    now.as_millis().saturating_sub(kept_for).cast_signed()
}

fn insert(
    database: &Connection,
    project: ProjectId,
    id: &str,
    kept: &Kept,
    now: Time,
) -> rusqlite::Result<()> {
    let Kept {
        object,
        input,
        history,
    } = kept;
    let created = now.as_millis().cast_signed();
    database
        .prepare_cached("INSERT OR REPLACE INTO responses VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![bytes(project), id, created, object, input, history])?;
    Ok(())
}

fn make_room(
    database: &Connection,
    project: ProjectId,
    policy: Policy,
    now: Time,
) -> rusqlite::Result<()> {
    let lapsed = "DELETE FROM responses WHERE project = ?1 AND created < ?2";
    database
        .prepare_cached(lapsed)?
        .execute(params![bytes(project), oldest(policy, now)])?;
    let too_many = "DELETE FROM responses WHERE project = ?1 AND id IN (
        SELECT id FROM (
            SELECT id,
                row_number() OVER newest AS nth,
                sum(length(object) + length(input) + length(history)) OVER newest AS so_far
            FROM responses WHERE project = ?1
            WINDOW newest AS (ORDER BY created DESC, id DESC)
        ) WHERE nth > ?2 OR so_far > ?3)";
    let most_bytes = i64::try_from(policy.most_bytes_of_project).unwrap_or(i64::MAX);
    database.prepare_cached(too_many)?.execute(params![
        bytes(project),
        policy.most_of_project,
        most_bytes
    ])?;
    Ok(())
}

fn bytes(project: ProjectId) -> [u8; 16] {
    project.as_u128().to_be_bytes()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what has lapsed until the gateway stops.
pub(crate) async fn keep_purging(gateway: Arc<Gateway>) {
    loop {
        // Why it failed was logged where it did; it is tried again.
        let purged = gateway.responses.purge(gateway.clock.now()).await;
        purged.unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(PURGE_EVERY) => {}
            () = gateway.stop.cancelled() => return,
        }
    }
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

    fn store() -> (tempfile::TempDir, Arc<Responses>) {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy {
            kept_for: Duration::from_secs(10),
            most_of_project: 2,
            most_bytes_of_project: 1_000,
            ..Policy::default()
        };
        let store = Responses::open(dir.path(), policy).unwrap();
        (dir, Arc::new(store))
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
        let now = Time::from_millis(32_000);
        let long = kept(&"x".repeat(996));
        store.keep(MINE, "d".to_owned(), long, now).await.unwrap();
        assert!(
            !has(&store, MINE, "c", 32_000).await,
            "c and d have too many bytes"
        );
        assert!(has(&store, MINE, "d", 32_000).await);
        store.purge(Time::from_millis(42_001)).await.unwrap();
        assert!(!has(&store, MINE, "d", 32_000).await);
    }

    #[tokio::test]
    async fn what_is_to_be_written_can_be_read_and_what_was_forgotten_stays_so() {
        let (_dir, store) = store();
        let now = Time::from_millis(20_000);
        let written = store.keep_soon(MINE, "a".to_owned(), kept("1"), now);
        assert!(has(&store, MINE, "a", 20_000).await);
        assert!(store.forget(MINE, "a".to_owned()).await.unwrap());
        written.await;
        assert!(!has(&store, MINE, "a", 20_000).await);
        store.update(MINE, "a".to_owned(), kept("2")).await.unwrap();
        assert!(!has(&store, MINE, "a", 20_000).await);
        store.keep_soon(MINE, "b".to_owned(), kept("1"), now).await;
        store.update(MINE, "b".to_owned(), kept("2")).await.unwrap();
        let found = store.get(MINE, "b".to_owned(), now).await.unwrap();
        assert_eq!(found.map(|kept| kept.object).as_deref(), Some("2"));
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
