//! What queries may hold.

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub(in crate::http::api) struct Param {
    pub(in crate::http::api) name: &'static str,
    pub(in crate::http::api) about: &'static str,
    pub(in crate::http::api) kind: Kind,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::http::api) enum Kind {
    /// Any text.
    Text,
    /// A name.
    Name,
    /// A name without blanks.
    Word,
    /// Words, of which each may be said once more.
    Tags,
    /// How long something is.
    Length,
    /// Where an earlier page ended.
    Place,
    /// An instant.
    Time,
    /// `true` or `false`.
    Flag,
    /// A number from 1 to this.
    UpTo(usize),
    /// One of these.
    Words(&'static [&'static str]),
}

const fn param(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, about, kind }
}

const LIMIT: Param = param(
    "limit",
    Kind::UpTo(1000),
    "How many at most; 100 where nothing is said",
);

pub(super) const JOB_QUERY: [Param; 9] = [
    param("task", Kind::Word, "Only jobs of this task"),
    param("queue", Kind::Word, "Only jobs of this queue"),
    param(
        "tag",
        Kind::Tags,
        "Only jobs with this tag; said again, with all of them",
    ),
    param(
        "state",
        Kind::Words(&["active", "paused", "parked", "finished"]),
        "Only jobs in this state",
    ),
    param(
        "owner",
        Kind::Text,
        "Only jobs that this file or service declares",
    ),
    param(
        "search",
        Kind::Text,
        "Only jobs with this text in their id, name, task or a tag",
    ),
    param(
        "sort",
        Kind::Words(&["id", "next"]),
        "By id, or by when they run next: looks at all jobs, and is refused where more than 100,000 are stored. In no particular order where nothing is said",
    ),
    LIMIT,
    param(
        "cursor",
        Kind::Text,
        "Where an earlier page ended, as it said in next",
    ),
];

/// What may become of fire times.
const OUTCOMES: [&str; 15] = [
    "succeeded",
    "failed",
    "timed_out",
    "cancelled",
    "rerun",
    "lost",
    "retrying",
    "removed",
    "unreadable",
    "skipped",
    "misfired",
    "coalesced",
    "catch_up",
    "max_instances",
    "paused",
];

pub(super) const RUN_QUERY: [Param; 8] = [
    param("job", Kind::Name, "Only of this job"),
    param(
        "outcome",
        Kind::Words(&OUTCOMES),
        "Only where this became of it; skipped is for whatever reason",
    ),
    param("node", Kind::Text, "Only what this worker had claimed"),
    param(
        "since",
        Kind::Time,
        "Only what was recorded at this instant or after it",
    ),
    param(
        "until",
        Kind::Time,
        "Only what was recorded at this instant or before it",
    ),
    LIMIT,
    param(
        "before",
        Kind::Place,
        "Onward to what is older: what an earlier page said in next",
    ),
    param(
        "after",
        Kind::Place,
        "Onward to what is newer, the oldest first: what an earlier page said in position. Whole batches are told, which may hold more than limit",
    ),
];

pub(super) const AUDIT_QUERY: [Param; 4] = [
    param("by", Kind::Text, "Only what this name did"),
    param(
        "object",
        Kind::Text,
        "Only what was done to this job, run or queue",
    ),
    LIMIT,
    param(
        "before",
        Kind::Text,
        "Where an earlier page ended, as it said in next",
    ),
];

pub(super) const FAILED_QUERY: [Param; 3] = [
    param("job", Kind::Name, "Only of this job"),
    LIMIT,
    param(
        "after",
        Kind::Text,
        "Where an earlier page ended, as it said in next",
    ),
];

pub(super) const SERIES_QUERY: [Param; 4] = [
    param(
        "since",
        Kind::Time,
        "Where the first stretch begins; an hour before until where nothing is said",
    ),
    param(
        "until",
        Kind::Time,
        "Where the last stretch ends; now where nothing is said",
    ),
    param(
        "bucket",
        Kind::Length,
        "How long each stretch is: 10s, 5m, 1h; 60s where nothing is said. There may be 1000 of them",
    ),
    param("job", Kind::Name, "Only of this job"),
];

pub(super) const PREVIEW_QUERY: [Param; 2] = [
    param(
        "count",
        Kind::UpTo(1000),
        "How many to list at most; 5 where nothing is said",
    ),
    param(
        "from",
        Kind::Time,
        "Fire times at or after this instant; now where nothing is said",
    ),
];

pub(super) const BULK_QUERY: [Param; 2] = [
    param(
        "replace",
        Kind::Flag,
        "Whether they take the place of jobs with the same ids",
    ),
    param(
        "partial",
        Kind::Flag,
        "Whether those are added that can be, though others are refused",
    ),
];

pub(super) const IMPORT_QUERY: [Param; 2] = [
    param(
        "on_conflict",
        Kind::Words(&["refuse", "keep", "replace"]),
        "What becomes of jobs that are there and are otherwise; refused where nothing is said",
    ),
    param(
        "dry_run",
        Kind::Flag,
        "Whether to tell only what would be done",
    ),
];

pub(super) const EVENTS_QUERY: [Param; 3] = [
    param("job", Kind::Name, "Only what is about this job"),
    param(
        "only",
        Kind::Text,
        "Only these, by their words, with commas between: failed,misfired,lease_won",
    ),
    param(
        "last_event_id",
        Kind::Text,
        "Go on behind this event, as the header Last-Event-ID says it",
    ),
];

pub(super) const EXPLAIN_QUERY: [Param; 1] = [param(
    "at",
    Kind::Text,
    "The time in question: an instant, or 03:00 or 2026-12-24 03:00 in the job's zone; the last fire time that was settled where nothing is said",
)];
