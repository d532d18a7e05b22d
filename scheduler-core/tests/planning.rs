//! What becomes of a due job's fire times: by table, and by comparison with a plain account.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use scheduler_core::plan::{
    MAX_FIRES_PER_PLAN, MAX_RUNS_PER_PLAN, Plan, Skip, SkipReason, move_past, plan,
};
use scheduler_core::policy::{Coalesce, Grace};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Job, Timestamp, Trigger};
use serde_json::{Value, json};

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000)
}

fn trigger(spec: Value) -> Trigger {
    let spec: TriggerSpec = serde_json::from_value(spec).expect("a trigger");
    spec.resolve(chrono_tz::UTC).expect("a trigger")
}

fn job(trigger: Trigger, coalesce: Coalesce, grace: Grace, limit: u32) -> Job {
    let names = ("j".parse().expect("an id"), "task".parse().expect("a task"));
    Job::builder(names.0, names.1, trigger)
        .coalesce(coalesce)
        .misfire_grace_time(grace)
        .max_instances(NonZeroU32::new(limit).expect("a limit"))
        .build()
}

/// Due at 10, 20, 30, ... seconds.
fn tens(coalesce: Coalesce, grace: Grace, limit: u32) -> Job {
    let every_ten = trigger(json!({ "type": "interval", "seconds": 10 }));
    job(every_ten, coalesce, grace, limit)
}

/// The same job with another bound on what it catches up with.
fn catching_up(job: &Job, wanted: u32) -> Job {
    let names = (job.id().clone(), job.task().clone());
    Job::builder(names.0, names.1, job.trigger().clone())
        .policy(*job.policy())
        .max_catch_up(NonZeroU32::new(wanted).expect("a bound"))
        .build()
}

fn within(seconds: u64) -> Grace {
    Grace::Within(Duration::from_secs(seconds))
}

/// A plan in one line: `run 30; misfired 10-20 (2); next 40`.
fn told(plan: &Plan) -> String {
    let seconds = |at: Timestamp| at.as_ms() / 1000;
    let mut parts = Vec::new();
    parts.extend(plan.runs.iter().map(|at| format!("run {}", seconds(*at))));
    parts.extend(plan.skips.iter().map(|skip| {
        let Skip {
            first,
            last,
            count,
            reason,
        } = *skip;
        format!(
            "{} {}-{} ({count})",
            reason.as_str(),
            seconds(first),
            seconds(last)
        )
    }));
    let next = plan
        .next
        .map_or_else(|| "over".to_owned(), |at| format!("next {}", seconds(at)));
    parts.push(next);
    parts.join("; ")
}

#[test]
fn each_policy_decides_as_the_table_says() {
    use Coalesce::{All, Earliest, Latest};
    use Grace::Unlimited;
    // (coalesce, grace, limit, in flight, due, now): what becomes of it
    let table = [
        ((Latest, Unlimited, 1, 0, 10, 10), "run 10; next 20"),
        ((Latest, Unlimited, 1, 0, 10, 19), "run 10; next 20"),
        (
            (Latest, Unlimited, 1, 0, 10, 45),
            "run 40; coalesced 10-30 (3); next 50",
        ),
        (
            (Latest, Unlimited, 1, 1, 10, 10),
            "max_instances 10-10 (1); next 20",
        ),
        (
            (Latest, Unlimited, 1, 1, 10, 45),
            "coalesced 10-30 (3); max_instances 40-40 (1); next 50",
        ),
        (
            (Latest, within(7), 1, 0, 10, 45),
            "run 40; misfired 10-30 (3); next 50",
        ),
        (
            (Latest, within(4), 1, 0, 10, 45),
            "misfired 10-40 (4); next 50",
        ),
        (
            (Latest, within(5), 1, 0, 10, 45),
            "run 40; misfired 10-30 (3); next 50",
        ),
        (
            (Latest, within(25), 1, 0, 10, 45),
            "run 40; misfired 10-10 (1); coalesced 20-30 (2); next 50",
        ),
        ((Latest, within(0), 1, 0, 10, 10), "run 10; next 20"),
        (
            (Earliest, Unlimited, 1, 0, 10, 45),
            "run 10; coalesced 20-40 (3); next 50",
        ),
        (
            (Earliest, Unlimited, 1, 0, 10, 20),
            "run 10; coalesced 20-20 (1); next 30",
        ),
        (
            (Earliest, within(25), 1, 0, 10, 45),
            "run 20; misfired 10-10 (1); coalesced 30-40 (2); next 50",
        ),
        (
            (Earliest, Unlimited, 2, 2, 10, 25),
            "max_instances 10-10 (1); coalesced 20-20 (1); next 30",
        ),
        (
            (All, Unlimited, 9, 0, 10, 45),
            "run 10; run 20; run 30; run 40; next 50",
        ),
        (
            (All, Unlimited, 3, 1, 10, 45),
            "run 10; run 20; max_instances 30-40 (2); next 50",
        ),
        (
            (All, Unlimited, 3, 3, 10, 45),
            "max_instances 10-40 (4); next 50",
        ),
        (
            (All, Unlimited, 3, 9, 10, 45),
            "max_instances 10-40 (4); next 50",
        ),
        (
            (All, within(15), 9, 0, 10, 45),
            "run 30; run 40; misfired 10-20 (2); next 50",
        ),
    ];
    for (case, expected) in table {
        let (coalesce, grace, limit, in_flight, due, now) = case;
        let plan = plan(&tens(coalesce, grace, limit), at(due), at(now), in_flight);
        assert_eq!(told(&plan), expected, "{case:?}");
    }
}

#[test]
fn only_the_latest_that_a_job_catches_up_with_become_runs() {
    let job = |wanted, limit, grace| catching_up(&tens(Coalesce::All, grace, limit), wanted);
    // (max_catch_up, limit, grace, in flight): what becomes of 10, 20, 30 and 40 at 45
    let table = [
        (
            (4, 9, Grace::Unlimited, 0),
            "run 10; run 20; run 30; run 40; next 50",
        ),
        (
            (3, 9, Grace::Unlimited, 0),
            "run 20; run 30; run 40; catch_up 10-10 (1); next 50",
        ),
        (
            (1, 9, Grace::Unlimited, 0),
            "run 40; catch_up 10-30 (3); next 50",
        ),
        (
            (1, 9, within(15), 0),
            "run 40; misfired 10-20 (2); catch_up 30-30 (1); next 50",
        ),
        (
            (3, 2, Grace::Unlimited, 0),
            "run 20; run 30; catch_up 10-10 (1); max_instances 40-40 (1); next 50",
        ),
        (
            (2, 2, Grace::Unlimited, 2),
            "catch_up 10-20 (2); max_instances 30-40 (2); next 50",
        ),
    ];
    for (case, expected) in table {
        let (wanted, limit, grace, in_flight) = case;
        let plan = plan(&job(wanted, limit, grace), at(10), at(45), in_flight);
        assert_eq!(told(&plan), expected, "{case:?}");
    }
}

#[test]
fn a_week_of_seconds_is_caught_up_with_in_bounded_plans() {
    let second = trigger(json!({ "type": "interval", "seconds": 1 }));
    let week = 7 * 86_400;
    for wanted in [1, 100, 1_000] {
        let all = job(second.clone(), Coalesce::All, Grace::Unlimited, 1_000);
        let job = catching_up(&all, wanted);
        let account = settle_all(&job, at(1), at(week), 0);
        let first = week - i64::from(wanted) + 1;
        let latest: Vec<_> = (first..=week).map(at).collect();
        assert_eq!(account.runs, latest, "{wanted}");
        assert_eq!(account.settled, 604_800, "{wanted}");
        assert!(account.plans <= 130, "{wanted}: {} plans", account.plans);
    }
}

#[test]
fn the_grace_time_counts_to_the_millisecond() {
    let job = tens(Coalesce::Latest, within(5), 1);
    let plan_at = |ms| told(&plan(&job, at(10), Timestamp::from_ms(ms), 0));
    assert_eq!(plan_at(15_000), "run 10; next 20");
    assert_eq!(plan_at(15_001), "misfired 10-10 (1); next 20");
}

#[test]
fn a_job_that_is_not_due_yet_keeps_its_fire_time_open() {
    let plan = plan(&tens(Coalesce::Latest, within(1), 1), at(10), at(9), 0);
    assert_eq!(told(&plan), "next 10");
    assert!(plan.settled < at(10), "{plan:?}");
}

#[test]
fn the_last_fire_time_ends_the_schedule() {
    let once = || trigger(json!({ "type": "date", "run_date": "1970-01-01T00:00:10Z" }));
    for coalesce in [Coalesce::Latest, Coalesce::Earliest, Coalesce::All] {
        let grace = Grace::Unlimited;
        let plan_of =
            |grace, in_flight| plan(&job(once(), coalesce, grace, 1), at(10), at(99), in_flight);
        assert_eq!(told(&plan_of(grace, 0)), "run 10; over");
        assert_eq!(told(&plan_of(grace, 1)), "max_instances 10-10 (1); over");
        assert_eq!(told(&plan_of(within(5), 0)), "misfired 10-10 (1); over");
    }
}

#[test]
fn a_settled_due_time_is_only_moved_past() {
    let plan = move_past(&tens(Coalesce::Latest, Grace::Unlimited, 1), at(30));
    assert_eq!((told(&plan), plan.settled), ("next 40".to_owned(), at(30)));
    let once = trigger(json!({ "type": "date", "run_date": "1970-01-01T00:00:10Z" }));
    let plan = move_past(&job(once, Coalesce::Latest, Grace::Unlimited, 1), at(10));
    assert_eq!(told(&plan), "over");
}

#[test]
fn days_of_missed_seconds_are_settled_in_bounded_plans() {
    let second = trigger(json!({ "type": "interval", "seconds": 1 }));
    let ten_days = 10 * 86_400;
    for (coalesce, runs) in [(Coalesce::Latest, 1), (Coalesce::All, 40)] {
        let job = job(second.clone(), coalesce, Grace::Unlimited, 40);
        let account = settle_all(&job, at(1), at(ten_days), 0);
        assert_eq!(account.runs.len(), runs, "{coalesce:?}");
        assert_eq!(account.settled, 864_000, "{coalesce:?}");
        assert!(account.plans <= 90, "{coalesce:?}: {} plans", account.plans);
    }
}

#[test]
fn what_is_too_late_is_so_in_each_of_many_plans() {
    let second = trigger(json!({ "type": "interval", "seconds": 1 }));
    let job = job(second, Coalesce::Latest, within(100), 1);
    let account = settle_all(&job, at(1), at(30_000), 0);
    let counted = |reason| {
        let skips = account.skips.iter().filter(|skip| skip.reason == reason);
        skips.map(|skip| skip.count).sum::<u64>()
    };
    assert_eq!(account.runs, [at(30_000)]);
    assert_eq!(counted(SkipReason::Misfired), 29_899);
    assert_eq!(counted(SkipReason::Coalesced), 100);
}

/// All that a leader settles of one job at one moment, plan by plan.
#[derive(Default)]
struct Account {
    runs: Vec<Timestamp>,
    skips: Vec<Skip>,
    settled: u64,
    plans: usize,
    next: Option<Timestamp>,
}

/// Plans as a leader does, as long as the job is due. Runs stay in flight.
fn settle_all(job: &Job, due: Timestamp, now: Timestamp, in_flight: usize) -> Account {
    let mut account = Account {
        next: Some(due),
        ..Account::default()
    };
    while let Some(due) = account.next.filter(|due| *due <= now) {
        let plan = plan(job, due, now, in_flight + account.runs.len());
        check_one(job, &plan, due, now);
        account.settled += plan.runs.len() as u64;
        account.settled += plan.skips.iter().map(|skip| skip.count).sum::<u64>();
        account.runs.extend(plan.runs);
        account.skips.extend(plan.skips);
        account.plans += 1;
        account.next = plan.next;
    }
    account
}

/// What holds for each plan: it is bounded, settles a stretch from the due time on, and goes on
/// right behind it.
fn check_one(job: &Job, plan: &Plan, due: Timestamp, now: Timestamp) {
    assert!(plan.runs.len() <= MAX_RUNS_PER_PLAN, "{plan:?}");
    let settled = plan.runs.len() as u64 + plan.skips.iter().map(|s| s.count).sum::<u64>();
    assert!(
        settled <= 2 * MAX_FIRES_PER_PLAN + MAX_RUNS_PER_PLAN as u64,
        "{plan:?}"
    );
    let stretch = job.trigger().stretch(due, plan.settled, u64::MAX);
    assert_eq!(
        (stretch.count, stretch.last),
        (settled, plan.settled),
        "{plan:?}"
    );
    assert_eq!(stretch.next, plan.next, "{plan:?}");
    assert!(plan.settled <= now, "{plan:?}");
}

/// Each fire time from `due` to `now`, one by one.
fn fires(job: &Job, due: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let next = |at: &Timestamp| job.trigger().following(*at);
    std::iter::successors(Some(due), next)
        .take_while(|at| *at <= now)
        .collect()
}

fn any_trigger() -> impl Strategy<Value = Trigger> {
    prop_oneof![
        (1_u32..40)
            .prop_map(|half| json!({ "type": "interval", "seconds": f64::from(half) / 2.0 })),
        (1_u32..30).prop_map(|step| json!({ "type": "cron", "second": format!("*/{step}") })),
        Just(json!({ "type": "cron", "minute": "*/2", "second": "7,8,40" })),
        Just(json!({ "type": "date", "run_date": "1970-01-01T00:05:00Z" })),
    ]
    .prop_map(trigger)
}

fn any_grace() -> impl Strategy<Value = Grace> {
    prop_oneof![
        Just(Grace::Unlimited),
        (0_u64..400_000).prop_map(|ms| Grace::Within(Duration::from_millis(ms))),
    ]
}

fn any_coalesce() -> impl Strategy<Value = Coalesce> {
    prop_oneof![
        Just(Coalesce::Latest),
        Just(Coalesce::Earliest),
        Just(Coalesce::All)
    ]
}

proptest! {
    #[test]
    fn each_fire_time_is_settled_once_and_for_the_right_reason(
        trigger in any_trigger(),
        coalesce in any_coalesce(),
        grace in any_grace(),
        limit in 1_u32..300,
        catch_up in prop_oneof![1_u32..10, 1_u32..300],
        in_flight in 0_usize..4,
        late_ms in 0_i64..600_000,
    ) {
        let job = catching_up(&job(trigger, coalesce, grace, limit), catch_up);
        let due = job.trigger().first(at(0)).expect("a first fire time");
        let now = Timestamp::from_ms(due.as_ms() + late_ms);
        let fires = fires(&job, due, now);
        let account = settle_all(&job, due, now, in_flight);
        let is_late = |at: Timestamp| match grace {
            Grace::Unlimited => false,
            Grace::Within(grace) => now.since(at) > grace,
        };

        // Each is a run or lies in exactly one skip.
        for at in &fires {
            let skips: Vec<_> = account.skips.iter().filter(|s| s.first <= *at && *at <= s.last).collect();
            let runs = account.runs.iter().filter(|run| *run == at).count();
            prop_assert_eq!(runs + skips.len(), 1, "{} of {:?}", at, account.skips);
            for skip in skips {
                prop_assert_eq!(skip.reason == SkipReason::Misfired, is_late(*at), "{}: {:?}", at, skip);
            }
        }
        prop_assert_eq!(account.settled, fires.len() as u64);

        // Those that are in time become runs as the policy says.
        let in_time: Vec<_> = fires.iter().copied().filter(|at| !is_late(*at)).collect();
        let free = usize::try_from(limit).expect("small").saturating_sub(in_flight);
        let wanted = match coalesce {
            Coalesce::Latest => in_time.last().copied().into_iter().collect(),
            Coalesce::Earliest => in_time.first().copied().into_iter().collect(),
            Coalesce::All => {
                let most = usize::try_from(catch_up).expect("small");
                in_time[in_time.len().saturating_sub(most)..].to_vec()
            }
        };
        // What the job does not catch up with is told as such, and nothing else is.
        for skip in account.skips.iter().filter(|s| s.reason == SkipReason::CatchUp) {
            prop_assert_eq!(coalesce, Coalesce::All);
            prop_assert!(wanted.first().is_some_and(|first| skip.last < *first), "{:?}", skip);
        }
        let wanted: Vec<_> = wanted.into_iter().take(free).collect();
        prop_assert_eq!(account.runs, wanted);
    }

    /// The clock goes on between the plans of one catch-up.
    #[test]
    fn a_catch_up_is_bounded_over_all_its_plans(
        trigger in any_trigger(),
        catch_up in 1_u32..60,
        late_ms in 0_i64..600_000,
        steps in proptest::collection::vec(0_i64..5_000, 0..40),
    ) {
        let job = catching_up(&job(trigger, Coalesce::All, Grace::Unlimited, 1_000), catch_up);
        let due = job.trigger().first(at(0)).expect("a first fire time");
        let began = Timestamp::from_ms(due.as_ms() + late_ms);
        let (mut now, mut next, mut steps) = (began, Some(due), steps.into_iter());
        let (mut runs, mut settled) = (Vec::new(), 0);
        while let Some(due) = next.filter(|due| *due <= now) {
            let plan = plan(&job, due, now, 0);
            check_one(&job, &plan, due, now);
            for run in &plan.runs {
                let from_it_on = fires(&job, *run, now).len();
                prop_assert!(from_it_on <= catch_up as usize, "{run}: {from_it_on} were due");
            }
            settled += plan.runs.len() as u64 + plan.skips.iter().map(|s| s.count).sum::<u64>();
            runs.extend(plan.runs);
            next = plan.next;
            now = Timestamp::from_ms(now.as_ms() + steps.next().unwrap_or(0));
        }
        // Those that were due when it began are bounded as a whole, however many plans it took.
        let old = runs.iter().filter(|run| **run <= began).count();
        prop_assert!(old <= catch_up as usize, "{old} of {runs:?}");
        prop_assert_eq!(settled, fires(&job, due, now).len() as u64);
    }

    #[test]
    fn a_plan_says_the_same_whenever_it_is_asked(
        trigger in any_trigger(),
        coalesce in any_coalesce(),
        grace in any_grace(),
        late_ms in -10_000_i64..600_000,
    ) {
        let job = job(trigger, coalesce, grace, 3);
        let due = job.trigger().first(at(0)).expect("a first fire time");
        let now = Timestamp::from_ms(due.as_ms() + late_ms);
        let once = plan(&job, due, now, 1);
        prop_assert_eq!(&plan(&job, due, now, 1), &once);
        if due > now {
            prop_assert_eq!((once.runs.len(), once.skips.len(), once.next), (0, 0, Some(due)));
        }
    }
}
