//! What a file of round trips names and the file of cities does not have: said once, so that a name
//! written in two ways does not go unnoticed.

use remuda_sim::cities::RoundTrips;

use crate::context::Context;

/// More names than this are only counted.
const NAMED: usize = 5;

/// Tells the person who watches, if there is anything to tell.
pub(crate) fn tell(found: &RoundTrips, context: &Context) {
    let all = found.unknown().len();
    if all == 0 {
        return;
    }
    // A file may hold what a terminal would obey.
    let names = found
        .unknown()
        .take(NAMED)
        .map(|name| name.escape_debug().to_string());
    let names: Vec<_> = names.collect();
    let more = if all > NAMED { ", …" } else { "" };
    let names = names.join(", ");
    context.output.note(&format!(
        "{all} names in the round trips are none of the cities, and are left out: {names}{more}"
    ));
}
