//! The workers, and what waits for them.

use std::collections::BTreeSet;

use carillon::Jobs;
use carillon::core::Store;
use carillon::core::store::{NodeView, Overview, StoreResult};
use carillon::jobs::JobsError;
use carillon::redis::checkup::Finding;

/// Up to how many jobs each one is read.
const READ_AT_MOST: u64 = 10_000;

/// How many names a finding repeats.
const NAMED: usize = 5;

pub(super) async fn look<S: Store>(store: &S) -> StoreResult<Vec<Finding>> {
    let overview = store.overview().await?;
    let nodes = store.nodes().await?;
    let alive: Vec<&NodeView> = nodes
        .iter()
        .filter(|node| !node.dead && node.deadline >= overview.now)
        .collect();
    let mut findings = vec![workers(&overview, &alive), versions(&alive)];
    findings.extend(unserved(&overview, &alive));
    if let Some(hold) = store.queues().await?.hold {
        findings.push(Finding::warning(
            "pause",
            match hold.note.reason {
                Some(reason) => format!("the namespace is paused: {reason}"),
                None => "the namespace is paused".to_owned(),
            },
            "nothing runs, and fire times are recorded as skipped",
            "carillon resume",
        ));
    }
    if overview.jobs <= READ_AT_MOST {
        match Jobs::new(store.clone()).list().await {
            Ok(list) => findings.push(records(overview.jobs, &list.unreadable)),
            Err(JobsError::Store(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(findings)
}

fn workers(overview: &Overview, alive: &[&NodeView]) -> Finding {
    const CHECK: &str = "workers";
    let waits =
        overview.due + overview.retries + overview.queues.iter().map(|q| q.ready).sum::<u64>();
    let leaderless = overview.leaders.iter().filter(|led| led.is_none()).count();
    match (alive.len(), overview.leader()) {
        (0, _) if waits > 0 => Finding::problem(
            CHECK,
            format!("none is alive, and {waits} fire times and runs wait"),
            "nothing runs",
            "carillon run, as often as you like; its log says why it does not stay",
        ),
        (0, _) => Finding::fine(CHECK, "none is alive, and nothing waits"),
        (alive, None) if overview.due > 0 => Finding::warning(
            CHECK,
            format!(
                "{alive} alive, and nobody leads, with {} jobs due",
                overview.due
            ),
            "takeover: somebody leads within seconds",
            "ask again; where it stays so, look into the workers' logs",
        ),
        (alive, Some(_)) if leaderless > 0 => Finding::warning(
            CHECK,
            format!(
                "{alive} alive, and {leaderless} of {} shards have no leader",
                overview.leaders.len()
            ),
            "takeover: somebody leads each shard within seconds",
            "ask again; where it stays so, look into the workers' logs",
        ),
        (alive, Some(_)) if overview.leaders.len() > 1 => {
            let leaders = overview.leaders.iter().flatten();
            let leaders: BTreeSet<_> = leaders.map(|token| token.session.node()).collect();
            let shards = overview.leaders.len();
            Finding::fine(
                CHECK,
                format!(
                    "{alive} alive, {} of them lead {shards} shards",
                    leaders.len()
                ),
            )
        }
        (alive, Some(leader)) => Finding::fine(
            CHECK,
            format!("{alive} alive, {} leads", leader.session.node()),
        ),
        (alive, None) => Finding::fine(CHECK, format!("{alive} alive")),
    }
}

fn versions(alive: &[&NodeView]) -> Finding {
    const CHECK: &str = "versions";
    let unread = alive.iter().filter(|node| node.info.is_none()).count();
    let info = alive.iter().filter_map(|node| node.info.as_ref());
    let versions: BTreeSet<&str> = info.map(|info| info.carillon.as_str()).collect();
    let found = versions.iter().copied().collect::<Vec<_>>().join(", ");
    if unread > 0 {
        return Finding::warning(
            CHECK,
            format!("{unread} workers tell of themselves in words that this version does not know"),
            "what a newer version wrote, this one may set aside",
            "use the command line of the newest version; end the rolling deploy",
        );
    }
    match versions.len() {
        0 => Finding::fine(CHECK, "no worker"),
        1 => Finding::fine(CHECK, found),
        _ => Finding::warning(
            CHECK,
            format!("mixed: {found}"),
            "what a newer version wrote, an older one may set aside",
            "end the rolling deploy",
        ),
    }
}

/// Queues with runs that nobody takes.
fn unserved(overview: &Overview, alive: &[&NodeView]) -> Option<Finding> {
    let info = alive.iter().filter_map(|node| node.info.as_ref());
    let served: BTreeSet<_> = info.flat_map(|info| info.queues.iter()).collect();
    let waiting = overview.queues.iter().filter(|queue| queue.ready > 0);
    let unserved: Vec<String> = waiting
        .filter(|queue| !served.contains(&queue.queue))
        .map(|queue| format!("{} ({} runs)", queue.queue, queue.ready))
        .collect();
    let is_bad = !alive.is_empty() && !unserved.is_empty();
    is_bad.then(|| {
        Finding::problem(
            "queues",
            format!("nobody serves {}", some(&unserved)),
            "their runs wait for ever",
            "carillon run --queue NAME, or give the jobs another queue",
        )
    })
}

fn records(jobs: u64, unreadable: &[(String, String)]) -> Finding {
    const CHECK: &str = "records";
    if unreadable.is_empty() {
        return Finding::fine(CHECK, format!("{jobs} jobs, all readable"));
    }
    let named: Vec<String> = unreadable
        .iter()
        .map(|(id, why)| format!("{id}: {why}"))
        .collect();
    Finding::problem(
        CHECK,
        format!("{} jobs cannot be read: {}", named.len(), some(&named)),
        "they are set aside, and do not run",
        "put them anew (carillon job add --replace), or end the rolling deploy that wrote them",
    )
}

/// The first few of them.
fn some(names: &[String]) -> String {
    let first = names
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}
