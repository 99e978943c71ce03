//! The ledger against an oracle that recomputes everything from the list of all entries.

mod bytes;
mod histories;
mod oracle;
mod properties;
