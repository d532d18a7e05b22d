//! A week without any leader: what then runs and what is skipped, of a thousand jobs of all kinds, is
//! what a plain account of the policies says, and the ledger has a line for each fire time.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use fastrand::Rng;
use scheduler_core::change;
use scheduler_core::history::Record;
use scheduler_core::ledger::{Facts, Fate, fate};
use scheduler_core::plan::SkipReason;
use scheduler_core::policy::{Coalesce, Grace, Overlap};
use scheduler_core::run::{Ending, Outcome, Verdict};
use scheduler_core::store::{HistoryEntry, HistoryQuery};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Cause, Job, JobBuilder, JobDefaults, Policy, Store, StoredJob, Timestamp};
use serde_json::{Value, json};

use crate::conformance::{Harness, World, done, name, settled_as};

const JOBS: usize = 1_000;
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is done to a job when the week is over, before anybody leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Nothing,
    /// It was paused before the week, and is resumed.
    Resume,
    Remove,
    /// It gets another policy.
    Replace(Coalesce),
}

/// A job, and what a plain account says becomes of it.
struct Subject {
    id: String,
    deed: Deed,
    /// With the policy that counts.
    job: Job,
    /// All its fire times of the week.
    fires: Vec<Timestamp>,
    /// The first fire time after it.
    next: Option<Timestamp>,
}

fn some_trigger(random: &mut Rng, number: usize) -> Value {
    let hour = random.u8(0..24);
    let minute = random.u8(0..60);
    match number % 12 {
        // A few tick fast: more fire times than one plan looks at.
        0 if number < 48 => json!({ "type": "interval", "seconds": random.u32(1..5) }),
        0 | 1 => json!({ "type": "interval", "seconds": random.u32(120..90_000) }),
        2 => {
            let day = random.u8(1..12);
            json!({ "type": "date", "run_date": format!("2026-01-{day:02}T{hour:02}:{minute:02}:00Z") })
        }
        3 => json!({ "type": "cron", "minute": format!("*/{}", random.u8(10..30)) }),
        4 => {
            json!({ "type": "cron", "hour": hour, "minute": minute, "timezone": "America/New_York" })
        }
        5 => json!({ "type": "cron", "day_of_week": "mon-fri", "hour": "9-17" }),
        6 => {
            json!({ "type": "calendar_interval", "days": random.u8(1..4), "hour": hour, "timezone": "Asia/Shanghai" })
        }
        7 => json!({ "type": "or", "triggers": [
            { "type": "cron", "hour": hour, "minute": 0 },
            { "type": "cron", "day_of_week": "sat", "minute": "*/20" },
        ] }),
        8 => json!({ "type": "and", "triggers": [
            { "type": "cron", "minute": "*/15" },
            { "type": "cron", "hour": format!("*/{}", random.u8(1..6)) },
        ] }),
        9 => {
            json!({ "type": "cron", "minute": "*/30", "exclude": ["* 22-23,0-5 * * *", "2026-01-05"] })
        }
        10 => {
            json!({ "type": "interval", "minutes": random.u8(3..60), "end_date": format!("2026-01-0{}T12:00:00Z", random.u8(2..9)) })
        }
        _ => {
            json!({ "type": "interval", "hours": random.u8(1..50), "start_date": "2025-12-31T23:59:59.500Z" })
        }
    }
}

fn some_coalesce(random: &mut Rng) -> Coalesce {
    [Coalesce::Latest, Coalesce::Earliest, Coalesce::All][random.usize(0..3)]
}

fn some_policy(random: &mut Rng, number: usize) -> Policy {
    let one_of = |random: &mut Rng, numbers: [u32; 4]| {
        NonZeroU32::new(numbers[random.usize(0..4)]).expect("not 0")
    };
    Policy {
        coalesce: some_coalesce(random),
        misfire_grace_time: match random.u8(0..4) {
            0 => Grace::Unlimited,
            1 => Grace::Within(Duration::ZERO),
            2 => Grace::Within(Duration::from_secs(random.u64(0..7_200))),
            _ => Grace::Within(Duration::from_secs(random.u64(0..700_000))),
        },
        max_instances: one_of(random, [1, 2, 5, 50]),
        max_catch_up: one_of(random, [1, 3, 10, 100]),
        overlap: if number % 20 == 7 {
            Overlap::Queue
        } else {
            Overlap::Skip
        },
        spread: (number % 5 == 1).then(|| Duration::from_secs(random.u64(1..90))),
        ..Policy::default()
    }
}

fn builder(id: &str, trigger: &scheduler_core::Trigger, policy: Policy) -> JobBuilder {
    Job::builder(name(id), name("task"), trigger.clone()).policy(policy)
}

/// What becomes of each fire time, one by one, as the words of the policies say.
fn account(subject: &Subject, now: Timestamp) -> BTreeMap<Timestamp, Option<SkipReason>> {
    let policy = subject.job.policy();
    let all = |reason| subject.fires.iter().map(move |at| (*at, Some(reason)));
    match subject.deed {
        Deed::Resume => return all(SkipReason::Paused).collect(),
        Deed::Remove => return all(SkipReason::Removed).collect(),
        Deed::Nothing | Deed::Replace(_) => {}
    }
    let in_time = |at: &&Timestamp| match policy.misfire_grace_time {
        Grace::Unlimited => true,
        Grace::Within(grace) => now.since(**at) <= grace,
    };
    let mut fates: BTreeMap<_, _> = all(SkipReason::Misfired).collect();
    let in_time: Vec<Timestamp> = subject.fires.iter().filter(in_time).copied().collect();
    let number = |limit: NonZeroU32| usize::try_from(limit.get()).expect("small");
    let (wanted, others) = match policy.coalesce {
        Coalesce::Latest => (
            in_time.len().saturating_sub(1)..in_time.len(),
            SkipReason::Coalesced,
        ),
        Coalesce::Earliest => (0..in_time.len().min(1), SkipReason::Coalesced),
        Coalesce::All => {
            let first = in_time.len().saturating_sub(number(policy.max_catch_up));
            (first..in_time.len(), SkipReason::CatchUp)
        }
    };
    for (index, at) in in_time.iter().enumerate() {
        let fate = if !wanted.contains(&index) {
            Some(others)
        } else if index - wanted.start >= policy.max_in_flight() {
            Some(SkipReason::MaxInstances)
        } else {
            None
        };
        fates.insert(*at, fate);
    }
    fates
}

/// Puts the jobs, and pauses some.
async fn put_all<H: Harness>(world: &World<H>, random: &mut Rng) -> Vec<Subject> {
    let end = world.now().after(WEEK);
    let mut subjects = Vec::new();
    for number in 0..JOBS {
        let id = format!("job-{number:03}");
        let spec: TriggerSpec =
            serde_json::from_value(some_trigger(random, number)).expect("a trigger");
        let trigger = spec
            .resolve(JobDefaults::default().timezone)
            .expect("a trigger");
        let mut policy = some_policy(random, number);
        if number < 48 && policy.coalesce == Coalesce::Earliest {
            // Of more than one plan looks at, each plan finds an earliest.
            policy.coalesce = Coalesce::All;
        }
        let stored = world.put(builder(&id, &trigger, policy)).await;
        let mut deed = match random.u8(0..20) {
            0 | 1 => Deed::Resume,
            2 => Deed::Remove,
            3 => Deed::Replace(some_coalesce(random)),
            _ => Deed::Nothing,
        };
        if number < 48 && deed == Deed::Replace(Coalesce::Earliest) {
            deed = Deed::Nothing;
        }
        if let Deed::Replace(coalesce) = deed {
            policy.coalesce = coalesce;
        }
        if deed == Deed::Resume {
            let change = change::pause(&stored).expect("it is not paused");
            world.write(Some(stored.version), change).await;
        }
        let job = builder(&id, &trigger, policy).build();
        let times = std::iter::successors(stored.next_fire, |at| job.following(*at));
        let mut times = times.peekable();
        let mut fires = Vec::new();
        while let Some(at) = times.next_if(|at| *at <= end) {
            fires.push(at);
        }
        subjects.push(Subject {
            job: builder(&id, &trigger, policy).build(),
            next: times.next(),
            id,
            deed,
            fires,
        });
    }
    subjects
}

async fn do_deed<H: Harness>(world: &World<H>, subject: &Subject) {
    let stored = world.stored(&subject.id).await;
    match subject.deed {
        Deed::Nothing => {}
        Deed::Resume => {
            let change = change::resume(&stored, world.now()).expect("it is paused");
            world.write(Some(stored.version), change).await;
        }
        Deed::Remove => world.remove(&subject.id).await,
        Deed::Replace(_) => {
            let change = change::replace(&stored, subject.job.clone(), world.now());
            world
                .write(Some(stored.version), change.expect("the same trigger"))
                .await;
        }
    }
}

async fn whole_history<H: Harness>(world: &World<H>) -> Vec<HistoryEntry> {
    let mut query = HistoryQuery {
        after: Some("0".to_owned()),
        limit: 5_000,
        ..HistoryQuery::default()
    };
    let mut entries = Vec::new();
    loop {
        let page = done(world.store.history(&query).await);
        if page.entries.is_empty() {
            return entries;
        }
        entries.extend(page.entries);
        query.after = Some(page.position);
    }
}

pub async fn a_week_down_is_settled_as_the_policies_say<H: Harness>(mut world: World<H>) {
    let seed = 20_260_101;
    let random = &mut Rng::with_seed(seed);
    let subjects = put_all(&world, random).await;
    world.advance(WEEK).await;
    for subject in &subjects {
        do_deed(&world, subject).await;
    }

    // The leader returns; nodes come when it has settled everything.
    let mut node = world.node("a").await;
    let token = world.lead(&node).await;
    while world
        .peek(&token)
        .await
        .due
        .iter()
        .any(|due| due.due <= world.now())
    {
        world.beat(&token).await;
    }
    let mut ran = BTreeMap::<String, BTreeSet<Timestamp>>::new();
    loop {
        let mut claims = world.claim(&mut node, 500).await;
        if claims.is_empty() {
            // What is lined up goes as the leader lets it.
            world.admit(&token).await;
            claims = world.claim(&mut node, 500).await;
        }
        if claims.is_empty() {
            break;
        }
        let settled = claims.iter().map(|claim| {
            let Cause::Fire(at) = claim.run.cause else {
                panic!("{claim:?}");
            };
            assert!(ran.entry(claim.run.job.to_string()).or_default().insert(at));
            let end = Verdict::End(Outcome::Succeeded);
            settled_as(claim, end, &Ending::Succeeded(None))
        });
        let request = node.exchange(settled.collect(), 0);
        world.exchange(&request).await;
    }

    let mut lines = BTreeMap::<String, Vec<HistoryEntry>>::new();
    for entry in whole_history(&world).await {
        let of_job = lines.entry(entry.record.job().to_string()).or_default();
        of_job.push(entry);
    }
    let (mut fires, mut runs, mut ranges) = (0, 0, 0);
    for subject in &subjects {
        let records = lines.remove(&subject.id).unwrap_or_default();
        let stored = world.read(&name(&subject.id)).await.stored;
        let expected = account(subject, world.now());
        check_ledger(subject, &expected, &records);
        check_fates(
            subject,
            &expected,
            &records,
            stored.as_ref(),
            &world,
            random,
        );
        let wanted: BTreeSet<_> = expected
            .iter()
            .filter_map(|(at, skipped)| skipped.is_none().then_some(*at))
            .collect();
        assert_eq!(
            ran.remove(&subject.id).unwrap_or_default(),
            wanted,
            "{}",
            subject.id
        );
        match (&stored, subject.deed) {
            (None, Deed::Remove) => {}
            (Some(stored), deed) => {
                assert_ne!(deed, Deed::Remove, "{}", subject.id);
                assert_eq!(stored.next_fire, subject.next, "{}", subject.id);
            }
            (None, _) => panic!("{} is gone", subject.id),
        }
        fires += expected.len();
        runs += wanted.len();
        ranges += records.len() - wanted.len();
    }
    assert!(ran.is_empty() && lines.is_empty(), "{ran:?} {lines:?}");
    // The seed makes a week that is worth its name.
    assert!(
        fires > 1_000_000 && runs > 500,
        "{fires} fire times, {runs} runs"
    );
    assert!(
        ranges < 3 * JOBS + fires / 1_000,
        "{ranges} lines for {fires} fire times"
    );
}

/// Each fire time has a line, or lies in one range of its reason.
fn check_ledger(
    subject: &Subject,
    expected: &BTreeMap<Timestamp, Option<SkipReason>>,
    records: &[HistoryEntry],
) {
    let mut told = BTreeMap::new();
    for entry in records {
        match &entry.record {
            Record::Run(run) => {
                let before = told.insert(run.run.scheduled_at(), None);
                assert_eq!(before, None, "{}: told twice", subject.id);
            }
            Record::Skip(skip) => {
                let covered = expected.range(skip.first..=skip.last);
                let mut count = 0;
                for (at, _) in covered {
                    let before = told.insert(*at, Some(skip.skipped));
                    assert_eq!(before, None, "{} at {at}: told twice", subject.id);
                    count += 1;
                }
                assert_eq!(skip.count, count, "{}: {skip:?}", subject.id);
            }
        }
    }
    let different = expected
        .iter()
        .find(|(at, fate)| told.get(at) != Some(fate));
    assert_eq!(
        different,
        None,
        "{} {:?}: {:?}",
        subject.id,
        subject.deed,
        subject.job.policy()
    );
    assert_eq!(told.len(), expected.len(), "{}", subject.id);
}

/// Some fire times, and an instant that is none, are explained as they went.
fn check_fates<H: Harness>(
    subject: &Subject,
    expected: &BTreeMap<Timestamp, Option<SkipReason>>,
    records: &[HistoryEntry],
    stored: Option<&StoredJob>,
    world: &World<H>,
    random: &mut Rng,
) {
    let facts = Facts {
        stored: stored.cloned(),
        unreadable: None,
        fired: expected.keys().next_back().copied(),
        records: records.to_vec(),
        history_from: Some(world.now()),
        in_flight: Vec::new(),
        now: world.now(),
    };
    for _ in 0..3.min(expected.len()) {
        let at = subject.fires[random.usize(0..subject.fires.len())];
        let told = match fate(&facts, at) {
            Fate::Ran(_) => None,
            Fate::Skipped { skip, .. } => Some(skip.skipped),
            other => panic!("{} at {at}: {other:?}", subject.id),
        };
        assert_eq!(told, expected[&at], "{} at {at}", subject.id);
    }
    if let Some(next) = subject.next.filter(|_| stored.is_some()) {
        assert_eq!(fate(&facts, next), Fate::NotDueYet, "{}", subject.id);
    }
}
