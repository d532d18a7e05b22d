//! Queues, and the namespace as a whole.

use axum::routing::{get, patch, post};
use scheduler_core::Store;

use super::Table;
use super::operation::{change, read};
use crate::http::api::queues;

pub(super) fn table<S: Store>() -> Table<S> {
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
