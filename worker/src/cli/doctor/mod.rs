//! `carillon doctor`: whether the server and the workers are as the promises need them.
//!
//! What the server says of itself is judged by the store's crate; `cluster` looks at the workers and
//! what waits for them; `trial` has a job run, in a namespace of its own, with the very rights that
//! workers have.

mod cluster;
mod trial;

use carillon::core::{Sharded, Store};
use carillon::redis::checkup::{Finding, Level};
use clap::Args;
use serde::Serialize;

use super::args::Global;
use super::failure::Failure;
use super::{output, store};

const HELP: &str = "\
Examples:
  carillon doctor --store redis://localhost:6379
  carillon doctor --strict --json       in CI, or before a rollout
  carillon doctor --fix                 after somebody deleted or changed keys by hand

Looks at the server (version, role, eviction, memory, persistence, replicas, latency, clock), at the
workers and what waits for them, and has one job run in a namespace of its own, which leaves nothing
behind. What is wrong is told with the promise that it breaks, and how to mend it. Nothing is changed,
but with --fix: it frees places of runs that are nowhere, settles claims of sessions that nobody
knows, deletes what else is left of those, and counts claims by queue anew.

Exit codes: 0 no problem, 1 a problem (with --strict: a problem or a warning), 3 store unreachable.
With --json: a list of objects with check, level (\"fine\", \"warning\", \"problem\"), found, breaks and
mend.";

/// `carillon doctor`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct DoctorArgs {
    /// A warning counts as a problem
    #[arg(long)]
    strict: bool,
    /// Mend what is safe to mend, and say what was done
    #[arg(long)]
    fix: bool,
    /// Show the findings as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, args: &DoctorArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let store = store::shared(&settings)?;
    let findings = store::runtime()?.block_on(async {
        let failed = |error| Failure::of_store(&store.describe(), &error);
        let mut findings = Vec::new();
        for shard in store.shards() {
            let found = shard.facts().await.map_err(failed)?.findings();
            add(&mut findings, found);
        }
        // Where the server is unfit, the rest would only say so again.
        if findings
            .iter()
            .all(|finding| finding.check != "role" || finding.level == Level::Fine)
        {
            if args.fix {
                for shard in store.shards() {
                    let done = shard.repair().await.map_err(failed)?.into_iter();
                    findings.extend(done.map(|done| Finding::fine("fixed", done)));
                }
            }
            findings.extend(trial::run(&settings).await);
            findings.extend(cluster::look(&store).await.map_err(failed)?);
        }
        findings.push(Finding::fine(
            "time zones",
            format!("IANA {}", chrono_tz::IANA_TZDB_VERSION),
        ));
        Ok::<_, Failure>(findings)
    })?;
    if args.json {
        output::json(&findings.iter().map(Shown::of).collect::<Vec<_>>())?;
    } else {
        for finding in &findings {
            show(finding)?;
        }
    }
    let bad = if args.strict {
        Level::Warning
    } else {
        Level::Problem
    };
    match findings
        .iter()
        .filter(|finding| finding.level >= bad)
        .count()
    {
        0 => Ok(()),
        1 => Err(Failure::Refused("1 finding wants mending".to_owned())),
        more => Err(Failure::Refused(format!("{more} findings want mending"))),
    }
}

/// Adds what is found of one more shard: often the server is the same, and has the same to tell.
fn add(findings: &mut Vec<Finding>, more: Vec<Finding>) {
    for finding in more {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

fn show(finding: &Finding) -> Result<(), Failure> {
    let Finding {
        check,
        level,
        found,
        breaks,
        mend,
    } = finding;
    output::line(&format!("{:<9}{check:<13}{found}", word(*level)))?;
    if *level > Level::Fine {
        output::line(&format!("{:22}breaks: {breaks}", ""))?;
        output::line(&format!("{:22}mend:   {mend}", ""))?;
    }
    Ok(())
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Fine => "fine",
        Level::Warning => "warning",
        Level::Problem => "problem",
    }
}

/// A finding, as `--json` shows it.
#[derive(Serialize)]
struct Shown<'a> {
    check: &'a str,
    level: &'a str,
    found: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    breaks: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mend: &'a str,
}

impl<'a> Shown<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            check: finding.check,
            level: word(finding.level),
            found: &finding.found,
            breaks: finding.breaks,
            mend: finding.mend,
        }
    }
}
