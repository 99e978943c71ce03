//! The HTTP API of control: request and response bodies, and the workload spec.
//!
//! Amounts travel as decimal strings of dollars, so that no client reads them into a float; counts
//! and milliseconds travel as integers, ids in their text form. A request with a field that is not
//! known is refused; a client must ignore fields of answers that it does not know.

pub mod event;
pub mod key;
pub mod later;
pub mod lease;
pub mod ledger;
pub mod model;
pub mod network;
pub mod node;
pub mod page;
pub mod problem;
pub mod provider;
pub mod replica;
mod schema;
pub mod tenant;
pub mod usd;
pub mod workload;

pub use page::{Page, PageQuery};
pub use problem::Problem;
pub use usd::{Usd, UsdPerHour};
pub use workload::WorkloadSpec;
