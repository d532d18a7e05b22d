//! The report: one page of Markdown.

use std::fmt::Write;

use super::faults::{Fault, Strike};
use super::node::SESSION_TTL;
use super::run::Soak;
use super::verdict::Verdict;

/// How long after a fault silence is looked for.
const AFTERMATH_MS: i64 = 10_000;

pub(super) fn report(soak: &Soak, verdict: &Verdict, strikes: &[Strike]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = head(&mut text, soak, strikes)
        .and_then(|()| promises(&mut text, verdict))
        .and_then(|()| figures(&mut text, verdict))
        .and_then(|()| lost_tails(&mut text, verdict))
        .and_then(|()| longest(&mut text, verdict, strikes))
        .and_then(|()| faults(&mut text, verdict, strikes));
    text
}

fn head(text: &mut String, soak: &Soak, strikes: &[Strike]) -> std::fmt::Result {
    let Soak {
        length,
        seed,
        nodes,
        jobs,
        command,
    } = soak;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    writeln!(text, "# A soak, and what came of it\n")?;
    writeln!(text, "```sh\n{command}\n```\n")?;
    writeln!(
        text,
        "{nodes} node processes, {jobs} jobs of mixed triggers, one Redis (`appendfsync always`), {} faults in \
         {} minute(s), one every 2 to 5 seconds, drawn from seed {seed}. Sessions live {} s, leases 5 s. All on \
         one machine with {cores} cores, whose load was {load} when it ended. Faults overlap: what follows one \
         may be due to another. How it judges is written in `tests/src/soak/verdict.rs`.\n",
        strikes.len(),
        length.as_secs() / 60,
        SESSION_TTL.as_secs(),
    )
}

fn promises(text: &mut String, verdict: &Verdict) -> std::fmt::Result {
    writeln!(text, "| what must not be | found |\n|---|---|")?;
    for (name, found) in verdict.violations() {
        writeln!(text, "| {name} | {} |", found.len())?;
    }
    writeln!(text)?;
    for (name, found) in verdict.violations() {
        for one in found.iter().take(10) {
            writeln!(text, "- {name}: `{one}`")?;
        }
    }
    Ok(())
}

fn figures(text: &mut String, verdict: &Verdict) -> std::fmt::Result {
    writeln!(text, "| what happened | |\n|---|---|")?;
    writeln!(text, "| fire times | {} |", verdict.fires)?;
    writeln!(text, "| that became runs | {} |", verdict.runs)?;
    for (reason, count) in &verdict.skipped {
        writeln!(text, "| recorded as skipped: {reason} | {count} |")?;
    }
    writeln!(
        text,
        "| handlers begun (also of the last seconds, which are not judged) | {} |",
        verdict.executions
    )?;
    let again = verdict.again;
    writeln!(
        text,
        "| of these, again after a fault of the node | {again} |"
    )?;
    writeln!(
        text,
        "| from that fault to the next attempt, ms | {} |",
        spread(&verdict.recoveries)
    )?;
    writeln!(
        text,
        "| from fire time to handler, ms | {} |",
        spread(&verdict.delays)
    )?;
    writeln!(
        text,
        "| longest time without any start, ms | {} |",
        verdict.longest_gap.0
    )?;
    writeln!(
        text,
        "| handlers that went on for a moment after a thaw, beside their run's next attempt, ms | {} |\n",
        spread(&verdict.overlaps_after_thaw)
    )
}

/// What the operator's guide says of them.
fn lost_tails(text: &mut String, verdict: &Verdict) -> std::fmt::Result {
    let lost = &verdict.of_lost_tails;
    writeln!(
        text,
        "What Redis lost with what it wrote last (read from the part of its file that was cut off), and what came of \
         [what cannot be made up for](operating.md#what-is-lost-and-what-is-made-up-for). All else is a breach, and \
         counted above.\n"
    )?;
    writeln!(text, "| of the lost tails | |\n|---|---|")?;
    let rows = [
        ("runs that they were about", lost.runs),
        (
            "executed again, for who had executed it was gone, or late",
            lost.again,
        ),
        (
            "of these, while the earlier execution went on",
            lost.at_once,
        ),
        (
            "executed, and its end is told nowhere, for its node was gone",
            lost.ends,
        ),
        (
            "ended or skipped a second time, for the same reason",
            lost.told_twice,
        ),
        ("fire times whose record of a skip is gone", lost.skips),
    ];
    for (what, count) in rows {
        writeln!(text, "| {what} | {count} |")?;
    }
    writeln!(text)
}

/// What struck around the longest time without any start.
fn longest(text: &mut String, verdict: &Verdict, strikes: &[Strike]) -> std::fmt::Result {
    let (gap, from) = verdict.longest_gap;
    writeln!(text, "Around the longest time without any start:\n")?;
    for strike in strikes {
        if strike.at_ms <= from + gap && strike.mended_ms.saturating_add(AFTERMATH_MS) >= from {
            let lasted = strike.mended_ms.saturating_sub(strike.at_ms);
            let (before, fault) = (from - strike.at_ms, strike.fault.describe());
            writeln!(
                text,
                "- {before} ms before it began, for {lasted} ms: {fault}"
            )?;
        }
    }
    writeln!(text)
}

fn faults(text: &mut String, verdict: &Verdict, strikes: &[Strike]) -> std::fmt::Result {
    writeln!(
        text,
        "Silence is the longest time without any start of a handler in the {} seconds from a fault on; recovery the \
         time from its mending to the next start.\n",
        AFTERMATH_MS / 1000
    )?;
    writeln!(
        text,
        "| fault | times | silence, ms | recovery, ms |\n|---|---|---|---|"
    )?;
    for fault in Fault::ALL {
        let of_fault = || strikes.iter().filter(|strike| strike.fault == fault);
        let silences: Vec<i64> = of_fault()
            .map(|strike| silence(&verdict.starts, strike.at_ms))
            .collect();
        let recoveries: Vec<i64> = of_fault()
            .filter_map(|strike| next_start(&verdict.starts, strike.mended_ms))
            .collect();
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            fault.describe(),
            silences.len(),
            spread(&silences),
            spread(&recoveries)
        )?;
    }
    Ok(())
}

/// How long after `at` the next handler began.
fn next_start(starts: &[i64], at: i64) -> Option<i64> {
    let next = starts.partition_point(|start| *start < at);
    Some(starts.get(next)? - at)
}

/// The longest time without a start from `at` on.
fn silence(starts: &[i64], at: i64) -> i64 {
    let from = starts.partition_point(|start| *start < at);
    let to = starts.partition_point(|start| *start <= at + AFTERMATH_MS);
    let mut before = at;
    let mut longest = 0;
    for start in &starts[from..to] {
        longest = longest.max(start - before);
        before = *start;
    }
    longest
}

/// Median and worst of a few figures, or of many.
fn spread(sorted: &[i64]) -> String {
    let mut sorted = sorted.to_vec();
    sorted.sort_unstable();
    match sorted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.to_string(),
        all => {
            let at = |share: usize| all[(all.len() - 1) * share / 100];
            let (median, worst) = (at(50), all[all.len() - 1]);
            match all.len() {
                ..100 => format!("median {median}, worst {worst}"),
                _ => format!("median {median}, 99% within {}, worst {worst}", at(99)),
            }
        }
    }
}
