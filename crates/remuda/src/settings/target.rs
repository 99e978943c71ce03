//! Where control is and with which key: a flag before the environment before the profile.

use std::fs;
use std::io;
use std::path::PathBuf;

use remuda_types::ProjectId;
use reqwest::Url;

use super::{Key, Profile, Settings};
use crate::cli::Global;
use crate::environment::Environment;

/// Where control is when nothing says otherwise: where `remuda up` puts it.
pub(crate) const URL_DEFAULT: &str = "http://127.0.0.1:7400";

/// Whom to ask, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Control's HTTP API.
    pub(crate) url: Url,
    /// The key.
    pub(crate) key: Option<Key>,
    /// The project that is meant when none is named.
    pub(crate) project: Option<ProjectId>,
    /// The gateway's door.
    pub(crate) gateway_url: Option<Url>,
}

/// Why it is not known whom to ask.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnresolvedError {
    /// The profile that was named is not there.
    #[error("there is no profile `{name}` in {}", .path.display())]
    NoProfile {
        /// As it was named.
        name: String,
        /// The config file.
        path: PathBuf,
    },
    /// The address is none.
    #[error("{origin}: {problem}")]
    Url {
        /// The flag or variable.
        origin: &'static str,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// The key's file cannot be read.
    #[error("cannot read the key in {}", .path.display())]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// An address of HTTP.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let expected = "an address as in `https://control.example.org` is expected";
    let url = Url::parse(text)
        .map_err(|error| format!("`{text}` is no address ({error}): {expected}"))?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_http
        .then_some(url)
        .ok_or_else(|| format!("`{text}` is no address of HTTP: {expected}"))
}

impl Target {
    /// Out of what flags, environment and config file say.
    pub(crate) fn resolve(
        settings: &Settings,
        flags: &Global,
        environment: &Environment,
    ) -> Result<Self, UnresolvedError> {
        let profile = profile(settings, flags, environment)?;
        let given = given_url(flags, environment)?;
        let key = match flags.key.as_ref().or(environment.key.as_ref()) {
            Some(key) => key.parse().ok(),
            None if is_for(&profile, given.as_ref()) => stored_key(&profile)?,
            None => None,
        };
        let url = match given.or(profile.url) {
            Some(url) => url,
            None => self::url(URL_DEFAULT).map_err(|problem| UnresolvedError::Url {
                origin: "the default",
                problem,
            })?,
        };
        Ok(Self {
            url,
            key,
            project: profile.project,
            gateway_url: profile.gateway_url,
        })
    }
}

fn profile(
    settings: &Settings,
    flags: &Global,
    environment: &Environment,
) -> Result<Profile, UnresolvedError> {
    let named = flags.profile.as_ref().or(environment.profile.as_ref());
    let Some(name) = named.or(settings.current.as_ref()) else {
        return Ok(Profile::default());
    };
    settings
        .profiles
        .get(name)
        .cloned()
        .ok_or_else(|| UnresolvedError::NoProfile {
            name: name.clone(),
            path: settings.path.clone(),
        })
}

fn given_url(flags: &Global, environment: &Environment) -> Result<Option<Url>, UnresolvedError> {
    let (text, origin) = match (&flags.url, &environment.url) {
        (Some(text), _) => (text, "--url"),
        (None, Some(text)) => (text, "REMUDA_URL"),
        (None, None) => return Ok(None),
    };
    url(text)
        .map(Some)
        .map_err(|problem| UnresolvedError::Url { origin, problem })
}

/// A stored key goes only to the network it was stored for.
fn is_for(profile: &Profile, given: Option<&Url>) -> bool {
    given.is_none_or(|given| {
        profile
            .url
            .as_ref()
            .is_some_and(|url| url.origin() == given.origin())
    })
}

fn stored_key(profile: &Profile) -> Result<Option<Key>, UnresolvedError> {
    let Some(path) = &profile.key_file else {
        return Ok(profile.key.clone());
    };
    let text = fs::read_to_string(path).map_err(|source| UnresolvedError::KeyFile {
        path: path.clone(),
        source,
    })?;
    Ok(text.parse().ok())
}
