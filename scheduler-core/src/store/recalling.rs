//! Keys that clients give their requests, so that one that is sent again is not done again.

use crate::store::RequestId;
use crate::time::Timestamp;

/// Asks what a client's key was used for, takes it, or says what came of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// The key.
    pub key: RequestId,
    /// Who asks: made once, before the first try.
    pub by: RequestId,
    /// What the request was, in short and without blanks: another request under the same key is told
    /// so.
    pub fingerprint: String,
    /// What is said of it.
    pub what: Recalling,
}

/// What is said of a client's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalling {
    /// It is to be used, unless it was used before.
    Take,
    /// The request was answered so, which is kept.
    Keep(String),
    /// The request came to nothing: the key is free again.
    Free,
}

/// What is known of a client's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// It is the caller's, since this instant.
    Yours(Timestamp),
    /// Somebody else has it since then, for the same request, which is not answered (yet).
    Pending(Timestamp),
    /// The same request was answered so.
    Answered(String),
    /// It was used for another request.
    Other,
}
