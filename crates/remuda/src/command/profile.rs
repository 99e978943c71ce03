//! `remuda profile`: networks and the keys to them, in the config file.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use clap::Subcommand;
use remuda_types::ProjectId;
use reqwest::Url;
use serde::Serialize;

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::settings::{self, Profile, Settings};
use crate::table::Table;

/// Networks and the keys to them, in the config file
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List profiles
    Ls,
    /// Keep a profile, or change one; `--url` and `--key` are kept in it
    Set {
        /// Its name
        name: String,
        /// The file that holds the key; `-` reads the key itself from stdin
        #[arg(long, value_name = "FILE", conflicts_with = "key")]
        key_file: Option<PathBuf>,
        /// The project that is meant when none is named
        #[arg(long)]
        project: Option<ProjectId>,
        /// The gateway's door
        #[arg(long, value_name = "URL", value_parser = settings::url)]
        gateway_url: Option<Url>,
    },
    /// Use this profile when none is named
    Use {
        /// Its name
        name: String,
    },
}

/// A profile as it is listed: never with its key.
#[derive(Serialize)]
struct Row {
    name: String,
    current: bool,
    url: Option<String>,
    key: &'static str,
    project: Option<ProjectId>,
    gateway_url: Option<String>,
}

pub(crate) fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let settings = context.settings_or_new()?;
    match command {
        Command::Ls => {
            context.settings()?;
        }
        Command::Set {
            name,
            key_file,
            project,
            gateway_url,
        } => {
            let from_stdin = key_file
                .as_ref()
                .is_some_and(|path| path.as_os_str() == "-");
            let stdin_key = if from_stdin { Some(read_key()?) } else { None };
            let key = context.global.key.clone().or(stdin_key);
            let profile = Profile {
                url: context.global.url.as_deref().map(url).transpose()?,
                key: key.and_then(|key| key.parse().ok()),
                key_file: key_file
                    .filter(|_| !from_stdin)
                    .map(std::path::absolute)
                    .transpose()?,
                project,
                gateway_url,
            };
            settings.put(&name, &profile)?;
        }
        Command::Use { name } => choose(&settings, &name)?,
    }
    Ok(context
        .output
        .table(&rows(&context.settings()?), |rows| table(rows))?)
}

fn url(text: &str) -> anyhow::Result<Url> {
    settings::url(text).map_err(|problem| {
        Failure::new(
            Exit::Usage,
            problem,
            "give it as in `--url http://127.0.0.1:7400`",
        )
        .into()
    })
}

fn read_key() -> anyhow::Result<String> {
    let mut text = String::new();
    if io::stdin().is_terminal() {
        let way_out = "pipe it in, as in `remuda profile set NAME --key-file - < FILE`";
        return Err(Failure::new(Exit::Usage, "stdin is a terminal", way_out).into());
    }
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

fn choose(settings: &Settings, name: &str) -> anyhow::Result<()> {
    if settings.profiles.contains_key(name) {
        return Ok(settings.choose(name)?);
    }
    let message = format!(
        "there is no profile `{name}` in {}",
        settings.path.display()
    );
    let way_out = format!("make it with `remuda profile set {name} --url URL --key-file FILE`");
    Err(Failure::new(Exit::NotFound, message, way_out).into())
}

fn rows(settings: &Settings) -> Vec<Row> {
    let row = |(name, profile): (&String, &Profile)| Row {
        name: name.clone(),
        current: settings.current.as_ref() == Some(name),
        url: profile.url.as_ref().map(ToString::to_string),
        key: match (&profile.key, &profile.key_file) {
            (Some(_), _) => "kept",
            (None, Some(_)) => "in a file",
            (None, None) => "none",
        },
        project: profile.project,
        gateway_url: profile.gateway_url.as_ref().map(ToString::to_string),
    };
    settings.profiles.iter().map(row).collect()
}

fn table(rows: &[Row]) -> Table {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    Table::new(["", "NAME", "URL", "KEY", "PROJECT", "GATEWAY"])
        .when_empty("no profiles yet: `remuda profile set NAME --url URL --key-file FILE`")
        .rows(rows.iter().map(|row| {
            [
                if row.current { "*" } else { "" }.to_owned(),
                row.name.clone(),
                text(&row.url),
                row.key.to_owned(),
                text(&row.project.map(|project| project.to_string())),
                text(&row.gateway_url),
            ]
        }))
}
