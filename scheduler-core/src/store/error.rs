//! What keeps a store from answering.

use std::fmt;

/// What kind of trouble a store is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The store cannot be reached; the operation was not sent.
    Unreachable,
    /// The store refused the operation before it changed anything.
    Refused,
    /// The operation may have run, or may run still: the answer is missing.
    Unknown,
    /// The store's answer or a stored record makes no sense to this version.
    Corrupt,
    /// The namespace's [shards](crate::shard) are not as the operation needs them: others than the caller
    /// was told, or what must be in one of them is not.
    Mismatch,
}

/// A store could not answer. What was attempted, on what, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    message: String,
}

impl StoreError {
    /// An error of `operation`.
    #[must_use]
    pub fn new(kind: StoreErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            operation,
            message: message.into(),
        }
    }

    /// What kind of trouble it is.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The same, of an operation of which some part may have run.
    #[must_use]
    pub(crate) fn into_unknown(self) -> Self {
        let kind = StoreErrorKind::Unknown;
        Self { kind, ..self }
    }

    /// Whether the operation may have run, or may run still.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unknown)
    }

    /// Whether waiting may help: the store was not there, or its answer was lost.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            StoreErrorKind::Unreachable | StoreErrorKind::Unknown | StoreErrorKind::Refused
        )
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Unreachable => "store unreachable",
            StoreErrorKind::Refused => "refused by the store",
            StoreErrorKind::Unknown => "no answer from the store (the operation may have run)",
            StoreErrorKind::Corrupt => "unreadable",
            StoreErrorKind::Mismatch => "other shards",
        };
        write!(f, "{}: {what}: {}", self.operation, self.message)
    }
}

impl std::error::Error for StoreError {}
