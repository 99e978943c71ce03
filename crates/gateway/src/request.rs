//! One request, from its admission to its bill, whatever door it came through.
//!
//! ```text
//! door ──Ask──▶ admit ──Job──▶ Driver (a task) ──events──▶ Outbox ══ Inbox ──▶ door's body
//! ```
//! The driver runs `remuda-routing`'s stream machine: it feeds in what replicas say and does what
//! the machine wants done. It ends only when the request is settled, whether the client is there or
//! not.

mod admit;
mod ask;
mod driver;
mod encode;
mod hold;
mod leg;
mod outbox;
mod progress;
mod refusal;
mod text;

pub(crate) use admit::{admit, authorize, count_tokens, limit};
pub(crate) use ask::{Ask, Form, Input, MAX_ANSWERS, Toolbox};
pub(crate) use leg::open;
pub(crate) use outbox::{Event, Finished, Inbox, Likely, Part, Score};
pub(crate) use progress::{OpenRequests, keep as keep_checkpoints};
pub(crate) use refusal::Refusal;
