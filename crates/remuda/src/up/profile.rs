//! The profile by which the command line finds the network from then on.

use std::path::{Path, PathBuf};

use remuda_control::bootstrap::OPERATOR_KEY_FILE;

use super::{Buyer, Local};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::settings::{Profile, Settings, UnresolvedError};

/// The profile's name, where `--profile` does not say another.
const NAME: &str = "local";

/// The profile that is to name a network.
#[derive(Debug)]
pub(super) struct Naming {
    pub(super) name: String,
    settings: Settings,
}

impl Naming {
    /// Refuses a name that stands for another network. `own` is the operator's key of this one.
    pub(super) fn check(context: &Context, own: &Path) -> anyhow::Result<Self> {
        let settings = context.settings_or_new()?;
        let name = named(context).map_or(NAME, String::as_str).to_owned();
        match settings.profiles.get(&name) {
            Some(profile) if is_of_another(profile, own) => Err(taken(&name, profile).into()),
            Some(_) | None => Ok(Self { name, settings }),
        }
    }

    /// Keeps the network under its name.
    pub(super) fn keep(&self, local: &Local, buyer: &Buyer) -> anyhow::Result<()> {
        let profile = Profile {
            url: Some(local.programs.control_url().parse()?),
            key: None,
            key_file: Some(local.programs.operator_key()),
            project: Some(buyer.project),
            gateway_url: Some(local.programs.gateway_url().parse()?),
        };
        Ok(self.settings.put(&self.name, &profile)?)
    }

    /// What commands need to find it, with a space before it.
    pub(super) fn flag(&self) -> String {
        match &self.settings.current {
            Some(current) if *current != self.name => format!(" --profile {}", self.name),
            Some(_) | None => String::new(),
        }
    }
}

/// The profile that the flag or the environment names.
fn named(context: &Context) -> Option<&String> {
    let variable = context.environment.profile.as_ref();
    context.global.profile.as_ref().or(variable)
}

/// The folder of the network that the named profile stands for; nothing where none is named.
pub(super) fn named_folder(context: &Context) -> anyhow::Result<Option<PathBuf>> {
    let Some(name) = named(context) else {
        return Ok(None);
    };
    let settings = context.settings()?;
    let unknown = || UnresolvedError::NoProfile {
        name: name.clone(),
        path: settings.path.clone(),
    };
    let profile = settings.profiles.get(name).ok_or_else(unknown)?;
    let folder = profile.key_file.as_deref().and_then(folder_of);
    let way_out = "name its folder with --state-dir";
    let message = format!("the profile `{name}` is no network that `remuda up` started");
    let folder = folder.ok_or_else(|| Failure::new(Exit::Usage, message, way_out))?;
    Ok(Some(folder))
}

/// The folder in which an operator's key lies as [`super::Layout`] has it.
fn folder_of(operator_key: &Path) -> Option<PathBuf> {
    let control = operator_key.parent()?;
    let is_one = control.ends_with("control") && operator_key.ends_with(OPERATOR_KEY_FILE);
    control.parent().filter(|_| is_one).map(Path::to_owned)
}

/// A profile without a key file is somebody's own; one whose file is gone named a network that is
/// gone, too.
fn is_of_another(profile: &Profile, own: &Path) -> bool {
    match &profile.key_file {
        Some(file) => file != own && file.exists(),
        None => profile.url.is_some(),
    }
}

fn taken(name: &str, profile: &Profile) -> Failure {
    let url = profile.url.as_ref().map(ToString::to_string);
    let message = format!(
        "the profile `{name}` is another network's ({})",
        url.unwrap_or_default()
    );
    let way_out =
        "name this one, as in `remuda up --profile second --state-dir DIR --port-base 7500`";
    Failure::new(Exit::Usage, message, way_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_takes_its_own_name_and_that_of_one_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own.key"), dir.path().join("other.key"));
        std::fs::write(&other, "rk_").unwrap();
        let of = |file: &Path| Profile {
            url: "http://127.0.0.1:7400".parse().ok(),
            key_file: Some(file.to_owned()),
            ..Profile::default()
        };
        assert!(!is_of_another(&of(&own), &own));
        assert!(!is_of_another(&of(&dir.path().join("gone.key")), &own));
        assert!(is_of_another(&of(&other), &own));
        let by_hand = Profile {
            key_file: None,
            ..of(&own)
        };
        assert!(is_of_another(&by_hand, &own));
    }

    #[test]
    fn a_network_is_found_by_its_key() {
        let found = folder_of(Path::new("/srv/second/control/operator.key"));
        assert_eq!(found, Some("/srv/second".into()));
        for other in [
            "/srv/second/operator.key",
            "/srv/control/tenant.key",
            "operator.key",
        ] {
            assert_eq!(folder_of(Path::new(other)), None, "{other}");
        }
    }
}
