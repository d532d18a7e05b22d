//! Who changed what.

use scheduler_core::audit::AuditEntry;
use serde::{Deserialize, Serialize};

/// What somebody did, or tried to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct DeedView {
    /// When.
    pub time: String,
    /// Who: the name of a token or user, `user@host`, a node, or what a program calls itself.
    pub by: String,
    /// Which way it was asked for: `http`, `cli`, `library` or `config`.
    pub via: String,
    /// What the name is allowed.
    pub role: Option<String>,
    /// The address that the request came from.
    pub address: Option<String>,
    /// What: the word of an event, `run_cancelled`, `runs_purged`, `queue_limited`,
    /// `queue_unlimited`; or the request that was refused.
    pub did: String,
    /// To which jobs, runs or queues: at most 20 of them.
    pub objects: Vec<String>,
    /// To how many in all.
    pub count: u64,
    /// `done`, `refused`, or `unknown`.
    pub outcome: String,
    /// More of it, for people.
    pub detail: Option<String>,
}

impl From<AuditEntry> for DeedView {
    fn from(AuditEntry { at, deed }: AuditEntry) -> Self {
        Self {
            time: at.to_string(),
            by: deed.author.by,
            via: deed.author.via.as_str().to_owned(),
            role: deed.author.role,
            address: deed.author.address,
            did: deed.did,
            objects: deed.objects,
            count: deed.count,
            outcome: deed.outcome.as_str().to_owned(),
            detail: deed.detail,
        }
    }
}

/// A page of deeds, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct DeedsPage {
    /// The deeds.
    pub items: Vec<DeedView>,
    /// Where to go on, as `before`; none at the end. A page may hold less than was asked for, and not
    /// be the last.
    pub next: Option<String>,
}
