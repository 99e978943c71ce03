//! Structs that are read from objects only.

use serde::de::IgnoredAny;

/// Flattened into a struct: what the struct does not name, ignored. Without it a list of values in
/// the order of the fields would be read as the struct, too.
pub(super) type MapOnly = IgnoredAny;
