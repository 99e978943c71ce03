//! What a data folder needs before anyone can ask for anything: the operator's first key, and the
//! secret by which gateways join.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use remuda_network::Command;
use remuda_network::command::IssueKey;
use remuda_network::state::{KeyOwner, Scope};

use crate::clock;
use crate::core::Core;
use crate::http::keys;
use crate::sequencer::SubmitError;

/// The operator's first key, in the data folder.
pub const OPERATOR_KEY_FILE: &str = "operator.key";

/// The gateways' secret, in the data folder.
pub const ADMISSION_FILE: &str = "gateway.admission";

/// Why a data folder could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A file cannot be read or written.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The key was not accepted.
    #[error("the operator's first key was not issued")]
    Issue(#[from] SubmitError),
}

/// Issues a key with all scopes if the operator has no valid one, and keeps its text in the data
/// folder. Returns its file if one was issued.
///
/// The file is written first: a crash between the two leaves a file whose key is not known, and
/// the next start replaces it. The other order would leave a key that nobody has.
pub async fn operator_key(core: &Core) -> Result<Option<PathBuf>, BootstrapError> {
    if has_operator_key(core) {
        return Ok(None);
    }
    let id = core.clock().command_id();
    let minted = keys::mint(id);
    let path = core.config().data_dir.join(OPERATOR_KEY_FILE);
    write_secret(&path, &minted.text)?;
    let command = Command::IssueKey(Box::new(IssueKey {
        owner: KeyOwner::Operator,
        digest: minted.digest,
        scopes: [
            Scope::Read,
            Scope::Deploy,
            Scope::Inference,
            Scope::Supply,
            Scope::Admin,
        ]
        .into(),
        expires: None,
        requests_per_minute: 0,
    }));
    core.submit(id, command, Vec::new()).await?;
    Ok(Some(path))
}

fn has_operator_key(core: &Core) -> bool {
    let now = core.clock().now();
    core.read(|network| {
        let mut keys = network.state().keys.values();
        keys.any(|key| key.owner == KeyOwner::Operator && key.is_valid(now))
    })
}

/// The secret by which gateways join, made at the first start.
pub fn gateway_admission(data_dir: &Path) -> Result<String, BootstrapError> {
    let path = data_dir.join(ADMISSION_FILE);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => make_admission(&path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_admission(&path),
        Err(source) => Err(BootstrapError::File { path, source }),
    }
}

fn make_admission(path: &Path) -> Result<String, BootstrapError> {
    let secret = BASE32_NOPAD.encode(&clock::secret()).to_ascii_lowercase();
    write_secret(path, &secret)?;
    Ok(secret)
}

/// Replaces the file as a whole; it is its owner's alone.
fn write_secret(path: &Path, text: &str) -> Result<(), BootstrapError> {
    replace(path, text).map_err(|source| BootstrapError::File {
        path: path.to_owned(),
        source,
    })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    io::Write::write_all(&mut file, format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_admission_secret_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = gateway_admission(dir.path()).unwrap();
        assert_eq!(first.len(), 52);
        assert_eq!(gateway_admission(dir.path()).unwrap(), first);
        let mode = fs::metadata(dir.path().join(ADMISSION_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(dir.path().join(ADMISSION_FILE), "\n").unwrap();
        assert_eq!(gateway_admission(dir.path()).unwrap().len(), 52);
    }
}
