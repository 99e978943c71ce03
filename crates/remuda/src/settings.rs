//! The config file: profiles, each a network and the key to it.
//!
//! ```toml
//! profile = "local"                  # the one used when none is named
//!
//! [profiles.local]
//! url = "http://127.0.0.1:7400"      # control's HTTP API
//! key_file = "/etc/remuda/operator.key" # or `key`; the file then must be the user's alone
//! project = "prj_…"                  # for commands that need one
//! gateway_url = "http://127.0.0.1:7410"
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use remuda_types::ProjectId;
use reqwest::Url;

use crate::toml_file::{self, At, Faults, Reader};

mod key;
mod target;
mod write;

pub(crate) use key::Key;
pub(crate) use target::{Target, UnresolvedError, url};
pub(crate) use write::WriteError;

/// A config file's content; empty where there is no file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The file.
    pub(crate) path: PathBuf,
    /// The profile used when none is named.
    pub(crate) current: Option<String>,
    /// By name.
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// A network, and the key to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Control's HTTP API.
    pub(crate) url: Option<Url>,
    /// The key itself.
    pub(crate) key: Option<Key>,
    /// Or the file that holds it.
    pub(crate) key_file: Option<PathBuf>,
    /// The project that is meant when none is named.
    pub(crate) project: Option<ProjectId>,
    /// The gateway's door.
    pub(crate) gateway_url: Option<Url>,
}

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What it says cannot be used.
    #[error(transparent)]
    Faults(#[from] Faults),
}

const FILE_FIELDS: &[&str] = &["profile", "profiles"];
const PROFILE_FIELDS: &[&str] = &["url", "key", "key_file", "project", "gateway_url"];

impl Settings {
    /// What `path` says; nothing where there is no such file.
    pub(crate) fn load(path: &Path) -> Result<Self, LoadError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(path, &text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self {
                path: path.to_owned(),
                ..Self::default()
            }),
            Err(source) => Err(LoadError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Faults> {
        toml_file::read(path, text, |reader, at| Self::of(path, reader, at))
    }

    fn of(path: &Path, reader: &mut Reader<'_>, at: At<'_>) -> Self {
        reader.only(at, FILE_FIELDS);
        let mut settings = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        settings.current = reader.parsed(at, "profile", "local");
        let mut name = String::new();
        if let Some(profiles) = reader.table(at, "profiles", &mut name) {
            settings.profiles = profiles
                .fields()
                .filter_map(|name| Some((name.to_owned(), Profile::of(reader, profiles, name)?)))
                .collect();
        }
        if let Some(current) = &settings.current
            && !settings.profiles.contains_key(current)
        {
            reader.wrong(
                at,
                "profile",
                format!("there is no profile `{current}` in this file"),
            );
        }
        settings
    }
}

impl Profile {
    fn of(reader: &mut Reader<'_>, profiles: At<'_>, name: &str) -> Option<Self> {
        let mut full = String::new();
        let at = reader.table(profiles, name, &mut full)?;
        reader.only(at, PROFILE_FIELDS);
        let profile = Self {
            url: reader.parsed_by(at, "url", "http://127.0.0.1:7400", target::url),
            key: reader.parsed(at, "key", "rk_…"),
            key_file: reader.parsed(at, "key_file", "/etc/remuda/operator.key"),
            project: reader.parsed(at, "project", "prj_…"),
            gateway_url: reader.parsed_by(at, "gateway_url", "http://127.0.0.1:7410", target::url),
        };
        if profile.key.is_some() && profile.key_file.is_some() {
            reader.wrong(
                at,
                "key_file",
                "give either `key` or `key_file`, not both".to_owned(),
            );
        }
        Some(profile)
    }
}
