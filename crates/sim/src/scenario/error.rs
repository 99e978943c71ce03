//! Why a scenario cannot be used.

use super::Length;

/// Why a scenario cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is not TOML, or has a field that no scenario has, or a value of the wrong kind.
    #[error("{name}: {problem}")]
    Syntax {
        /// The file.
        name: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// A value cannot be.
    #[error("{field} is {problem}")]
    Value {
        /// Which.
        field: String,
        /// What it is, and what is expected.
        problem: String,
    },
    /// Something would befall the network after its run.
    #[error("{field} is {after}, and {}: it would never happen", run(*days, *calm))]
    Late {
        /// Which.
        field: String,
        /// How long after the start.
        after: Length,
        /// For how long the run lasts, in days.
        days: u64,
        /// The last stretch of these, in which nothing happens.
        calm: Length,
        /// How long it would have to last, if a run may.
        needs_days: Option<u64>,
    },
}

fn run(days: u64, calm: Length) -> String {
    let unit = if days == 1 { "day" } else { "days" };
    if calm == Length::default() {
        return format!("the run lasts {days} {unit}");
    }
    format!("the run lasts {days} {unit}, the last {calm} of it calm")
}

impl ScenarioError {
    pub(super) fn value(field: impl Into<String>, problem: String) -> Self {
        let field = field.into();
        Self::Value { field, problem }
    }
}
