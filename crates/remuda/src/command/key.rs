//! `remuda key`: API keys.

use std::time::Duration;

use clap::Subcommand;
use remuda_types::ApiKeyId;
use remuda_wire::api::key::{IssueKey, IssuedKey, Owner, Scope};
use serde::Serialize;

use crate::context::Context;
use crate::view;

/// API keys: issue, revoke
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Issue a key; its text is shown once
    Issue {
        /// Whose: `operator`, a project (`prj_…`) or a provider (`pro_…`); your own if not given
        #[arg(long)]
        owner: Option<Owner>,
        /// What it may do: read, deploy, inference, supply, admin
        #[arg(
            long = "scope",
            value_name = "SCOPE",
            required = true,
            value_delimiter = ','
        )]
        #[arg(value_parser = scope)]
        scopes: Vec<Scope>,
        /// How long it is valid, as in `30d`; without end if not given
        #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
        expires_in: Option<Duration>,
        /// Requests a minute at a gateway; 0 is no limit
        #[arg(long, value_name = "COUNT", default_value_t = 0)]
        requests_per_minute: u32,
    },
    /// List keys
    Ls,
    /// Revoke a key
    Revoke {
        /// The key's id, as `remuda key ls` lists it
        #[arg(value_name = "KEY")]
        id: ApiKeyId,
    },
}

#[derive(Serialize)]
struct Revoked {
    id: ApiKeyId,
    revoked: bool,
}

fn scope(text: &str) -> Result<Scope, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "read, deploy, inference, supply or admin is expected".to_owned())
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    match command {
        Command::Issue {
            owner,
            scopes,
            expires_in,
            requests_per_minute,
        } => {
            let asked = IssueKey {
                owner,
                scopes: scopes.into_iter().collect(),
                expires_in_s: expires_in.map(whole_seconds),
                requests_per_minute,
            };
            let issued = client.issue_key(&asked).await?;
            context
                .output
                .note("keep this key now: it is not shown again");
            context.output.show(&issued, secret)?;
        }
        Command::Ls => context
            .output
            .table(&client.keys().await?, |keys| view::keys(keys))?,
        Command::Revoke { id } => {
            client.revoke_key(id).await?;
            let revoked = Revoked { id, revoked: true };
            context
                .output
                .show(&revoked, |revoked| format!("{} is revoked", revoked.id))?;
        }
    }
    Ok(())
}

/// A key lasts at least as long as was asked.
const fn whole_seconds(span: Duration) -> u64 {
    span.as_secs()
        .saturating_add((span.subsec_nanos() > 0) as u64)
}

/// The text alone, so that it can be put into a variable.
fn secret(issued: &IssuedKey) -> String {
    issued.secret.clone()
}
