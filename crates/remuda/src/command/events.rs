//! `remuda events`: what happened, and what happens.

use clap::builder::PossibleValuesParser;
use remuda_control::network::Event as Kinds;
use remuda_wire::api::event::Event;
use strum::VariantNames;

use crate::client::Since;
use crate::context::Context;
use crate::view;

/// What happened, as the journal has it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with what happens, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Only after this event, as in `17.0`
    #[arg(long, value_name = "EVENT", value_parser = position)]
    after: Option<String>,
    /// Only of this type, as in `lease_granted`
    #[arg(long = "type", value_name = "TYPE", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(Kinds::VARIANTS))]
    kind: Option<String>,
}

/// An event's id, as it was given.
fn position(text: &str) -> Result<String, &'static str> {
    let number = |text: &str| text.parse::<u64>().is_ok();
    let is_one = text
        .split_once('.')
        .is_some_and(|(seq, ordinal)| number(seq) && number(ordinal));
    is_one
        .then(|| text.to_owned())
        .ok_or("an event's id is two numbers with a dot between them, as in `17.0`")
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let is_wanted = |event: &Event| args.kind.as_ref().is_none_or(|kind| event.kind == *kind);
    let show = |event: &Event| -> anyhow::Result<()> {
        if is_wanted(event) {
            context.output.item(event, line)?;
        }
        Ok(())
    };
    let since = Since {
        after: args.after.clone(),
    };
    if args.follow {
        let mut events = client.follow(since);
        loop {
            show(&events.next().await?)?;
        }
    }
    client.events(&since).await?.iter().try_for_each(show)
}

fn line(event: &Event) -> String {
    format!(
        "{}  {:8}  {}  {}",
        view::instant(event.at_ms),
        event.id,
        event.kind,
        event.data
    )
}
