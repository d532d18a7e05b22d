//! What a real APScheduler 3.11 did under a fake clock, step by step, and what Carillon does.
//!
//! `data/scheduler.json` holds timelines of the real package: what was asked of it at which second,
//! which fire times it then submitted, missed or skipped, and when each job was due next. They are
//! replayed here on the memory store under a manual clock: one caller plays leader and node in turn,
//! through the same plans, changes and store operations that a cluster uses, and nothing sleeps.
//!
//! Where Carillon does otherwise on purpose, the difference has a row in `docs/apscheduler.md` that
//! names its timelines. The rows are read here: a difference without a row fails, and so does a row
//! without a difference.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "how many timelines pass is worth knowing"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use scheduler_core::change::{self, Change};
use scheduler_core::history::{Record, RunRecord};
use scheduler_core::lease::LeaseToken;
use scheduler_core::plan::{SkipReason, plan};
use scheduler_core::run::{Claim, Ending, Outcome, Verdict, settle};
use scheduler_core::store::{
    Acquire, AcquireAnswer, Changed, ClaimWish, Dispatch, DispatchAnswer, DispatchItem, Exchange,
    ExchangeAnswer, HistoryQuery, JobWrite, NodeInfo, Peek, PeekAnswer, PutJob, Register,
    RemoveJob, RequestId, Retire, Settled,
};
use scheduler_core::{
    Clock, Coalesce, Generation, Job, JobDefaults, JobId, JobSpec, ManualClock, MemoryStore,
    QueueName, SessionId, Shard, Store, Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
struct Timeline {
    id: String,
    note: String,
    job_defaults: Map<String, Value>,
    executor: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    at: f64,
    op: String,
    job: Option<Map<String, Value>>,
    job_id: Option<String>,
    changes: Option<Map<String, Value>>,
    trigger: Option<String>,
    trigger_args: Option<Map<String, Value>>,
    error: Option<String>,
    events: Vec<Told>,
    next: BTreeMap<String, Option<f64>>,
}

/// An event of APScheduler's.
#[derive(Deserialize)]
struct Told {
    event: String,
    job: Option<String>,
    run_time: Option<f64>,
    run_times: Option<Vec<f64>>,
}

/// What became of a fire time, or how far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It became a run.
    Submitted,
    /// Its run succeeded.
    Executed,
    /// Its run failed.
    Failed,
    /// It was too late.
    Missed,
    /// As many runs as allowed were in flight.
    MaxInstances,
}

/// Fire times of jobs, in milliseconds since the start, and what became of them in one step.
type Fates = BTreeSet<(String, i64, Fate)>;

/// Seconds since the start as milliseconds: Carillon cuts what is finer.
#[expect(clippy::cast_possible_truncation, reason = "that is the point")]
fn ms(seconds: f64) -> i64 {
    // Where binary fractions fall just short of a microsecond, they mean it.
    ((seconds * 1_000_000.0).round() / 1_000.0).floor() as i64
}

/// What APScheduler told of a step. It submits a fire time that it then misses.
fn fates_told(step: &Step) -> Fates {
    let mut fates = Fates::new();
    for told in &step.events {
        let fate = match told.event.as_str() {
            "JOB_SUBMITTED" => Fate::Submitted,
            "JOB_EXECUTED" => Fate::Executed,
            "JOB_ERROR" => Fate::Failed,
            "JOB_MISSED" => Fate::Missed,
            "JOB_MAX_INSTANCES" => Fate::MaxInstances,
            _ => continue,
        };
        let times = told.run_times.iter().flatten().chain(&told.run_time);
        let job = told.job.clone().unwrap();
        fates.extend(times.map(|at| (job.clone(), ms(*at), fate)));
    }
    let missed: Vec<_> = fates
        .iter()
        .filter(|(.., fate)| *fate == Fate::Missed)
        .map(|(job, at, _)| (job.clone(), *at, Fate::Submitted))
        .collect();
    fates.retain(|fate| !missed.contains(fate));
    fates
}

/// The store answers at once: nothing here waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the memory store answered later"),
    }
}

/// 2026-01-01T00:00:00Z, where all timelines begin.
const START: i64 = 1_767_225_600_000;

const TTL: Duration = Duration::from_secs(1_000_000);

/// One leader and one node, in one hand.
struct Driver {
    clock: Arc<ManualClock>,
    store: MemoryStore,
    token: LeaseToken,
    session: SessionId,
    requests: u64,
    /// How far history has been read.
    read: String,
    /// The fire times that became runs in this step.
    submitted: Fates,
    defaults: Map<String, Value>,
    /// The jobs as they were written.
    written: BTreeMap<String, Map<String, Value>>,
    is_paused: bool,
    is_inline: bool,
}

impl Driver {
    fn new(timeline: &Timeline) -> Self {
        let start = START + ms(timeline.steps[0].at);
        let clock = Arc::new(ManualClock::new(Timestamp::from_ms(start)));
        let store = MemoryStore::new(clock.clone());
        let session = SessionId::of(&"node".parse().unwrap(), Uuid::from_u128(1));
        let info = NodeInfo {
            node: "node".parse().unwrap(),
            host: "host".to_owned(),
            pid: 1,
            carillon: "test".to_owned(),
            concurrency: 1_000,
            queues: vec![QueueName::default_queue()],
            weights: Vec::new(),
        };
        let register = Register {
            session: session.clone(),
            ttl: TTL,
            info,
        };
        now(store.register(&register)).unwrap();
        let acquire = Acquire {
            session: session.clone(),
            ttl: TTL,
            steal: None,
            floor: 0,
        };
        let AcquireAnswer::Acquired(token) = now(store.acquire(&acquire)).unwrap() else {
            panic!("nobody else asks for the lease");
        };
        // What APScheduler does where nothing is said.
        let mut defaults = Map::new();
        defaults.insert("coalesce".to_owned(), true.into());
        defaults.insert("misfire_grace_time".to_owned(), 1.into());
        defaults.extend(timeline.job_defaults.clone());
        Self {
            clock,
            store,
            token,
            session,
            requests: 0,
            read: "0".to_owned(),
            submitted: Fates::new(),
            defaults,
            written: BTreeMap::new(),
            is_paused: false,
            is_inline: timeline.executor == "inline",
        }
    }

    /// Does one step, and answers with what was refused.
    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.clock.set(Timestamp::from_ms(START + ms(step.at)));
        let id = || step.job_id.clone().unwrap();
        let done = match step.op.as_str() {
            "add" => self.add(step.job.clone().unwrap()),
            "process" => {
                self.process();
                Ok(())
            }
            "run_next" => {
                assert_eq!(self.execute(1), 1, "a run waits");
                Ok(())
            }
            "pause" | "resume" => {
                self.is_paused = step.op == "pause";
                Ok(())
            }
            "pause_job" => self.switch(&id(), |read| change::pause(read.stored.as_ref().unwrap())),
            "resume_job" => self.switch(&id(), |read| {
                change::resume(read.stored.as_ref().unwrap(), read.now)
            }),
            "modify" => self.modify(&id(), step.changes.clone().unwrap()),
            "reschedule" => {
                let mut changes = Map::new();
                changes.insert("trigger".to_owned(), step.trigger.clone().unwrap().into());
                let args = step.trigger_args.clone().unwrap();
                changes.insert("trigger_args".to_owned(), args.into());
                self.modify(&id(), changes)
            }
            "remove_job" => self.remove(&id()),
            "remove_all_jobs" => {
                let ids: Vec<_> = self.written.keys().cloned().collect();
                ids.iter().try_for_each(|id| self.remove(id))
            }
            other => panic!("{other}"),
        };
        self.retire();
        done
    }

    // ----- a client -------------------------------------------------------------------------

    /// A job as Carillon's users would write it.
    fn resolve(&self, job: &Map<String, Value>) -> Result<Job, String> {
        let mut written = self.defaults.clone();
        written.extend(job.clone());
        written.remove("replace_existing");
        let task = written.remove("func").unwrap_or_else(|| "work".into());
        written.insert("task".to_owned(), task);
        // None is what "none" says here: however late.
        if let Some(grace @ Value::Null) = written.get_mut("misfire_grace_time") {
            *grace = "none".into();
        }
        let kind = written["trigger"].clone();
        match written.remove("trigger_args") {
            Some(Value::Object(mut trigger)) => {
                trigger.insert("type".to_owned(), kind);
                written.insert("trigger".to_owned(), trigger.into());
            }
            _ => written["trigger"] = json!({ "type": kind }),
        }
        let spec: JobSpec =
            serde_json::from_value(Value::Object(written)).map_err(|error| error.to_string())?;
        spec.resolve(&JobDefaults::default())
            .map_err(|error| error.to_string())
    }

    fn add(&mut self, job: Map<String, Value>) -> Result<(), String> {
        let definition = self.resolve(&job)?;
        let read = self.look_up(definition.id());
        let change = match &read.stored {
            None => change::put_new(definition, read.fired, read.now),
            Some(_) if job.get("replace_existing") != Some(&true.into()) => {
                return Err("there is a job of this id".to_owned());
            }
            Some(stored) => change::replace(stored, definition, read.now),
        };
        self.write(&read, change.map_err(|error| error.to_string())?);
        self.written
            .insert(job["id"].as_str().unwrap().to_owned(), job);
        Ok(())
    }

    fn modify(&mut self, id: &str, mut changes: Map<String, Value>) -> Result<(), String> {
        let mut job = self
            .written
            .get(id)
            .cloned()
            .ok_or("there is no such job")?;
        if let Some(at) = changes.remove("next_run_time") {
            // The next fire time is what the trigger says it is: an interval says it so.
            let at = Timestamp::from_ms(START + ms(at.as_f64().unwrap()));
            job["trigger_args"]["start_date"] = at.to_string().into();
        }
        if changes.contains_key("trigger") {
            job.remove("trigger_args");
        }
        job.extend(changes);
        let definition = self.resolve(&job)?;
        if definition.id().as_str() != id {
            return Err("another id is another job".to_owned());
        }
        let read = self.look_up(definition.id());
        let stored = read.stored.as_ref().unwrap();
        let change = change::replace(stored, definition, read.now);
        self.write(&read, change.map_err(|error| error.to_string())?);
        self.written.insert(id.to_owned(), job);
        Ok(())
    }

    fn switch(
        &mut self,
        id: &str,
        decide: impl Fn(&JobWrite) -> Option<Change>,
    ) -> Result<(), String> {
        let read = self.look_up(&id.parse().unwrap());
        if let Some(change) = decide(&read) {
            self.write(&read, change);
        }
        Ok(())
    }

    fn remove(&mut self, id: &str) -> Result<(), String> {
        let id: JobId = id.parse().unwrap();
        let read = self.look_up(&id);
        let stored = read.stored.as_ref().ok_or("there is no such job")?;
        let removal = change::remove(stored, read.now);
        let request = RemoveJob {
            request: self.request(),
            job: id.clone(),
            version: stored.version,
            next_fire: stored.next_fire,
            skips: removal.skips,
            next: removal.next,
            detail: None,
        };
        let answer = now(self.store.remove(&request)).unwrap();
        assert_eq!(answer, Changed::Done(stored.version));
        self.written.remove(id.as_str());
        Ok(())
    }

    fn look_up(&self, id: &JobId) -> JobWrite {
        now(self.store.jobs(std::slice::from_ref(id)))
            .unwrap()
            .remove(0)
    }

    fn write(&mut self, read: &JobWrite, change: Change) {
        let version = read.stored.as_ref().map(|stored| stored.version);
        let request = PutJob {
            request: self.request(),
            all_or_none: false,
            changes: vec![(version, change)],
        };
        let answers = now(self.store.put(&request)).unwrap();
        assert!(matches!(answers[..], [Changed::Done(_)]), "{answers:?}");
    }

    fn request(&mut self) -> RequestId {
        RequestId(Uuid::from_u128(u128::from(self.number())))
    }

    fn number(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    // ----- the leader -----------------------------------------------------------------------

    /// The leader looks, once per step of APScheduler's, and again as long as anything is due.
    fn process(&mut self) {
        while !self.is_paused && self.dispatch() > 0 {}
        if self.is_inline {
            while self.execute(100) > 0 {}
        }
    }

    fn peek(&self) -> scheduler_core::store::Peeked {
        let request = Peek {
            token: self.token.clone(),
            ttl: TTL,
            ahead: Duration::ZERO,
            limit: 100,
            queues: Vec::new(),
        };
        let PeekAnswer::Peeked(peeked) = now(self.store.peek(&request)).unwrap() else {
            panic!("the lease is held");
        };
        peeked
    }

    fn dispatch(&mut self) -> usize {
        let peeked = self.peek();
        let items: Vec<_> = peeked
            .due
            .iter()
            .map(|due| {
                let job = self.look_up(&due.job).stored.unwrap().job;
                DispatchItem {
                    job: due.job.clone(),
                    due: due.due,
                    version: due.version,
                    queue: job.queue().clone(),
                    priority: scheduler_core::Priority::Normal,
                    max_instances: job.policy().max_instances.get().try_into().unwrap(),
                    max_lined_up: 0,
                    note: None,
                    plan: plan(&job, due.due, peeked.now, due.in_flight),
                }
            })
            .collect();
        let moved = items.len();
        for item in &items {
            let runs = item.plan.runs.iter();
            let job = item.job.to_string();
            let made = runs.map(|at| (job.clone(), at.as_ms() - START, Fate::Submitted));
            self.submitted.extend(made);
        }
        let request = Dispatch {
            token: self.token.clone(),
            planned_at: peeked.now,
            items,
        };
        let DispatchAnswer::Dispatched { refused } = now(self.store.dispatch(&request)).unwrap()
        else {
            panic!("the lease is held");
        };
        assert_eq!(refused, []);
        moved
    }

    fn retire(&mut self) {
        let request = Retire {
            token: self.token.clone(),
            jobs: self.peek().finished,
        };
        assert!(now(self.store.retire(&request)).unwrap());
    }

    // ----- a node ---------------------------------------------------------------------------

    /// Claims and executes up to so many runs; says how many there were.
    fn execute(&mut self, limit: usize) -> usize {
        let wish = ClaimWish::in_order(&[QueueName::default_queue()], limit);
        let claims = self.exchange(Vec::new(), Some(wish));
        let settled: Vec<_> = claims.iter().map(|claim| self.settled(claim)).collect();
        self.exchange(settled, None);
        claims.len()
    }

    fn exchange(&mut self, settled: Vec<Settled>, wish: Option<ClaimWish>) -> Vec<Claim> {
        let request = Exchange {
            generation: Generation(1),
            session: self.session.clone(),
            lane: 0,
            request: self.number(),
            floor: 0,
            settled,
            wish,
        };
        let ExchangeAnswer::Exchanged(done) = now(self.store.exchange(&request)).unwrap() else {
            panic!("the session lives");
        };
        assert_eq!(done.stale, []);
        done.claims
    }

    fn settled(&self, claim: &Claim) -> Settled {
        let wanted = (claim.run.job.clone(), claim.version);
        let definitions = now(self.store.definitions(&[wanted])).unwrap();
        let scheduler_core::store::Definition::Found(job) = &definitions[0] else {
            panic!("{claim:?} has no definition");
        };
        let ending = match job.task().as_str() {
            "fail" => Ending::Failed("raised".to_owned()),
            _ => Ending::Succeeded(None),
        };
        let verdict = settle(job.policy(), claim, &ending, 0.5);
        let Verdict::End(outcome) = verdict else {
            panic!("{verdict:?}");
        };
        let at = Some(self.clock.now());
        let record = RunRecord {
            run: claim.run.clone(),
            outcome,
            attempt: claim.attempt,
            fence: claim.fence,
            node: "node".to_owned(),
            task: Some(job.task().clone()),
            queue: claim.queue.clone(),
            started_at: at,
            ended_at: at,
            next_at: None,
            detail: ending.detail(),
        };
        Settled {
            claim: claim.clone(),
            verdict,
            record: Some(Record::Run(record)),
            definition: None,
        }
    }

    // ----- what became of it ----------------------------------------------------------------

    /// What was submitted, and what history says, since it was last asked. What was coalesced or
    /// paused APScheduler forgets without a word, and of those that it coalesces it judges but the
    /// last.
    fn fates(&mut self, told: &Fates) -> Fates {
        let mut fates = std::mem::take(&mut self.submitted);
        let query = HistoryQuery {
            after: Some(self.read.clone()),
            limit: 10_000,
            ..HistoryQuery::default()
        };
        let page = now(self.store.history(&query)).unwrap();
        self.read = page.position;
        for entry in page.entries {
            match entry.record {
                Record::Run(run) => {
                    let fate = match run.outcome {
                        Outcome::Succeeded => Fate::Executed,
                        Outcome::Failed => Fate::Failed,
                        other => panic!("{other}"),
                    };
                    let at = run.run.scheduled_at().as_ms() - START;
                    fates.insert((run.run.job.to_string(), at, fate));
                }
                Record::Skip(skip) => {
                    let fate = match skip.skipped {
                        SkipReason::Misfired => Fate::Missed,
                        SkipReason::MaxInstances => Fate::MaxInstances,
                        _ => continue,
                    };
                    let last = skip.last.as_ms() - START;
                    let job = skip.job.to_string();
                    let are_told = |at: i64| told.contains(&(job.clone(), at, fate));
                    let is_forgotten = told.iter().any(|(of, at, _)| *of == job && *at > last)
                        && self.coalesces(&skip.job);
                    if fate == Fate::Missed && is_forgotten {
                        continue;
                    }
                    // Each of the stretch where APScheduler tells each, or only its last.
                    let first = skip.first.as_ms() - START;
                    if first != last && are_told(first) {
                        let between = told.iter().filter(|(of, at, is)| {
                            *of == job && *is == fate && (first..=last).contains(at)
                        });
                        let between: Vec<_> = between.cloned().collect();
                        assert_eq!(between.len() as u64, skip.count, "{skip:?}");
                        fates.extend(between);
                    } else {
                        fates.insert((job, last, fate));
                    }
                }
            }
        }
        fates
    }

    fn coalesces(&self, job: &JobId) -> bool {
        let stored = self.look_up(job).stored;
        stored.is_none_or(|stored| stored.job.policy().coalesce == Coalesce::Latest)
    }

    /// When each job is due next, in milliseconds since the start; none while it is paused.
    fn next(&self) -> BTreeMap<String, Option<i64>> {
        let page = now(self.store.job_page(None, 1_000)).unwrap();
        page.jobs
            .iter()
            .map(|stored| {
                let next = stored.next_fire.map(|at| at.as_ms() - START);
                (stored.job.id().to_string(), next)
            })
            .collect()
    }
}

/// What Carillon does otherwise; nothing where it does the same.
fn differs(timeline: &Timeline) -> Option<String> {
    let mut driver = Driver::new(timeline);
    for (number, step) in timeline.steps.iter().enumerate() {
        let place = format!("step {number} ({} at {})", step.op, step.at);
        let done = driver.step(step);
        match (&done, &step.error) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Err(error), None) => return Some(format!("{place}: refused: {error}")),
            (Ok(()), Some(error)) => {
                return Some(format!("{place}: accepted, not refused: {error}"));
            }
        }
        let told = fates_told(step);
        let found = driver.fates(&told);
        if found != told {
            return Some(format!("{place}: expected {told:?} found {found:?}"));
        }
        let expected: BTreeMap<_, _> = step
            .next
            .iter()
            .map(|(job, at)| (job.clone(), at.map(ms)))
            .collect();
        let next = driver.next();
        if next != expected {
            return Some(format!("{place}: due next {next:?}, not {expected:?}"));
        }
    }
    None
}

/// The timelines that `docs/apscheduler.md` names as different on purpose.
fn documented_differences() -> BTreeSet<String> {
    let page = include_str!("../../docs/apscheduler.md");
    let (_, table) = page.split_once("<!-- differences -->").unwrap();
    let (table, _) = table.split_once("<!-- /differences -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.filter_map(|row| row.split('|').nth_back(1))
        .flat_map(|timelines| timelines.split(','))
        .map(|timeline| timeline.trim().to_owned())
        .filter(|timeline| !timeline.is_empty())
        .collect()
}

#[test]
fn every_timeline_of_apscheduler_goes_as_expected() {
    let timelines: Vec<Timeline> =
        serde_json::from_str(include_str!("data/scheduler.json")).unwrap();
    let documented = documented_differences();
    let mut different = BTreeSet::new();
    let mut surprises = String::new();
    for timeline in &timelines {
        if let Some(why) = differs(timeline) {
            if !documented.contains(&timeline.id) {
                surprises += &format!("{} ({}): {why}\n", timeline.id, timeline.note);
            }
            different.insert(timeline.id.clone());
        }
    }
    println!(
        "{} timelines: {} as expected, {} different on purpose",
        timelines.len(),
        timelines.len() - different.len(),
        different.len()
    );
    assert!(surprises.is_empty(), "\n{surprises}");
    assert_eq!(
        documented, different,
        "the page names timelines that are not different"
    );
}
