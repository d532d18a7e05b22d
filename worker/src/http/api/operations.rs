//! What may be asked: the table that routes and document are made from.

use axum::routing::{MethodRouter, delete, get, patch, post, put};
use scheduler_core::Store;

use super::{
    PREFIX, audit, cluster, events, failed, jobs, many, openapi, page, queues, runs, schedule,
    series,
};
use crate::config::Role;
use crate::http::app::App;
use crate::http::routes::{Route, Style};

/// One operation, as the document tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// What it is called in clients that are generated.
    pub(super) id: &'static str,
    /// What it is about, as a heading.
    pub(super) group: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// What its clients must be allowed.
    pub(super) role: Role,
    /// What it does.
    pub(super) summary: &'static str,
    /// What its query may hold.
    pub(super) query: &'static [Param],
    /// What its body holds.
    pub(super) body: Body,
    /// Whether it heeds `If-Match`.
    pub(super) conditional: bool,
    /// Whether it may be sent again under `Idempotency-Key`.
    pub(super) keyed: bool,
    /// Whether its body may be large.
    pub(super) large: bool,
    /// Its status when it is done, and what it answers with.
    pub(super) done: (u16, Answer),
}

/// What an operation's body holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// Nothing.
    None,
    /// This, as JSON.
    Json(&'static str),
    /// This, as JSON; or nothing.
    MaybeJson(&'static str),
    /// Lines of JSON.
    Lines,
}

/// What an operation answers with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// Nothing.
    None,
    /// This, as JSON.
    Json(&'static str),
    /// Any JSON object.
    Object,
    /// Events, for as long as the client listens.
    Events,
    /// A page for people.
    Page,
    /// Lines of JSON.
    Lines,
}

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) kind: Kind,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
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

const JOB_QUERY: [Param; 9] = [
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

const RUN_QUERY: [Param; 8] = [
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

const AUDIT_QUERY: [Param; 4] = [
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

const FAILED_QUERY: [Param; 3] = [
    param("job", Kind::Name, "Only of this job"),
    LIMIT,
    param(
        "after",
        Kind::Text,
        "Where an earlier page ended, as it said in next",
    ),
];

const SERIES_QUERY: [Param; 4] = [
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

const PREVIEW_QUERY: [Param; 2] = [
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

const BULK_QUERY: [Param; 2] = [
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

const IMPORT_QUERY: [Param; 2] = [
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

const EVENTS_QUERY: [Param; 3] = [
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

const EXPLAIN_QUERY: [Param; 1] = [param(
    "at",
    Kind::Text,
    "The time in question: an instant, or 03:00 or 2026-12-24 03:00 in the job's zone; the last fire time that was settled where nothing is said",
)];

const fn read(
    id: &'static str,
    path: &'static str,
    answer: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        id,
        group: "",
        method: "GET",
        path,
        role: Role::Viewer,
        summary,
        query: &[],
        body: Body::None,
        conditional: false,
        keyed: false,
        large: false,
        done: (200, Answer::Json(answer)),
    }
}

const fn change(
    id: &'static str,
    (method, path): (&'static str, &'static str),
    (status, answer): (u16, &'static str),
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        role: Role::Operator,
        done: (status, Answer::Json(answer)),
        ..read(id, path, "", summary)
    }
}

impl Operation {
    const fn query(self, query: &'static [Param]) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: &'static str) -> Self {
        Self {
            body: Body::Json(body),
            ..self
        }
    }

    const fn maybe(self, body: &'static str) -> Self {
        Self {
            body: Body::MaybeJson(body),
            ..self
        }
    }

    const fn conditional(self) -> Self {
        Self {
            conditional: true,
            ..self
        }
    }

    const fn keyed(self) -> Self {
        Self {
            keyed: true,
            ..self
        }
    }

    const fn large(self) -> Self {
        Self {
            large: true,
            ..self
        }
    }

    const fn lines(self) -> Self {
        Self {
            body: Body::Lines,
            large: true,
            ..self
        }
    }

    const fn answers(self, answer: Answer) -> Self {
        let (status, _) = self.done;
        Self {
            done: (status, answer),
            ..self
        }
    }

    const fn for_operators(self) -> Self {
        Self {
            role: Role::Operator,
            ..self
        }
    }

    const fn for_viewers(self) -> Self {
        Self {
            role: Role::Viewer,
            ..self
        }
    }
}

type Table<S> = Vec<(Operation, MethodRouter<App<S>>)>;

/// All operations, each with its handler.
pub(super) fn operations<S: Store>() -> Table<S> {
    let groups = [
        ("Jobs", of_jobs()),
        ("Many jobs at once", of_many()),
        ("Runs", of_runs()),
        ("Queues and the namespace", of_queues()),
        ("The cluster", of_cluster()),
    ];
    let operations = groups.into_iter().flat_map(|(group, table)| {
        let in_group = move |(operation, handler)| (Operation { group, ..operation }, handler);
        table.into_iter().map(in_group)
    });
    operations.collect()
}

fn of_jobs<S: Store>() -> Table<S> {
    vec![
        (
            read("listJobs", "/jobs", "JobsPage", "Lists jobs, page by page").query(&JOB_QUERY),
            get(jobs::list::<S>),
        ),
        (
            change(
                "createJob",
                ("POST", "/jobs"),
                (201, "JobView"),
                "Adds a job",
            )
            .body("JobSpec")
            .keyed()
            .keyed(),
            post(jobs::create::<S>),
        ),
        (
            read("getJob", "/jobs/{id}", "JobView", "Shows a job"),
            get(jobs::get::<S>),
        ),
        (
            change(
                "putJob",
                ("PUT", "/jobs/{id}"),
                (200, "JobView"),
                "Adds a job, or puts it in place of another",
            )
            .body("JobSpec")
            .conditional(),
            put(jobs::replace::<S>),
        ),
        (
            change(
                "patchJob",
                ("PATCH", "/jobs/{id}"),
                (200, "JobView"),
                "Changes some fields of a job: all, or none",
            )
            .body("JobPatch")
            .conditional(),
            patch(jobs::modify::<S>),
        ),
        (
            change(
                "removeJob",
                ("DELETE", "/jobs/{id}"),
                (204, ""),
                "Removes a job; runs that have begun go on",
            )
            .answers(Answer::None)
            .conditional(),
            delete(jobs::remove::<S>),
        ),
        (
            change(
                "pauseJob",
                ("POST", "/jobs/{id}/pause"),
                (200, "JobView"),
                "Pauses a job, until it is resumed or for a time",
            )
            .maybe("PauseRequest")
            .conditional(),
            post(jobs::pause::<S>),
        ),
        (
            change(
                "resumeJob",
                ("POST", "/jobs/{id}/resume"),
                (200, "JobView"),
                "Resumes a paused or parked job",
            )
            .conditional(),
            post(jobs::resume::<S>),
        ),
        (
            change(
                "runJob",
                ("POST", "/jobs/{id}/run"),
                (202, "RunMade"),
                "Runs a job now, beside its schedule",
            )
            .maybe("RunRequest")
            .conditional()
            .keyed(),
            post(jobs::run::<S>),
        ),
        (
            change(
                "backfillJob",
                ("POST", "/jobs/{id}/backfill"),
                (200, "Backfilled"),
                "Makes runs for fire times of the past, as long as the job has room for them",
            )
            .body("Backfill")
            .keyed(),
            post(schedule::backfill::<S>),
        ),
        (
            read(
                "listRunsInFlight",
                "/jobs/{id}/runs",
                "InFlight",
                "Lists the runs of a job that are in flight",
            ),
            get(jobs::in_flight::<S>),
        ),
        (
            read(
                "explainJob",
                "/jobs/{id}/explain",
                "Explained",
                "Tells why a job ran at a time, or why it did not",
            )
            .query(&EXPLAIN_QUERY),
            get(schedule::explain::<S>),
        ),
        (
            read(
                "previewJob",
                "/jobs/{id}/preview",
                "PreviewView",
                "Shows when a job runs next",
            )
            .query(&PREVIEW_QUERY),
            get(schedule::preview_job::<S>),
        ),
        (
            change(
                "previewNewJob",
                ("POST", "/preview"),
                (200, "JobChecked"),
                "Checks a job as it would be added, and shows when it would run",
            )
            .body("JobSpec")
            .for_viewers(),
            post(schedule::preview_new::<S>),
        ),
        (
            change(
                "previewTrigger",
                ("POST", "/triggers/preview"),
                (200, "PreviewView"),
                "Says what a trigger is, or what is wrong with it, and when it fires",
            )
            .body("TriggerRequest")
            .for_viewers(),
            post(schedule::preview_trigger::<S>),
        ),
        (
            change(
                "once",
                ("POST", "/once"),
                (201, "JobView"),
                "Adds a job that runs once, under an id that is made for it",
            )
            .body("OnceRequest")
            .keyed(),
            post(schedule::once::<S>),
        ),
        (
            read(
                "getHolder",
                "/unique/{key}",
                "HolderView",
                "Shows which job holds a unique key",
            ),
            get(cluster::holder::<S>),
        ),
    ]
}

fn of_many<S: Store>() -> Table<S> {
    vec![
        (
            change(
                "createJobs",
                ("POST", "/bulk/jobs"),
                (200, "BulkDone"),
                "Adds up to 10,000 jobs: all, or none where any would be refused",
            )
            .body("Jobs")
            .query(&BULK_QUERY)
            .large()
            .keyed(),
            post(many::create::<S>),
        ),
        (
            change(
                "apply",
                ("POST", "/apply"),
                (200, "PlanView"),
                "Makes the store equal to what a file declares, or tells what that would change",
            )
            .body("ApplyRequest")
            .large()
            .keyed(),
            post(many::apply::<S>),
        ),
        (
            read(
                "exportJobs",
                "/export",
                "",
                "Tells all jobs as lines of JSON",
            )
            .answers(Answer::Lines),
            get(many::export::<S>),
        ),
        (
            change(
                "importJobs",
                ("POST", "/import"),
                (200, "ImportDone"),
                "Brings back up to 10,000 jobs that were exported",
            )
            .lines()
            .query(&IMPORT_QUERY)
            .keyed(),
            post(many::import::<S>),
        ),
    ]
}

fn of_runs<S: Store>() -> Table<S> {
    vec![
        (
            read(
                "listRuns",
                "/runs",
                "RunsPage",
                "Lists what became of fire times, the newest first",
            )
            .query(&RUN_QUERY),
            get(runs::list::<S>),
        ),
        (
            read(
                "getRun",
                "/runs/{run}",
                "ReportView",
                "Shows all that is known about a run: where it is, its attempts, what its handler noted",
            ),
            get(runs::get::<S>),
        ),
        (
            read(
                "getLog",
                "/runs/{run}/log",
                "LogView",
                "Shows the lines that a run's handlers told",
            ),
            get(runs::log::<S>),
        ),
        (
            change(
                "cancelRun",
                ("POST", "/runs/{run}/cancel"),
                (200, "Cancelled"),
                "Cancels a run that waits or is executed",
            )
            .maybe("CancelRequest"),
            post(runs::cancel::<S>),
        ),
        (
            change(
                "rerun",
                ("POST", "/runs/{run}/rerun"),
                (202, "RunMade"),
                "Runs a failed run again",
            ),
            post(failed::rerun::<S>),
        ),
        (
            read(
                "listFailed",
                "/failed",
                "FailedPage",
                "Lists runs that have failed for good, the newest first",
            )
            .query(&FAILED_QUERY),
            get(failed::list::<S>),
        ),
        (
            change(
                "rerunFailed",
                ("POST", "/failed/rerun"),
                (200, "RerunDone"),
                "Runs failed runs again, up to 1000 at once",
            )
            .body("Chosen")
            .keyed(),
            post(failed::rerun_all::<S>),
        ),
        (
            change(
                "purgeFailed",
                ("POST", "/failed/purge"),
                (200, "PurgeDone"),
                "Forgets failed runs, up to 1000 at once",
            )
            .body("Chosen"),
            post(failed::purge::<S>),
        ),
    ]
}

fn of_queues<S: Store>() -> Table<S> {
    vec![
        (
            read("listQueues", "/queues", "Board", "Lists the queues, and shows whether the namespace is paused"),
            get(queues::list::<S>),
        ),
        (
            read("getQueue", "/queues/{queue}", "QueueView", "Shows a queue"),
            get(queues::get::<S>),
        ),
        (
            change("limitQueue", ("PATCH", "/queues/{queue}"), (200, "QueueView"), "Limits a queue").body("LimitsRequest"),
            patch(queues::limit::<S>),
        ),
        (
            change("resetQueue", ("POST", "/queues/{queue}/reset"), (200, "SteeredView"), "Takes a queue's limits away; those of configurations count again when a worker starts"),
            post(queues::reset::<S>),
        ),
        (
            change("pauseQueue", ("POST", "/queues/{queue}/pause"), (200, "SteeredView"), "Claims nothing of a queue until it is resumed; its runs wait").maybe("PauseRequest"),
            post(queues::pause::<S>),
        ),
        (
            change("resumeQueue", ("POST", "/queues/{queue}/resume"), (200, "SteeredView"), "Ends a queue's pause"),
            post(queues::resume::<S>),
        ),
        (
            change("pause", ("POST", "/pause"), (200, "SteeredView"), "Pauses the whole namespace: nothing is claimed, fire times are recorded as skipped").maybe("PauseRequest"),
            post(queues::pause_all::<S>),
        ),
        (
            change("resume", ("POST", "/resume"), (200, "SteeredView"), "Ends the namespace's pause"),
            post(queues::resume_all::<S>),
        ),
    ]
}

fn of_cluster<S: Store>() -> Table<S> {
    vec![
        (
            read(
                "listNamespaces",
                "/namespaces",
                "Namespaces",
                "Lists the namespaces that are served here",
            ),
            get(cluster::namespaces::<S>),
        ),
        (
            read(
                "listDeeds",
                "/audit",
                "DeedsPage",
                "Lists who changed what, the newest first",
            )
            .query(&AUDIT_QUERY)
            .for_operators(),
            get(audit::list::<S>),
        ),
        (
            read("listNodes", "/nodes", "Workers", "Lists the workers"),
            get(cluster::nodes::<S>),
        ),
        (
            read("listLeaders", "/leaders", "Leaders", "Shows who leads"),
            get(cluster::leaders::<S>),
        ),
        (
            read(
                "getStats",
                "/stats",
                "Stats",
                "Shows the namespace in numbers",
            ),
            get(cluster::stats::<S>),
        ),
        (
            read(
                "getSeries",
                "/stats/series",
                "SeriesView",
                "Shows what became of fire times over time, for charts",
            )
            .query(&SERIES_QUERY),
            get(series::series::<S>),
        ),
        (
            read(
                "listen",
                "/events",
                "",
                "Tells what happens, as it happens, as Server-Sent Events",
            )
            .query(&EVENTS_QUERY)
            .answers(Answer::Events),
            get(events::events::<S>),
        ),
        (
            read("getPage", "/docs", "", "The document as a page").answers(Answer::Page),
            get(page::page::<S>),
        ),
        (
            read("getDocument", "/openapi.json", "", "This document").answers(Answer::Object),
            get(openapi::document::<S>),
        ),
    ]
}

/// The routes.
pub(in crate::http) fn routes<S: Store>() -> Vec<Route<S>> {
    let route = |(operation, handler): (Operation, MethodRouter<App<S>>)| {
        let path = format!("{PREFIX}{}", operation.path);
        let route = Route::new(path, operation.method, operation.role, handler);
        let route = route.styled(Style::Native);
        let route = if operation.keyed {
            route.keyed()
        } else {
            route
        };
        if operation.large {
            route.large()
        } else {
            route
        }
    };
    operations().into_iter().map(route).collect()
}
