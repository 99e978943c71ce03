//! Why a scenario cannot be used.

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
        field: &'static str,
        /// What it is, and what is expected.
        problem: String,
    },
}

impl ScenarioError {
    pub(super) const fn value(field: &'static str, problem: String) -> Self {
        Self::Value { field, problem }
    }
}
