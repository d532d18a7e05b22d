//! The jobs of a soak, and when they are due: by arithmetic, without the code under test.

use anyhow::Result;
use scheduler_core::{Job, JobDefaults, JobSpec, Timestamp};
use serde_json::json;

/// When a job is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// At `first`, and then every so many milliseconds.
    Every { first: i64, every: i64 },
    /// Once.
    Once(i64),
}

/// A job, and when it is due.
#[derive(Clone, Debug)]
pub(super) struct Scheduled {
    pub(super) job: Job,
    pub(super) due: Due,
}

impl Due {
    /// The fire times up to `until`.
    pub(super) fn fires(self, until: i64) -> impl Iterator<Item = i64> {
        let (first, every) = match self {
            Self::Every { first, every } => (first, every),
            Self::Once(at) => (at, i64::MAX / 2),
        };
        std::iter::successors(Some(first), move |at| at.checked_add(every))
            .take_while(move |at| *at <= until)
    }
}

impl Due {
    /// Whether it is due at this moment. What comes before the first fire time that is judged counts.
    pub(super) const fn is_at(self, at: i64) -> bool {
        match self {
            Self::Every { first, every } => (at - first).rem_euclid(every) == 0,
            Self::Once(once) => at == once,
        }
    }
}

/// How long the handler of a `long` job takes.
pub(super) const LONG_MS: u64 = 3_000;

/// So many jobs of mixed triggers, due from `begin` on, spread over each second.
pub(super) fn jobs(count: usize, begin: i64, length_ms: i64, seed: u64) -> Result<Vec<Scheduled>> {
    let mut random = fastrand::Rng::with_seed(seed);
    // Ten seconds after a half or a whole minute: cron expressions are due then, too.
    let begin = begin - (begin - 10_000).rem_euclid(30_000) + 30_000;
    (0..count)
        .map(|number| {
            let offset = i64::try_from(number * 1000 / count)?;
            let first = begin + offset;
            let start = Timestamp::from_ms(first);
            let every = |every: i64| {
                let seconds = format!("{}.{:03}", every / 1000, every % 1000);
                let seconds: serde_json::Number = seconds.parse()?;
                let trigger =
                    json!({ "type": "interval", "seconds": seconds, "start_date": start.to_string() });
                Ok::<_, anyhow::Error>((trigger, Due::Every { first, every }))
            };
            let cron = |every: i64, trigger| (trigger, Due::Every { first: begin, every });
            let (kind, (trigger, due)) = match number % 20 {
                0..=3 => ("second", every(1_000)?),
                4..=6 => ("odd", every(2_500)?),
                7..=9 => ("seven", every(7_000)?),
                10..=12 => ("cron", cron(5_000, json!({ "type": "cron", "second": "*/5" }))),
                13..=14 => {
                    let at = |second: u8| json!({ "type": "cron", "second": second });
                    let either = json!({ "type": "or", "triggers": [at(10), at(40)] });
                    ("either", cron(30_000, either))
                }
                15..=17 => ("long", every(10_000)?),
                _ => {
                    let at = begin + random.i64(0..length_ms.max(1));
                    let run_date = Timestamp::from_ms(at).to_string();
                    let trigger = json!({ "type": "date", "run_date": run_date });
                    ("once", (trigger, Due::Once(at)))
                }
            };
            let spec: JobSpec = serde_json::from_value(json!({
                "id": format!("{kind}-{number}"), "task": kind_of_task(kind), "trigger": trigger,
            }))?;
            let job = spec.resolve(&JobDefaults::default())?;
            Ok(Scheduled { job, due })
        })
        .collect()
}

fn kind_of_task(kind: &str) -> &'static str {
    if kind == "long" { "long" } else { "short" }
}
