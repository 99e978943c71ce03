//! What every command gets: how to print, whom to ask, and what the environment and flags say.

use crate::cli::Global;
use crate::client::Client;
use crate::environment::Environment;
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

    /// The config file's content.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let path = self
            .global
            .config
            .clone()
            .unwrap_or_else(|| self.environment.config_file());
        Ok(Settings::load(&path)?)
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
