//! What every command gets: how to print, whom to ask, and what the environment and flags say.

use std::path::PathBuf;

use crate::cli::Global;
use crate::client::Client;
use crate::environment::Environment;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::{Settings, Target};

/// What every command gets.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// How results are printed.
    pub(crate) output: Output,
    /// What the environment says.
    pub(crate) environment: Environment,
    /// The flags that every command has.
    pub(crate) global: Global,
}

impl Context {
    /// Out of the environment and the flags.
    pub(crate) fn new(global: Global, environment: Environment) -> Self {
        let output = Output::new(global.json, environment.no_color);
        Self {
            output,
            environment,
            global,
        }
    }

    /// The config file's content. A file that was named is there; the usual one need not be.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let settings = self.settings_or_new()?;
        if self.named_config().is_some() && !settings.path.exists() {
            let message = format!("there is no config file {}", settings.path.display());
            let way_out = "name one that is there, or make it with `remuda profile set`";
            return Err(Failure::new(Exit::Usage, message, way_out).into());
        }
        Ok(settings)
    }

    /// The same for whoever writes the file, and makes it if it is not there.
    pub(crate) fn settings_or_new(&self) -> anyhow::Result<Settings> {
        let named = self.named_config().cloned();
        let path = named.unwrap_or_else(|| self.environment.config_file());
        Ok(Settings::load(&path)?)
    }

    fn named_config(&self) -> Option<&PathBuf> {
        self.global
            .config
            .as_ref()
            .or(self.environment.config.as_ref())
    }

    /// Where control is, and with which key.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        Ok(Target::resolve(
            &self.settings()?,
            &self.global,
            &self.environment,
        )?)
    }

    /// A client of control.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&self.target()?)?)
    }
}
