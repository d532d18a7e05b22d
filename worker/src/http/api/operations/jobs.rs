//! Jobs, one at a time.

use axum::routing::{delete, get, patch, post, put};
use scheduler_core::Store;

use super::Table;
use super::operation::{Answer, change, read};
use super::params::{EXPLAIN_QUERY, JOB_QUERY, PREVIEW_QUERY};
use crate::http::api::{cluster, jobs, schedule};

pub(super) fn table<S: Store>() -> Table<S> {
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
