//! Lists, a page at a time.

use serde::{Deserialize, Serialize};

/// Items a page has when the client does not say.
pub const LIMIT_DEFAULT: u32 = 50;

/// The most items one page has.
pub const LIMIT_MAX: u32 = 500;

/// Which page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct PageQuery {
    /// Items on the page: 1 to 500, 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before; without it the first page.
    pub cursor: Option<String>,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items, in the order of their ids.
    pub data: Vec<T>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}
