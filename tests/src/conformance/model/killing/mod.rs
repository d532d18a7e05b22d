//! Random kills: whoever uses the store dies at any point of it, and another begins anew.
//!
//! A client adds, modifies and removes jobs, some of them with one unique key, and asks for runs; a leader
//! dispatches, promotes, retires, and follows the ends of runs with those of another job; a node claims,
//! completes, gives up, and notes what it does. At each request the dice say whether all goes well, or its
//! sender is killed before it was sent, or after it was done and before the answer came (and then begins
//! anew, or asks again), or while it was on its way: then it arrives much later, whatever has happened
//! since. Each of these is a *point*. Whoever begins anew knows nothing but what the store tells.
//!
//! After each step each run in flight is in one place. After a calm at the end nothing is in flight; each
//! run has ended once; and the fire times that became runs or recorded skips are those that came while
//! their job was stored: none is missing, none came twice. Each end of a run of the job that is followed has
//! been followed, once. Of what was noted the last stands. At no moment have two live jobs one unique key.

mod acting;
mod judging;
mod others;

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler_core::lease::LeaseToken;
use scheduler_core::notes::{Note, NoteAnswer, RunNotes};
use scheduler_core::policy::{Backoff, Retry};
use scheduler_core::run::Claim;
use scheduler_core::store::{
    Acquire, AcquireAnswer, Cancel, Dispatch, Drain, Exchange, ExchangeAnswer, FollowUp, Promote,
    PutJob, RemoveJob, Retire, RunNow, Supersede,
};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Job, JobBuilder, JobDefaults, JobId, Policy, RunId, Shard, Store, Timestamp};

use crate::conformance::{Harness, Node, START, World, done, name};

const JOBS: [&str; 3] = ["a", "b", "c"];

/// How often each job is due, and how long a lease lives.
const EVERY: Duration = Duration::from_secs(10);

/// What became of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Killed {
    /// How many points there were.
    pub points: usize,
    /// How many runs ended.
    pub runs: usize,
    /// How many fire times were settled.
    pub fires: usize,
}

/// What is sent to the store.
#[derive(Clone, Debug)]
enum Request {
    Put(PutJob),
    Remove(RemoveJob),
    Run(Box<RunNow>),
    Cancel(Cancel),
    Acquire(Acquire),
    Dispatch(Dispatch),
    Promote(Promote),
    Retire(Retire),
    Exchange(Exchange),
    Drain(Drain),
    Supersede(Box<Supersede>),
    Follow(FollowUp),
    Note(Note),
}

/// What came of sending it.
#[derive(Debug)]
enum Answer {
    Lease(AcquireAnswer),
    Exchange(ExchangeAnswer),
    Other,
}

struct Killing<H: Harness> {
    world: World<H>,
    random: fastrand::Rng,
    seed: u64,
    /// The node that lives, what it holds for all it knows, and its lease.
    node: Node,
    claims: Vec<Claim>,
    token: Option<LeaseToken>,
    /// What is on its way.
    late: Vec<Request>,
    /// Since when each stored job is, and when those were that are no longer.
    stored: BTreeMap<JobId, Timestamp>,
    times: Vec<(JobId, Timestamp, Timestamp)>,
    highest: u64,
    /// What was noted, by run and attempt.
    notes: BTreeMap<RunId, BTreeMap<u32, RunNotes>>,
    /// How often something was.
    noted: u64,
    killed: Killed,
}

/// Lets one seed's history happen, with at least so many kills.
///
/// # Panics
///
/// When a promise is broken; prints the seed.
pub async fn kill<H: Harness>(harness: &H, seed: u64, points: usize) -> Killed {
    let mut world = World::fresh(harness).await;
    // Never at a fire time itself: these are at whole tens of seconds.
    world.advance(Duration::from_millis(137)).await;
    let node = world.node("n").await;
    let mut killing = Killing {
        world,
        random: fastrand::Rng::with_seed(seed),
        seed,
        node,
        claims: Vec::new(),
        token: None,
        late: Vec::new(),
        stored: BTreeMap::new(),
        times: Vec::new(),
        highest: 0,
        notes: BTreeMap::new(),
        noted: 0,
        killed: Killed::default(),
    };
    killing.world.put(others::follower()).await;
    while killing.killed.points < points {
        killing.step().await;
    }
    killing.calm().await;
    killing.judge().await;
    killing.killed
}

/// A job whose fire times are known without asking anybody.
fn job(id: &str, named: u32) -> Job {
    let spec = serde_json::json!({
        "type": "interval", "seconds": EVERY.as_secs(), "start_date": START.to_string(),
    });
    let spec: TriggerSpec = serde_json::from_value(spec).expect("an interval");
    let trigger = spec
        .resolve(JobDefaults::default().timezone)
        .expect("an interval");
    let policy = Policy {
        retry: Retry {
            max_attempts: 3.try_into().expect("not 0"),
            backoff: Backoff::Fixed,
            base: Duration::from_secs(2),
            ..Retry::default()
        },
        max_instances: 2.try_into().expect("not 0"),
        ..Policy::default()
    };
    let builder: JobBuilder = Job::builder(name(id), name("task"), trigger).policy(policy);
    builder.name(format!("name {named}")).build()
}

impl<H: Harness> Killing<H> {
    async fn step(&mut self) {
        match self.random.u32(0..100) {
            0..20 => {
                let halves = self.random.u64(1..8);
                self.world
                    .advance(Duration::from_millis(500 * halves))
                    .await;
            }
            20..32 => self.put().await,
            32..37 => self.remove().await,
            37..43 => self.ask_for_a_run().await,
            43..46 => self.cancel().await,
            46..50 => self.put_once().await,
            50..70 => self.lead().await,
            70..74 => self.note().await,
            74..88 => self.work().await,
            88..93 => self.sweep().await,
            _ => self.arrive().await,
        }
    }

    // ----- being killed ---------------------------------------------------------------------

    /// Sends a request for a client, who may be killed at it.
    async fn send_for_client(&mut self, request: Request) {
        self.send(request).await;
    }

    /// Sends a request for the node: none where it was killed at it, and began anew.
    async fn send_for_node(&mut self, request: Request) -> Option<Answer> {
        let answer = self.send(request).await;
        if answer.is_none() {
            self.begin_anew().await;
        }
        answer
    }

    /// Sends a request; none where its sender was killed.
    async fn send(&mut self, request: Request) -> Option<Answer> {
        match self.random.u32(0..10) {
            0 => {
                self.killed.points += 1;
                None
            }
            1 => {
                self.killed.points += 1;
                self.act(&request).await;
                None
            }
            2 => {
                // Lost, and asked again.
                self.killed.points += 1;
                self.act(&request).await;
                Some(self.act(&request).await)
            }
            3 => {
                self.killed.points += 1;
                self.late.push(request);
                None
            }
            _ => Some(self.act(&request).await),
        }
    }

    /// Another process in place of the one that was killed: it knows nothing.
    async fn begin_anew(&mut self) {
        self.node = self.world.node("n").await;
        self.claims.clear();
        self.token = None;
    }

    /// What was on its way arrives.
    async fn arrive(&mut self) {
        if !self.late.is_empty() {
            let which = self.random.usize(0..self.late.len());
            let request = self.late.swap_remove(which);
            self.act(&request).await;
        }
    }

    /// Does what is asked, and looks at what that made of the world.
    async fn act(&mut self, request: &Request) -> Answer {
        let store = &self.world.store;
        let answer = match request {
            Request::Put(put) => {
                done(store.put(put).await);
                Answer::Other
            }
            Request::Remove(removal) => {
                done(store.remove(removal).await);
                Answer::Other
            }
            Request::Run(run) => {
                done(store.run_now(run).await);
                Answer::Other
            }
            Request::Cancel(cancel) => {
                done(store.cancel(cancel).await);
                Answer::Other
            }
            Request::Supersede(supersede) => {
                done(store.supersede(supersede).await);
                Answer::Other
            }
            Request::Follow(follow) => {
                done(store.follow(follow).await);
                Answer::Other
            }
            Request::Note(note) => {
                if done(store.note(note).await) == NoteAnswer::Noted {
                    self.noted(note);
                }
                Answer::Other
            }
            Request::Acquire(acquire) => Answer::Lease(done(store.acquire(acquire).await)),
            Request::Dispatch(dispatch) => {
                done(store.dispatch(dispatch).await);
                Answer::Other
            }
            Request::Promote(promote) => {
                done(store.promote(promote).await);
                Answer::Other
            }
            Request::Retire(retire) => {
                done(store.retire(retire).await);
                Answer::Other
            }
            Request::Exchange(exchange) => Answer::Exchange(done(store.exchange(exchange).await)),
            Request::Drain(drain) => {
                done(store.drain(drain).await);
                Answer::Other
            }
        };
        self.look().await;
        answer
    }

    async fn look(&mut self) {
        let sight = self.world.see().await;
        let dead: u64 = sight.dead.values().map(|claims| claims.len() as u64).sum();
        let somewhere = sight.waiting() + sight.lined_up + sight.retries + sight.held + dead;
        assert_eq!(sight.busy, somewhere, "each run in one place: {sight:#?}");
        others::check_key(&sight);
        let now = self.world.now();
        let gone: Vec<_> = self.stored.keys().cloned().collect();
        for id in gone.into_iter().filter(|id| !sight.jobs.contains_key(id)) {
            let since = self.stored.remove(&id).expect("it is there");
            self.times.push((id, since, now));
        }
        let recurring = sight.jobs.iter();
        for (id, stored) in recurring.filter(|(id, _)| JOBS.contains(&id.as_str())) {
            // What arrives late was decided before: what came since then is the job's.
            let first = stored.next_fire.map_or(i64::MAX, Timestamp::as_ms);
            let since = now.min(Timestamp::from_ms(first.saturating_sub(1)));
            self.stored.entry(id.clone()).or_insert(since);
        }
    }
}

impl<H: Harness> Drop for Killing<H> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("broken by seed {}: CARILLON_SEED={}", self.seed, self.seed);
        }
    }
}
