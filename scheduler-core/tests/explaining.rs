//! What is answered to "why did it (not) run then?", by table.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use scheduler_core::change::{JobState, StoredJob};
use scheduler_core::history::{Record, RunRecord, SkipRecord};
use scheduler_core::ledger::{Facts, Fate, fate, neighbours, yields};
use scheduler_core::plan::{Skip, SkipReason};
use scheduler_core::run::Outcome;
use scheduler_core::store::{HistoryEntry, RunInFlight, RunPlace};
use scheduler_core::{Fence, Job, QueueName, RunId, SessionId, Timestamp, Trigger, Version};
use serde_json::{Value, json};
use uuid::Uuid;

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000)
}

fn trigger(spec: Value) -> Trigger {
    let spec: scheduler_core::trigger::TriggerSpec = serde_json::from_value(spec).unwrap();
    spec.resolve(chrono_tz::UTC).unwrap()
}

fn job(spec: Value) -> Job {
    Job::builder("j".parse().unwrap(), "task".parse().unwrap(), trigger(spec)).build()
}

/// A job that is due every ten seconds, at 1000 s; it settled everything up to 990 s. History goes back
/// to 500 s.
fn facts() -> Facts {
    let stored = StoredJob {
        job: job(json!({ "type": "cron", "second": "*/10", "exclude": "20 16 * * * *" })),
        version: Version(1),
        state: JobState::Active,
        next_fire: Some(at(1000)),
        parked: None,
        fired: Some(at(990)),
        in_flight: 0,
    };
    Facts {
        stored: Some(stored),
        unreadable: None,
        fired: Some(at(990)),
        records: Vec::new(),
        history_from: Some(at(500)),
        in_flight: Vec::new(),
        now: at(995),
    }
}

fn run(fire: i64, attempt: u32, outcome: Outcome) -> HistoryEntry {
    let record = RunRecord {
        run: RunId::fire("j".parse().unwrap(), at(fire)),
        outcome,
        attempt,
        fence: Fence(u64::from(attempt)),
        node: "web".to_owned(),
        task: None,
        queue: QueueName::default_queue(),
        started_at: Some(at(fire + 1)),
        ended_at: Some(at(fire + 35)),
        next_at: None,
        detail: None,
    };
    HistoryEntry {
        position: String::new(),
        at: at(fire + 35),
        record: Record::Run(record),
    }
}

fn skip(first: i64, last: i64, reason: SkipReason, written: i64) -> HistoryEntry {
    let skip = Skip {
        first: at(first),
        last: at(last),
        count: 3,
        reason,
    };
    HistoryEntry {
        position: String::new(),
        at: at(written),
        record: Record::Skip(SkipRecord::new("j".parse().unwrap(), &skip)),
    }
}

/// A fate in a few words.
fn told(facts: &Facts, seconds: i64) -> String {
    match fate(facts, at(seconds)) {
        Fate::Ran(attempts) => {
            let words: Vec<_> = attempts
                .iter()
                .map(|run| format!("{} {}", run.attempt, run.outcome))
                .collect();
            format!("ran: {}", words.join(", "))
        }
        Fate::InFlight { attempts, place } => {
            let place = match place {
                RunPlace::Claimed { by, .. } => format!(" by {}", by.node()),
                RunPlace::Waiting => ", waiting".to_owned(),
                RunPlace::LinedUp { before } => format!(", lined up behind {before}"),
            };
            format!("in flight{place} after {}", attempts.len())
        }
        Fate::Skipped {
            skip, because_of, ..
        } => {
            let run = because_of.map_or_else(|| "?".to_owned(), |run| run.run.to_string());
            format!("{} for {run}", skip.skipped.as_str())
        }
        Fate::NoFireTime {
            before,
            after,
            is_excluded,
        } => {
            let seconds = |at: Option<Timestamp>| at.unwrap().as_ms() / 1000;
            let word = if is_excluded { "excluded" } else { "none" };
            format!("{word}, between {} and {}", seconds(before), seconds(after))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn a_run_is_told_with_its_attempts() {
    let mut facts = facts();
    facts.records = vec![
        run(900, 2, Outcome::Succeeded),
        run(910, 1, Outcome::Failed),
        run(900, 1, Outcome::Retrying),
    ];
    assert_eq!(told(&facts, 900), "ran: 1 retrying, 2 succeeded");
    assert_eq!(told(&facts, 910), "ran: 1 failed");
}

#[test]
fn a_run_in_flight_is_told_with_who_has_it() {
    let mut facts = facts();
    facts.records = vec![run(900, 1, Outcome::Retrying)];
    let run_at = |fire| RunId::fire("j".parse().unwrap(), at(fire));
    let session = SessionId::of(&"web".parse().unwrap(), Uuid::from_u128(1));
    facts.in_flight = vec![
        RunInFlight {
            run: run_at(900),
            place: RunPlace::Claimed {
                by: session,
                attempt: 2,
                fence: Fence(7),
            },
        },
        RunInFlight {
            run: run_at(910),
            place: RunPlace::Waiting,
        },
        RunInFlight {
            run: run_at(920),
            place: RunPlace::LinedUp { before: 3 },
        },
    ];
    assert_eq!(told(&facts, 900), "in flight by web after 1");
    assert_eq!(told(&facts, 910), "in flight, waiting after 0");
    assert_eq!(told(&facts, 920), "in flight, lined up behind 3 after 0");
}

#[test]
fn a_skip_is_told_with_the_run_that_it_was_for() {
    let mut facts = facts();
    facts.records = vec![
        skip(850, 870, SkipReason::Coalesced, 889),
        skip(700, 710, SkipReason::Misfired, 889),
        skip(910, 930, SkipReason::MaxInstances, 931),
        run(880, 1, Outcome::Succeeded),
        run(600, 1, Outcome::Succeeded),
        run(900, 1, Outcome::Succeeded),
    ];
    assert_eq!(told(&facts, 860), "coalesced for j@880000");
    assert_eq!(told(&facts, 700), "misfired for ?");
    assert_eq!(told(&facts, 920), "max_instances for j@900000");
    // Within the stretch, and yet no fire time.
    assert_eq!(told(&facts, 865), "none, between 860 and 870");
    assert_eq!(told(&facts, 705), "none, between 700 and 710");
}

#[test]
fn what_has_no_record_is_told_by_how_the_job_stands() {
    let plain = facts();
    assert_eq!(told(&plain, 1010), "NotDueYet");
    assert_eq!(told(&plain, 903), "none, between 900 and 910");
    assert_eq!(told(&plain, 920), "BeforeSchedule");
    assert_eq!(told(&plain, 400), "Forgotten(Some(Timestamp(500000)))");
    assert_eq!(told(&plain, 980), "excluded, between 970 and 990");

    let mut late = facts();
    late.now = at(1055);
    assert_eq!(told(&late, 1000), "Pending");
    assert_eq!(told(&late, 1050), "Pending");

    let mut paused = facts();
    paused.now = at(1055);
    let stored = paused.stored.as_mut().unwrap();
    stored.state = JobState::paused(stored.next_fire.take());
    assert_eq!(told(&paused, 1050), "Paused");
    for (until, fate) in [(1051, "Paused"), (1050, "Pending")] {
        let stored = paused.stored.as_mut().unwrap();
        if let JobState::Paused { pause, .. } = &mut stored.state {
            pause.until = Some(at(until));
        }
        assert_eq!(told(&paused, 1050), fate, "paused until {until}");
    }
    assert_eq!(told(&paused, 970), "BeforeSchedule");

    let mut parked = facts();
    let stored = parked.stored.as_mut().unwrap();
    (stored.parked, stored.next_fire) = (Some(at(990)), None);
    assert_eq!(told(&parked, 1000), "Parked");

    let mut gone = facts();
    gone.stored = None;
    assert_eq!(told(&gone, 970), "BeforeSchedule");
    assert_eq!(told(&gone, 1000), "NoJob");
    assert_eq!(told(&gone, 400), "Forgotten(Some(Timestamp(500000)))");
    gone.unreadable = Some("why".to_owned());
    assert_eq!(told(&gone, 1000), "Unreadable(\"why\")");
}

#[test]
fn an_interval_is_asked_along_its_own_grid() {
    let job = job(json!({ "type": "interval", "seconds": 10 }));
    let near = |seconds| neighbours(&job, Some(at(1003)), at(seconds));
    assert_eq!(near(1000), (Some(at(993)), Some(at(1003))));
    assert_eq!(near(1003), (Some(at(993)), Some(at(1013))));
    assert_eq!(near(5), (Some(at(3)), Some(at(13))));
    assert!(yields(&job, Some(at(1003)), at(13)));
    assert!(!yields(&job, Some(at(1003)), at(10)));

    // Where it is over, and through what it excludes.
    let over = self::job(json!({
        "type": "interval", "seconds": 10, "end_date": "1970-01-01T00:16:50Z",
        "exclude": "10-39 16 * * * *",
    }));
    let near = |seconds| neighbours(&over, Some(at(1003)), at(seconds));
    assert_eq!(near(990), (Some(at(963)), Some(at(1003))));
    assert_eq!(near(1008), (Some(at(1003)), None));
    assert_eq!(near(9_000), (Some(at(1003)), None));
    assert!(yields(&over, Some(at(1003)), at(963)) && !yields(&over, Some(at(1003)), at(973)));
}

proptest! {
    #[test]
    fn neighbours_lie_on_both_sides_and_nothing_between(
        step in 1_i64..50,
        second in 100_000_i64..200_000,
    ) {
        let job = job(json!({ "type": "cron", "second": format!("*/{step}"), "minute": "*/3" }));
        let (before, after) = neighbours(&job, None, at(second));
        let (before, after) = (before.unwrap(), after.unwrap());
        prop_assert!(before < at(second) && at(second) < after);
        prop_assert!(yields(&job, None, before) && yields(&job, None, after));
        let between = job.trigger().following(before).unwrap();
        prop_assert!(between == at(second) || between == after, "{between}");
        prop_assert_eq!(yields(&job, None, at(second)), between == at(second));
    }
}
