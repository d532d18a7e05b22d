//! Dispatches, as the script takes them.

use std::collections::BTreeMap;

use redis::Value;
use scheduler_core::store::{
    Dispatch, DispatchAnswer, DispatchItem, MAX_PLAN_AGE, Refusal, Refused, StoreResult,
};
use scheduler_core::{JobId, Timestamp};

use super::leading::{is_word, skip_lines};
use super::{Call, Queues, RedisStore, ms, optional_ms, score_to_timestamp};

/// How the script takes an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It settles just its due time, by one run, of a job that may have one run in flight and none
    /// lined up.
    Plain,
    /// The same, and the job's schedule is over with that.
    Last,
    Other,
}

impl Kind {
    fn of(item: &DispatchItem) -> Self {
        let plan = &item.plan;
        let is_plain = item.max_instances == 1
            && item.max_lined_up == 0
            && plan.runs == [item.due]
            && plan.skips.is_empty()
            && plan.settled == item.due;
        match plan.next {
            None if is_plain => Self::Last,
            Some(next) if is_plain && next > item.due => Self::Plain,
            _ => Self::Other,
        }
    }
}

/// Adds the columns of plain or last items; `dispatch.lua` says what they mean.
fn add_plain<'a>(
    call: &mut Call<'_>,
    items: impl Iterator<Item = &'a DispatchItem> + Clone,
    names_versions: bool,
) {
    for item in items.clone() {
        call.arg(item.job.as_str());
    }
    if names_versions {
        for item in items.clone() {
            call.arg(item.version.0);
        }
    }
    for item in items.clone() {
        call.arg(item.job.as_str()).arg(item.due.as_ms());
    }
    for item in items.clone() {
        match item.plan.next {
            Some(next) => call.arg(next.as_ms()),
            None => call.arg("+inf"),
        };
        call.arg(item.job.as_str());
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

/// A dispatch, ready to be sent.
pub(super) struct Sent<'a> {
    pub(super) call: Call<'a>,
    /// The places of plain, last and other items in the request, in the order in which they are sent.
    sent: [Vec<usize>; 3],
}

impl RedisStore {
    /// Names the versions of all jobs, or what `changed` was when they had them.
    pub(super) fn dispatch_call(&self, request: &Dispatch, changed: Option<&str>) -> Sent<'_> {
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
        let of_kind = |kind| {
            let indexes = request.items.iter().enumerate();
            let indexes = indexes.filter(move |(_, item)| Kind::of(item) == kind);
            indexes.map(|(index, _)| index).collect::<Vec<_>>()
        };
        let sent = [Kind::Plain, Kind::Last, Kind::Other].map(of_kind);
        let [plain, last, others] = &sent;
        let mut call = self.call(&self.scripts().dispatch, None, &self.queue_keys(&queues));
        call.arg(request.token.to_string());
        call.arg(request.planned_at.as_ms()).arg(ms(MAX_PLAN_AGE));
        call.arg(plain.len()).arg(last.len()).arg(others.len());
        call.arg(lists.len()).arg(changed.unwrap_or_default());
        for columns in [plain, last] {
            add_plain(
                &mut call,
                columns.iter().map(|&index| &request.items[index]),
                changed.is_none(),
            );
        }
        for &index in others {
            add_item(&mut call, &request.items[index]);
        }
        for (list, runs) in lists {
            call.arg(list).arg(runs.len());
            for (job, at) in runs {
                call.text(format_args!("1 - 0 {job}@{}", at.as_ms()));
            }
        }
        Sent { call, sent }
    }

    pub(super) async fn do_dispatch(&self, request: &Dispatch) -> StoreResult<DispatchAnswer> {
        let changed = self.shared.versions.changed_for(&request.items);
        let Sent { mut call, mut sent } = self.dispatch_call(request, changed.as_deref());
        let mut answer: Value = call.send().await?;
        if is_word(&answer, "anew") {
            self.shared.versions.forget();
            Sent { call, sent } = self.dispatch_call(request, None);
            answer = call.send().await?;
        }
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
            // In the order in which they were sent.
            let index = *sent
                .iter()
                .flatten()
                .nth(index)
                .ok_or_else(|| call.corrupt(format!("refused item {index}")))?;
            refused.push(Refused { index, why });
        }
        Ok(DispatchAnswer::Dispatched { refused })
    }
}
