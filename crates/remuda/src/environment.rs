//! The environment, read once. Nothing else in the workspace reads it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// `REMUDA_URL`: where control's HTTP API is.
    pub(crate) url: Option<String>,
    /// `REMUDA_KEY`: the API key.
    pub(crate) key: Option<String>,
    /// `REMUDA_PROFILE`: the profile to use.
    pub(crate) profile: Option<String>,
    /// `REMUDA_CONFIG`: the config file.
    pub(crate) config: Option<PathBuf>,
    /// `NO_COLOR` is set to anything: no colours.
    pub(crate) no_color: bool,
    /// What the engine gets of it, which reads files that others made: nothing that may be a secret.
    pub(crate) inherited: Vec<(OsString, OsString)>,
    folders: Option<ProjectDirs>,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        Self {
            url: text("REMUDA_URL"),
            key: text("REMUDA_KEY"),
            profile: text("REMUDA_PROFILE"),
            config: text("REMUDA_CONFIG").map(PathBuf::from),
            no_color: text("NO_COLOR").is_some(),
            inherited: std::env::vars_os()
                .filter(|(name, _)| name.to_str().is_some_and(is_harmless))
                .collect(),
            folders: ProjectDirs::from("", "", "remuda"),
        }
    }

    /// The config file where none is named, whether it exists or not.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder(ProjectDirs::config_dir, ".config/remuda")
            .join("config.toml")
    }

    /// Where programs keep what must last, each in a folder of its own.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder(ProjectDirs::data_dir, ".local/share/remuda")
    }

    /// Where models are kept.
    pub(crate) fn cache_dir(&self) -> PathBuf {
        self.folder(ProjectDirs::cache_dir, ".cache/remuda")
    }

    /// Without a home folder, the folder is below the current one.
    fn folder(&self, of: impl FnOnce(&ProjectDirs) -> &Path, otherwise: &str) -> PathBuf {
        self.folders
            .as_ref()
            .map_or_else(|| PathBuf::from(otherwise), |dirs| of(dirs).to_owned())
    }
}

/// Whether a variable says where libraries, devices and scratch space are, and nothing else.
fn is_harmless(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "TZ",
        "LD_LIBRARY_PATH",
        "RUST_BACKTRACE",
    ];
    const FAMILIES: [&str; 5] = ["CUDA_", "NVIDIA_", "ROCR_", "HIP_", "GGML_"];
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// A variable that is set to something.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the environment"
)]
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::is_harmless;

    #[test]
    fn the_engine_is_told_of_devices_and_of_no_secret() {
        assert!(
            ["PATH", "CUDA_VISIBLE_DEVICES", "GGML_CPU_TILED_MM"]
                .into_iter()
                .all(is_harmless)
        );
        let secrets = [
            "REMUDA_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "HF_TOKEN",
            "SSH_AUTH_SOCK",
        ];
        assert!(!secrets.into_iter().any(is_harmless));
    }
}
