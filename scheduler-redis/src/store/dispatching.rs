//! Dispatches, as the script takes them.

use std::collections::BTreeMap;

use redis::Value;
use scheduler_core::store::{
    Dispatch, DispatchAnswer, DispatchItem, MAX_PLAN_AGE, Refusal, Refused, StoreResult,
};
use scheduler_core::{JobId, Timestamp};

use super::leading::{is_word, skip_lines};
use super::{Call, Queues, RedisStore, ms, optional_ms, score_to_timestamp};

/// Whether an item settles just its due time, by one run, of a job that may have one run in flight
/// and none lined up.
fn is_plain(item: &DispatchItem) -> bool {
    let plan = &item.plan;
    item.max_instances == 1
        && item.max_lined_up == 0
        && plan.runs == [item.due]
        && plan.skips.is_empty()
        && plan.settled == item.due
        && plan.next.is_some_and(|next| next > item.due)
}

/// Adds the columns of plain items; `dispatch.lua` says what they mean.
fn add_plain<'a>(call: &mut Call<'_>, items: impl Iterator<Item = &'a DispatchItem> + Clone) {
    for item in items.clone() {
        call.arg(item.job.as_str());
    }
    for item in items.clone() {
        call.arg(item.version.0);
    }
    for item in items.clone() {
        call.arg(item.job.as_str()).arg(item.due.as_ms());
    }
    for item in items.clone() {
        call.arg(optional_ms(item.plan.next)).arg(item.job.as_str());
    }
    for item in items {
        let due = item.due.as_ms();
        call.arg(item.job.as_str()).text(format_args!("@{due}"));
    }
}

/// Adds the args of any item.
fn add_item(call: &mut Call<'_>, item: &DispatchItem) {
    let plan = &item.plan;
    let runs: Vec<_> = plan.runs.iter().map(|at| at.as_ms().to_string()).collect();
    call.arg(item.job.as_str())
        .arg(item.due.as_ms())
        .arg(item.version.0);
    call.arg(optional_ms(plan.next))
        .arg(plan.first_settled().as_ms())
        .arg(plan.settled.as_ms());
    call.arg(item.max_instances)
        .arg(item.max_lined_up)
        .arg(runs.join(" "));
    call.arg(skip_lines(&item.job, &plan.skips, item.note.as_deref()));
}

impl RedisStore {
    pub(super) async fn do_dispatch(&self, request: &Dispatch) -> StoreResult<DispatchAnswer> {
        let mut queues = Queues::of(request.items.iter().map(|item| &item.queue));
        // In the order in which runs are to wait, whatever kind of item they are of.
        let mut lists: BTreeMap<usize, Vec<(&JobId, Timestamp)>> = BTreeMap::new();
        for item in request
            .items
            .iter()
            .filter(|item| !item.plan.runs.is_empty())
        {
            let runs = item.plan.runs.iter().map(|at| (&item.job, *at));
            let list = queues.list(&item.queue, item.priority);
            lists.entry(list).or_default().extend(runs);
        }
        let indexes = 0..request.items.len();
        let (plain, others): (Vec<usize>, Vec<usize>) =
            indexes.partition(|&index| is_plain(&request.items[index]));
        let mut call = self.call(&self.scripts().dispatch, None, &self.queue_keys(&queues));
        call.arg(request.token.to_string());
        call.arg(request.planned_at.as_ms()).arg(ms(MAX_PLAN_AGE));
        call.arg(plain.len()).arg(others.len()).arg(lists.len());
        add_plain(&mut call, plain.iter().map(|&index| &request.items[index]));
        for &index in &others {
            add_item(&mut call, &request.items[index]);
        }
        for (list, runs) in lists {
            call.arg(list).arg(runs.len());
            for (job, at) in runs {
                call.text(format_args!("1 - 0 {job}@{}", at.as_ms()));
            }
        }
        let answer: Value = call.send().await?;
        if is_word(&answer, "lost") {
            return Ok(DispatchAnswer::LeaseLost);
        }
        if is_word(&answer, "stale") {
            return Ok(DispatchAnswer::Stale);
        }
        let items: Vec<(usize, String, String)> =
            redis::from_redis_value(answer).map_err(|error| call.corrupt(error.to_string()))?;
        let mut refused = Vec::with_capacity(items.len());
        for (index, why, fired) in items {
            let why = match (why.as_str(), score_to_timestamp(&fired)) {
                ("changed", _) => Refusal::Changed,
                ("fired", Some(fired)) => Refusal::Fired(fired),
                ("full", _) => Refusal::Full,
                _ => return Err(call.corrupt(format!("refusal {why:?} {fired:?}"))),
            };
            // Plain items were sent first.
            let index = *plain
                .iter()
                .chain(&others)
                .nth(index)
                .ok_or_else(|| call.corrupt(format!("refused item {index}")))?;
            refused.push(Refused { index, why });
        }
        Ok(DispatchAnswer::Dispatched { refused })
    }
}
