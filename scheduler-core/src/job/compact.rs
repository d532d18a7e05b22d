//! A job as it is stored: without what it would read back as anyway.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::Job;
use crate::after::After;
use crate::duration;
use crate::id::{JobId, QueueName, Tag, TaskName};
use crate::policy::{Coalesce, Delivery, Grace, OnLost, Overlap, Policy, Priority, Retry};
use crate::retention::HistoryPolicy;
use crate::trigger::Trigger;
use crate::unique::Unique;

impl Job {
    /// The job for a store to write: reads back as the same job, and leaves out what is at its default.
    /// Millions of jobs are stored that differ in little from each other.
    #[must_use]
    pub fn compact(&self) -> impl Serialize + '_ {
        // Named one by one, so that nothing new is forgotten.
        let Self {
            id,
            name,
            task,
            args,
            trigger,
            queue,
            policy,
            tags,
            owner,
            unique,
            after,
        } = self;
        Compact {
            id,
            name: name.as_deref(),
            task,
            args,
            trigger,
            queue,
            policy,
            tags,
            owner: owner.as_deref(),
            unique: unique.as_ref(),
            after: after.as_ref(),
        }
    }
}

#[derive(Serialize)]
struct Compact<'a> {
    id: &'a JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    task: &'a TaskName,
    #[serde(skip_serializing_if = "Value::is_null")]
    args: &'a Value,
    trigger: &'a Trigger,
    #[serde(skip_serializing_if = "is_default_queue")]
    queue: &'a QueueName,
    #[serde(with = "CompactPolicy", skip_serializing_if = "is_default_policy")]
    policy: &'a Policy,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    tags: &'a BTreeSet<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<&'a Unique>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a After>,
}

/// The fields of [`Policy`], each left out at its default.
#[derive(Serialize)]
#[serde(remote = "Policy")]
struct CompactPolicy {
    #[serde(skip_serializing_if = "is_default")]
    coalesce: Coalesce,
    #[serde(skip_serializing_if = "is_default")]
    misfire_grace_time: Grace,
    #[serde(skip_serializing_if = "is_default_catch_up")]
    max_catch_up: NonZeroU32,
    #[serde(skip_serializing_if = "is_one")]
    max_instances: NonZeroU32,
    #[serde(skip_serializing_if = "is_default")]
    overlap: Overlap,
    #[serde(skip_serializing_if = "is_default")]
    retry: Retry,
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(skip_serializing_if = "is_default")]
    delivery: Delivery,
    #[serde(skip_serializing_if = "is_default")]
    on_lost: OnLost,
    #[serde(skip_serializing_if = "is_default_max_lost")]
    max_lost: NonZeroU32,
    #[serde(skip_serializing_if = "is_default")]
    priority: Priority,
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    spread: Option<Duration>,
    #[serde(skip_serializing_if = "is_default")]
    keep: bool,
    #[serde(skip_serializing_if = "is_default")]
    history: HistoryPolicy,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_default_queue(queue: &QueueName) -> bool {
    *queue == QueueName::default_queue()
}

fn is_default_policy(policy: &Policy) -> bool {
    *policy == Policy::default()
}

fn is_one(number: &NonZeroU32) -> bool {
    *number == Policy::default().max_instances
}

fn is_default_catch_up(limit: &NonZeroU32) -> bool {
    *limit == Policy::default().max_catch_up
}

fn is_default_max_lost(limit: &NonZeroU32) -> bool {
    *limit == Policy::default().max_lost
}
