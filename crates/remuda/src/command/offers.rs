//! `remuda offers`: what could be rented now.

use remuda_types::{Class, Country};

use crate::context::Context;
use crate::view;

/// What could be rented now, cheapest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this kind of hardware
    #[arg(long)]
    class: Option<Class>,
    /// Only in this country: two letters, in capitals
    #[arg(long)]
    country: Option<Country>,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let mut offers = context.client()?.offers(&[]).await?;
    offers.retain(|offer| {
        args.class.is_none_or(|class| offer.class == class)
            && args.country.is_none_or(|country| offer.country == country)
    });
    offers.sort_by_key(|offer| (offer.price_usd_per_hour, offer.node));
    Ok(context
        .output
        .table(&offers, |offers| view::offers(offers))?)
}
