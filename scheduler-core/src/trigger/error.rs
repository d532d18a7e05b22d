//! What is wrong with a trigger as typed.

/// A field of a trigger that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct TriggerError {
    /// The field, as typed: `"minute"`, `"timezone"`, `"expression"`.
    pub field: String,
    /// The value, and the rule that it breaks.
    pub message: String,
}
