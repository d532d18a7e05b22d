//! What guards the protocol, each to be switched off.

/// One of the checks that the scripts, or nodes, make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Check {
    /// Dispatch and promotion: the caller's token is the stored one.
    Token,
    /// Dispatch: the due time is the planned one.
    Score,
    /// Dispatch: the version is the planned one.
    Version,
    /// Dispatch and changes: no fire time at or before what was settled.
    Fired,
    /// Dispatch: no more runs in flight than the job allows.
    Room,
    /// Dispatch: the plan is not too old.
    Age,
    /// Changes: the version is the one that was read.
    Expected,
    /// Removal: the due time is the one that was read.
    SameDue,
    /// Changes: what became due meanwhile is kept, or recorded.
    Pending,
    /// Changes: the same request has the same answer.
    Requests,
    /// Versions come from the shard's counter; off, each job's begin at 1.
    VersionsRise,
    /// Exchange and resync: the session lives.
    Session,
    /// Exchange and resync: requests of a lane are numbered, and the last answer is kept.
    Lane,
    /// Hand-in: the claim's fence is the stored one; off, some claim on the run is enough.
    Fence,
    /// Hand-in: there is a claim on the run at all.
    Claim,
    /// Drain: the claim is as it was read.
    Drained,
    /// Promotion: the run waits still.
    Waits,
    /// Claim: a run keeps the version that it was first claimed with.
    Binding,
    /// Each claim has a fence of its own; off, the leader's epoch is handed out in its place.
    OwnFence,
    /// A node compares how many claims it holds with how many are stored.
    Count,
    /// A node hands in only what it holds.
    Held,
    /// Who takes over after a node declares its session dead before touching its claims.
    FenceFirst,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Token,
        Self::Score,
        Self::Version,
        Self::Fired,
        Self::Room,
        Self::Age,
        Self::Expected,
        Self::SameDue,
        Self::Pending,
        Self::Requests,
        Self::VersionsRise,
        Self::Session,
        Self::Lane,
        Self::Fence,
        Self::Claim,
        Self::Drained,
        Self::Waits,
        Self::Binding,
        Self::OwnFence,
        Self::Count,
        Self::Held,
        Self::FenceFirst,
    ];
}

/// Which checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks(u32);

impl Checks {
    /// All of them, as in the product.
    #[must_use]
    pub const fn all() -> Self {
        Self(u32::MAX)
    }

    /// All but these.
    #[must_use]
    pub fn without(off: &[Check]) -> Self {
        Self(off.iter().fold(u32::MAX, |on, check| on & !bit(*check)))
    }

    pub(super) const fn on(self, check: Check) -> bool {
        self.0 & bit(check) != 0
    }
}

const fn bit(check: Check) -> u32 {
    1 << check as u32
}
