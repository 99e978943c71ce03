//! How long the first token of an answer takes, by who says where requests go: the network's own
//! balancer, beside a round robin and beside the fewest requests in flight.
//!
//! A made world of one model's replicas, each a server with continuous batching. It works in steps:
//! in each, every sequence that has been read writes a token, and up to a chunk of what has not been
//! read is read, first come, first served. A step takes a time of its own, some more for each sequence
//! that writes, and some for each token that is read ([`Hardware`]). So many sequences run at once as
//! there are slots; others wait at the replica. What has been read and written stays in a cache of
//! bounded size, in blocks of 16 tokens, and goes when it was not touched for longest; a prompt is
//! read from the first block on that is not there. Cache and content are the world's own: the
//! balancer is told nothing of them, and guesses.
//!
//! What is assumed, beyond the figures of [`Hardware`]:
//! - The reading of a token takes as long at the end of a long prompt as at the beginning.
//! - Running sequences do not keep blocks of the cache from going.
//! - All replicas are alike, none fails, and the way there takes no time.
//! - One gateway sees all requests. Where it says that replicas are full, requests wait with it, in
//!   order; the two others send on at once, as their kind does, and requests wait at the replica.
//! - Requests come when the trace says, whatever became of those before ([`Trace`]).
//! - The load is what the trace would take of the replicas' time if no cache ever held anything and
//!   all slots were taken; the times between requests are stretched until it is as wanted.

mod cache;
mod chats;
mod hardware;
mod mooncake;
mod outcome;
mod play;
mod replica;
mod rule;
mod scene;
mod trace;

pub use chats::Chats;
pub use hardware::Hardware;
pub use mooncake::parse_mooncake;
pub use outcome::Outcome;
pub use rule::Rule;
pub use scene::{Scene, Settings};
pub use trace::{Piece, Trace, Turn, trace};

#[cfg(test)]
mod tests;
