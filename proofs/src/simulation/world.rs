//! Time, faults, and all that happens, one event after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::change::put_new;
use scheduler_core::run::Ending;
use scheduler_core::store::{HistoryQuery, NodeInfo, PutJob, Register, RequestId};
use scheduler_core::{
    Fence, Job, JobDefaults, JobSpec, ManualClock, MemoryStore, NodeName, QueueName, SessionId,
    Store, Timestamp,
};
use serde_json::json;
use uuid::Uuid;

use super::node::{Definitions, Effect, SESSION_TTL, Session};
use super::oracle::{Oracle, Summary};
use super::wire::{Answer, Loop, Request, at_once, done};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// When the store's clock begins.
const EPOCH: i64 = 1_800_000_000_000;

/// For how long faults strike, and jobs are due.
const FAULTS: Duration = Duration::from_secs(60);

/// How long all may take to come to its end after that.
const CALM: Duration = Duration::from_secs(120);

/// How long a caller waits before the outcome is unknown to it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request that a node waits for.
struct Call {
    number: u64,
    sent: Duration,
    request: Request,
}

struct Node {
    name: NodeName,
    incarnation: u32,
    is_up: bool,
    frozen_until: Option<Duration>,
    /// What is cut off loses all that it sends and is sent.
    cut_until: Duration,
    session: Option<Session>,
    calls: BTreeMap<Loop, Call>,
}

/// What happens to a process, if it lives still.
enum Event {
    Ask(Loop),
    Answer(Loop, u64, Box<Answer>),
    GiveUp(Loop, u64),
    Watch,
    End(Fence, bool),
    Thaw,
}

enum What {
    Node(usize, u32, Event),
    /// A request arrives: whose, and where its answer goes.
    Arrive(usize, u32, Loop, u64, Box<Request>),
    Boot(usize),
    Fault,
}

struct World {
    random: fastrand::Rng,
    now: Duration,
    events: BTreeMap<(Duration, u64), What>,
    count: u64,
    clock: Arc<ManualClock>,
    /// How far the store's clock has been stepped.
    stepped_ms: i64,
    store: MemoryStore,
    nodes: Vec<Node>,
    jobs: Definitions,
    due: BTreeMap<String, Vec<i64>>,
    oracle: Oracle,
    without: Without,
}

/// What nodes leave out, to see that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// Nothing: they do as they should.
    Nothing,
    /// No watchdog stops their handlers when trust ends.
    Watchdog,
    /// A request without an answer is given up, and what it would have handed in with it.
    AskingAgain,
}

/// One history: three nodes, a minute of faults, and a calm.
///
/// # Panics
///
/// Where a promise was broken. Whoever calls says by which seed.
#[must_use]
pub fn simulate(seed: u64, without: Without) -> Summary {
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(EPOCH)));
    let mut world = World {
        random: fastrand::Rng::with_seed(seed),
        now: Duration::ZERO,
        events: BTreeMap::new(),
        count: 0,
        store: MemoryStore::new(Arc::clone(&clock) as Arc<_>),
        clock,
        stepped_ms: 0,
        nodes: Vec::new(),
        jobs: Definitions::new(),
        due: BTreeMap::new(),
        oracle: Oracle::default(),
        without,
    };
    world.put_jobs();
    for number in 0..3 {
        world.add_node(number);
    }
    world.after(MS(500), What::Fault);
    world.run();
    world.oracle.summary
}

impl World {
    fn put_jobs(&mut self) {
        for number in 0..4_i64 {
            let every = [300, 700, 1_000, 2_500][self.random.usize(0..4)];
            let (first, last) = (EPOCH + 1_000 + number * 37, EPOCH + 60_000);
            let text = |ms: i64| Timestamp::from_ms(ms).to_string();
            let seconds: serde_json::Number = format!("{}.{:03}", every / 1000, every % 1000)
                .parse()
                .expect("a number");
            let mut spec = json!({
                "id": format!("job-{number}"),
                "task": "t",
                "trigger": {
                    "type": "interval", "seconds": seconds,
                    "start_date": text(first), "end_date": text(last),
                },
                "coalesce": (["latest", "earliest", "all"][self.random.usize(0..3)]),
                "max_instances": self.random.u32(1..4),
                "retry": { "max_attempts": self.random.u32(1..4), "base": "500ms", "max": "2s" },
                "on_lost": (["retry", "fail"][self.random.usize(0..2)]),
            });
            if self.random.bool() {
                spec["misfire_grace_time"] = json!("1s");
            }
            let spec: JobSpec = serde_json::from_value(spec).expect("a job");
            let job = spec.resolve(&JobDefaults::default()).expect("a job");
            let fires = (0..)
                .map(|n| first + n * every)
                .take_while(|at| *at <= last);
            self.due.insert(job.id().to_string(), fires.collect());
            self.put(job);
        }
    }

    fn put(&mut self, job: Job) {
        let id = job.id().clone();
        self.jobs.insert(id, Arc::new(job.clone()));
        let change = put_new(job, None, Timestamp::from_ms(EPOCH)).expect("it fires");
        let request = RequestId(self.uuid());
        let changes = vec![(None, change)];
        drop(at_once(self.store.put(&PutJob {
            request,
            changes,
            all_or_none: false,
        })));
    }

    fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random.u128(..).to_le_bytes()).into_uuid()
    }

    fn add_node(&mut self, number: usize) {
        self.nodes.push(Node {
            name: NodeName::new(format!("node-{number}")).expect("a name"),
            incarnation: 0,
            is_up: false,
            frozen_until: None,
            cut_until: Duration::ZERO,
            session: None,
            calls: BTreeMap::new(),
        });
        let soon = MS(self.random.u64(0..200));
        self.after(soon, What::Boot(number));
    }

    // ----- time -----------------------------------------------------------------------------

    fn after(&mut self, pause: Duration, what: What) {
        self.count += 1;
        self.events.insert((self.now + pause, self.count), what);
    }

    fn tell(&mut self, node: usize, pause: Duration, event: Event) {
        let incarnation = self.nodes[node].incarnation;
        self.after(pause, What::Node(node, incarnation, event));
    }

    fn run(&mut self) {
        while let Some(((at, _), what)) = self.events.pop_first() {
            self.now = at;
            let ms = i64::try_from(at.as_millis()).expect("a short history");
            self.clock
                .set(Timestamp::from_ms(EPOCH + ms + self.stepped_ms));
            self.happens(what);
            if self.now > FAULTS && self.is_over() {
                break;
            }
            assert!(
                self.now < FAULTS + CALM,
                "stuck: {:#?}",
                at_once(self.store.overview())
            );
        }
        let query = HistoryQuery {
            limit: usize::MAX,
            ..HistoryQuery::default()
        };
        let history = at_once(self.store.history(&query)).entries;
        for node in 0..self.nodes.len() {
            let died = self.nodes[node]
                .session
                .as_mut()
                .map(|s| s.died(&self.jobs));
            self.follow(node, died.unwrap_or_default());
        }
        self.oracle.judge(&self.due, &history);
    }

    /// Whether nothing is due any more, and nothing in flight.
    fn is_over(&self) -> bool {
        let view = at_once(self.store.overview());
        view.scheduled == 0 && view.busy == 0
    }

    fn is_calm(&self) -> bool {
        self.now >= FAULTS
    }

    // ----- events ---------------------------------------------------------------------------

    fn happens(&mut self, what: What) {
        match what {
            What::Fault => self.strike(),
            What::Boot(node) => self.boot(node),
            What::Arrive(node, incarnation, of, number, request) => {
                let answer = done(&self.store, &request);
                if let Some(pause) = self.delay(node) {
                    let event = Event::Answer(of, number, Box::new(answer));
                    self.after(pause, What::Node(node, incarnation, event));
                }
            }
            What::Node(node, incarnation, event) => {
                let Node {
                    incarnation: current,
                    is_up,
                    frozen_until,
                    ..
                } = self.nodes[node];
                if current != incarnation || !is_up {
                    return;
                }
                match frozen_until.filter(|until| *until > self.now) {
                    Some(until) => self.tell(node, until - self.now, event),
                    None => self.node_event(node, event),
                }
            }
        }
    }

    fn node_event(&mut self, at: usize, event: Event) {
        match event {
            Event::Ask(of) => self.ask(at, of),
            Event::Answer(of, number, answer) => {
                let node = &mut self.nodes[at];
                let is_awaited = node
                    .calls
                    .get(&of)
                    .is_some_and(|call| call.number == number);
                if !is_awaited {
                    return;
                }
                let Some(call) = node.calls.remove(&of) else {
                    return;
                };
                self.answered(at, of, &call, *answer);
            }
            Event::GiveUp(of, number) => {
                let node = &mut self.nodes[at];
                if node
                    .calls
                    .get(&of)
                    .is_some_and(|call| call.number == number)
                {
                    // The outcome is unknown.
                    node.calls.remove(&of);
                    let gives_up = self.without == Without::AskingAgain && of == Loop::Work;
                    if let Some(session) = node.session.as_mut().filter(|_| gives_up) {
                        session.give_up();
                    }
                    let backoff = MS(self.random.u64(25..200));
                    self.tell(at, backoff, Event::Ask(of));
                }
            }
            Event::Watch => {
                self.watch(at);
                self.tell(at, SESSION_TTL / 40, Event::Watch);
            }
            Event::Thaw => {
                self.nodes[at].frozen_until = None;
                self.watch(at);
            }
            Event::End(fence, is_good) => {
                let ending = if is_good {
                    Ending::Succeeded(None)
                } else {
                    Ending::Failed("on purpose".to_owned())
                };
                let session = self.nodes[at].session.as_mut();
                let ended = session.map(|s| s.ended(fence, &ending, &self.jobs));
                self.follow(at, ended.unwrap_or_default());
            }
        }
    }

    fn watch(&mut self, at: usize) {
        if self.without == Without::Watchdog {
            return;
        }
        let now = self.now;
        let session = self.nodes[at].session.as_mut();
        let stopped = session.map(|session| session.watch(now, &self.jobs));
        self.follow(at, stopped.unwrap_or_default());
    }

    // ----- the wire -------------------------------------------------------------------------

    fn ask(&mut self, at: usize, of: Loop) {
        let now = self.now;
        if self.nodes[at].calls.contains_key(&of) {
            return;
        }
        let request = match &mut self.nodes[at].session {
            Some(session) => session.next(of, now),
            None if of == Loop::Heart => Some(self.registration(at)),
            None => None,
        };
        let Some(request) = request else {
            return self.tell(at, MS(100), Event::Ask(of));
        };
        self.count += 1;
        let number = self.count;
        let incarnation = self.nodes[at].incarnation;
        let copies = if self.is_calm() || self.random.u8(..) > 4 {
            1
        } else {
            2
        };
        for _ in 0..copies {
            if let Some(pause) = self.delay(at) {
                let request = Box::new(request.clone());
                self.after(pause, What::Arrive(at, incarnation, of, number, request));
            }
        }
        self.oracle.summary.faults += copies - 1;
        let call = Call {
            number,
            sent: now,
            request,
        };
        self.nodes[at].calls.insert(of, call);
        let patience = if of == Loop::Heart {
            SESSION_TTL / 4
        } else {
            PATIENCE
        };
        self.tell(at, patience, Event::GiveUp(of, number));
    }

    /// How long one way takes; none where what was sent is lost.
    fn delay(&mut self, at: usize) -> Option<Duration> {
        if self.is_calm() {
            return Some(MS(self.random.u64(0..3)));
        }
        let is_cut = self.nodes[at].cut_until > self.now;
        match self.random.u8(..100) {
            _ if is_cut => {}
            0..3 => {}
            3..6 => return Some(MS(self.random.u64(100..4_000))),
            _ => return Some(MS(self.random.u64(0..20))),
        }
        self.oracle.summary.faults += 1;
        None
    }

    fn registration(&mut self, at: usize) -> Request {
        let uuid = self.uuid();
        let name = &self.nodes[at].name;
        Request::Register(Register {
            session: SessionId::of(name, uuid),
            ttl: SESSION_TTL,
            info: NodeInfo {
                node: name.clone(),
                host: String::new(),
                pid: 0,
                carillon: String::new(),
                concurrency: 4,
                queues: vec![QueueName::default_queue()],
                weights: Vec::new(),
            },
        })
    }

    fn answered(&mut self, at: usize, of: Loop, call: &Call, answer: Answer) {
        let now = self.now;
        let node = &mut self.nodes[at];
        let Some(session) = &mut node.session else {
            if let Request::Register(register) = &call.request {
                node.session = Some(Session::new(register.session.clone(), call.sent));
            }
            return self.tell(at, Duration::ZERO, Event::Ask(of));
        };
        let before = session.id.clone();
        let effects = session.answered(&call.request, answer, call.sent, now, &self.jobs);
        self.follow(at, effects);
        let is_same = self.nodes[at]
            .session
            .as_ref()
            .is_some_and(|s| s.id == before);
        let more = self.nodes[at]
            .session
            .as_ref()
            .is_some_and(|s| s.has_more(of));
        let pause = match of {
            _ if !is_same || more => Duration::ZERO,
            Loop::Heart => (SESSION_TTL / 4).saturating_sub(now - call.sent),
            Loop::Lead => MS(100),
            Loop::Work => MS(50),
            Loop::Sweep => SESSION_TTL / 5,
        };
        self.tell(at, pause, Event::Ask(of));
    }

    fn follow(&mut self, at: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Begun(claim) => {
                    let (now, nodes) = (self.now, &self.nodes);
                    let is_frozen =
                        |node: usize| nodes[node].frozen_until.is_some_and(|until| until > now);
                    self.oracle.begins(at, &claim, is_frozen);
                    let takes = if self.random.u8(..10) == 0 {
                        self.random.u64(1_000..12_000)
                    } else {
                        self.random.u64(0..100)
                    };
                    let is_good = self.random.u8(..10) > 0;
                    self.tell(at, MS(takes), Event::End(claim.fence, is_good));
                }
                Effect::Stopped(claim) => self.oracle.ends(&claim),
                Effect::Gone => {
                    let node = &mut self.nodes[at];
                    node.session = None;
                    // Nobody waits for these any more: their loops begin anew.
                    for of in std::mem::take(&mut node.calls).into_keys() {
                        self.tell(at, Duration::ZERO, Event::Ask(of));
                    }
                }
                Effect::Led => self.oracle.summary.terms += 1,
                Effect::Fenced => self.oracle.summary.fenced += 1,
            }
        }
    }

    // ----- faults ---------------------------------------------------------------------------

    fn boot(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.is_up = true;
        for of in [Loop::Heart, Loop::Lead, Loop::Work, Loop::Sweep] {
            self.tell(at, Duration::ZERO, Event::Ask(of));
        }
        self.tell(at, Duration::ZERO, Event::Watch);
    }

    fn strike(&mut self) {
        if self.is_calm() {
            return;
        }
        let at = self.random.usize(0..self.nodes.len());
        let is_free = self.nodes[at].is_up && self.nodes[at].frozen_until.is_none();
        match self.random.u8(0..10) {
            0..4 if is_free => {
                let pause = MS([self.random.u64(50..900), self.random.u64(900..7_000)]
                    [self.random.usize(0..2)]);
                self.nodes[at].frozen_until = Some(self.now + pause);
                self.tell(at, pause, Event::Thaw);
            }
            4..6 if is_free => self.crash(at),
            6..8 => {
                let until = self.now + MS(self.random.u64(100..8_000));
                self.nodes[at].cut_until = until;
            }
            8 => self.stepped_ms += self.random.i64(-5_000..5_000),
            _ => {}
        }
        let next = MS(self.random.u64(100..3_000));
        self.after(next, What::Fault);
    }

    fn crash(&mut self, at: usize) {
        let died = self.nodes[at].session.as_mut().map(|s| s.died(&self.jobs));
        self.follow(at, died.unwrap_or_default());
        let node = &mut self.nodes[at];
        node.session = None;
        node.calls.clear();
        node.incarnation += 1;
        node.is_up = false;
        let back = MS(self.random.u64(100..4_000));
        self.after(back, What::Boot(at));
    }
}
