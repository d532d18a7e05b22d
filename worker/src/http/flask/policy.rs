//! Policies, as a body says them.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::{Coalesce, Grace, Policy};
use serde_json::{Map, Value};

use super::python;
use super::refusal::Refusal;

/// `policy`, with what the body says in its place.
pub(super) fn changed(policy: &Policy, body: &Map<String, Value>) -> Result<Policy, Refusal> {
    let mut policy = *policy;
    if let Some(value) = body.get("misfire_grace_time") {
        policy.misfire_grace_time = grace(value)?;
    }
    if let Some(value) = body.get("coalesce") {
        policy.coalesce = if python::truth(value) {
            Coalesce::Latest
        } else {
            Coalesce::All
        };
    }
    if let Some(value) = body.get("max_instances") {
        let limit = positive(value).and_then(|limit| NonZeroU32::new(u32::try_from(limit).ok()?));
        policy.max_instances =
            limit.ok_or_else(|| Refusal::invalid("max_instances must be a positive integer"))?;
    }
    policy
        .check()
        .map_err(|(field, message)| Refusal::invalid(format!("{field}: {message}")))?;
    Ok(policy)
}

fn grace(value: &Value) -> Result<Grace, Refusal> {
    let rule = "misfire_grace_time must be either None or a positive integer";
    match value {
        Value::Null => Ok(Grace::Unlimited),
        other => positive(other)
            .map(|seconds| Grace::Within(Duration::from_secs(seconds)))
            .ok_or_else(|| Refusal::invalid(rule)),
    }
}

/// A whole number above zero; true is one, as in Python.
fn positive(value: &Value) -> Option<u64> {
    match value {
        Value::Bool(true) => Some(1),
        other => other.as_u64().filter(|number| *number > 0),
    }
}
