//! `remuda reservation`: capacity kept for something from a time on and before another.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Subcommand;
use remuda_wire::api::later::Reserve;

use super::cancelled;
use crate::context::Context;
use crate::spec::Spec;
use crate::{clock, find, view};

/// Reservations: capacity kept from a time on and before another, at no more than it costs now
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep capacity for what the YAML file says; it is deployed when its time comes
    Make {
        /// The spec
        spec: PathBuf,
        /// From when on, as in `2027-01-31T08:00:00Z`
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
        from: SystemTime,
        /// For how long, as in `12h`; what then still runs ends
        #[arg(long = "for", value_name = "SPAN", value_parser = clock::length)]
        lasts: Duration,
        /// The project that pays: id or name; the profile's or the key's own if not given
        #[arg(long)]
        project: Option<String>,
    },
    /// Give up a reservation that has not begun
    Cancel {
        /// Its id or name
        reservation: String,
    },
    /// List reservations
    Ls,
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let reservation = match command {
        Command::Make {
            spec,
            from,
            lasts,
            project,
        } => {
            let project = find::payer(&client, context, project.as_deref()).await?;
            let spec = Spec::read(&spec)?;
            let from = clock::at(from);
            let asked = Reserve {
                workload: spec.workload.clone(),
                from_ms: from.as_millis(),
                to_ms: (from + clock::span(lasts)).as_millis(),
            };
            let flags = &[("/from_ms", "--from"), ("/to_ms", "--for")];
            spec.explained(client.reserve(project, &asked).await, flags)?
        }
        Command::Cancel { reservation } => {
            let reservation = find::reservation(&client, &reservation).await?;
            client.cancel_reservation(reservation).await?;
            return cancelled::tell(reservation, context);
        }
        Command::Ls => {
            let all = client.reservations().await?;
            return Ok(context.output.table(&all, |all| view::reservations(all))?);
        }
    };
    Ok(context.output.table(&reservation, |reservation| {
        view::reservations(std::slice::from_ref(reservation))
    })?)
}
