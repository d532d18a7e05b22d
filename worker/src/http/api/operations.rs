//! What may be asked: the table that routes and document are made from.

use axum::routing::{MethodRouter, delete, get, patch, post, put};
use scheduler_core::Store;

use super::{PREFIX, audit, cluster, jobs, openapi, runs, triggers};
use crate::config::Role;
use crate::http::app::App;
use crate::http::routes::{Route, Style};

/// One operation, as the document tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// What it is called in clients that are generated.
    pub(super) id: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// None for what is open to anybody.
    pub(super) role: Role,
    /// What it does.
    pub(super) summary: &'static str,
    /// What its query may hold, and what that means.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// What its body holds.
    pub(super) body: Option<&'static str>,
    /// Whether it heeds `If-Match`.
    pub(super) conditional: bool,
    /// Its status when it is done, and what it answers with.
    pub(super) done: (u16, Option<&'static str>),
}

const JOB_QUERY: [(&str, &str); 7] = [
    ("task", "Only jobs of this task"),
    ("queue", "Only jobs of this queue"),
    ("tag", "Only jobs with this tag"),
    ("state", "Only jobs in this state: active, paused or parked"),
    ("search", "Only jobs whose id or name holds this text"),
    (
        "limit",
        "How many at most: 1 to 1000, 100 where nothing is said",
    ),
    ("cursor", "Where an earlier page ended, as it said in next"),
];

const RUN_QUERY: [(&str, &str); 4] = [
    ("job", "Only of this job"),
    ("node", "Only what this worker did"),
    (
        "limit",
        "How many at most: 1 to 1000, 100 where nothing is said",
    ),
    ("before", "Where an earlier page ended, as it said in next"),
];

const AUDIT_QUERY: [(&str, &str); 4] = [
    ("by", "Only what this name did"),
    ("object", "Only what was done to this job, run or queue"),
    (
        "limit",
        "How many at most: 1 to 1000, 100 where nothing is said",
    ),
    ("before", "Where an earlier page ended, as it said in next"),
];

const fn read(
    id: &'static str,
    path: &'static str,
    answer: Option<&'static str>,
    summary: &'static str,
) -> Operation {
    Operation {
        id,
        method: "GET",
        path,
        role: Role::Viewer,
        summary,
        query: &[],
        body: None,
        conditional: false,
        done: (200, answer),
    }
}

const fn change(
    id: &'static str,
    method: &'static str,
    path: &'static str,
    done: (u16, Option<&'static str>),
    summary: &'static str,
) -> Operation {
    Operation {
        id,
        method,
        path,
        role: Role::Operator,
        summary,
        query: &[],
        body: None,
        conditional: true,
        done,
    }
}

impl Operation {
    const fn with_query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    const fn with_body(self, body: &'static str) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    const fn unconditional(self) -> Self {
        Self {
            conditional: false,
            ..self
        }
    }
}

const JOB: (u16, Option<&str>) = (200, Some("JobView"));

/// All operations, each with its handler.
pub(super) fn operations<S: Store>() -> Vec<(Operation, MethodRouter<App<S>>)> {
    vec![
        (
            read("listJobs", "/jobs", Some("JobsPage"), "Lists jobs, by id").with_query(&JOB_QUERY),
            get(jobs::list::<S>),
        ),
        (
            change(
                "createJob",
                "POST",
                "/jobs",
                (201, Some("JobView")),
                "Adds a job",
            )
            .with_body("JobSpec")
            .unconditional(),
            post(jobs::create::<S>),
        ),
        (
            read("getJob", "/jobs/{id}", Some("JobView"), "Shows a job"),
            get(jobs::get::<S>),
        ),
        (
            change(
                "putJob",
                "PUT",
                "/jobs/{id}",
                JOB,
                "Adds a job, or puts it in place of another",
            )
            .with_body("JobSpec"),
            put(jobs::replace::<S>),
        ),
        (
            change(
                "patchJob",
                "PATCH",
                "/jobs/{id}",
                JOB,
                "Changes some fields of a job: all, or none",
            )
            .with_body("JobPatch"),
            patch(jobs::modify::<S>),
        ),
        (
            change(
                "removeJob",
                "DELETE",
                "/jobs/{id}",
                (204, None),
                "Removes a job",
            ),
            delete(jobs::remove::<S>),
        ),
        (
            change("pauseJob", "POST", "/jobs/{id}/pause", JOB, "Pauses a job"),
            post(jobs::pause::<S>),
        ),
        (
            change(
                "resumeJob",
                "POST",
                "/jobs/{id}/resume",
                JOB,
                "Resumes a job",
            ),
            post(jobs::resume::<S>),
        ),
        (
            change(
                "runJob",
                "POST",
                "/jobs/{id}/run",
                (202, Some("RunMade")),
                "Runs a job now, beside its schedule",
            )
            .unconditional(),
            post(jobs::run::<S>),
        ),
        (
            Operation {
                role: Role::Viewer,
                ..change(
                    "previewTrigger",
                    "POST",
                    "/triggers/preview",
                    (200, Some("PreviewView")),
                    "Says what a trigger is, or what is wrong with it, and when it fires",
                )
                .with_body("TriggerPreview")
                .unconditional()
            },
            post(triggers::preview::<S>),
        ),
        (
            read(
                "listRuns",
                "/runs",
                Some("RunsPage"),
                "Lists what became of fire times, the newest first",
            )
            .with_query(&RUN_QUERY),
            get(runs::list::<S>),
        ),
        (
            read(
                "getRun",
                "/runs/{run}",
                Some("RunHistory"),
                "Shows the attempts of a run",
            ),
            get(runs::get::<S>),
        ),
        (
            Operation {
                role: Role::Operator,
                ..read(
                    "listDeeds",
                    "/audit",
                    Some("DeedsPage"),
                    "Lists who changed what, the newest first",
                )
                .with_query(&AUDIT_QUERY)
            },
            get(audit::list::<S>),
        ),
        (
            read("listNodes", "/nodes", Some("Workers"), "Lists the workers"),
            get(cluster::nodes::<S>),
        ),
        (
            read(
                "getLeader",
                "/leader",
                Some("LeaderView"),
                "Shows who leads",
            ),
            get(cluster::leader::<S>),
        ),
        (
            read(
                "getStats",
                "/stats",
                Some("Stats"),
                "Shows the namespace in numbers",
            ),
            get(cluster::stats::<S>),
        ),
        (
            read("getDocument", "/openapi.json", None, "This document"),
            get(openapi::document::<S>),
        ),
    ]
}

/// The routes.
pub(in crate::http) fn routes<S: Store>() -> Vec<Route<S>> {
    let route = |(operation, handler): (Operation, MethodRouter<App<S>>)| {
        let path = format!("{PREFIX}{}", operation.path);
        Route::new(path, operation.method, operation.role, handler).styled(Style::Native)
    };
    operations().into_iter().map(route).collect()
}
