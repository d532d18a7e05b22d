//! Trust, a model with time: a node stops before its claim passes on.
//!
//! > **One owner per run.** A node that cannot renew stops the handler (cancellation token) *before* its
//! > claim can pass on, by its own monotonic clock (one that counts suspend): trust ends at
//! > `request_started + ttl - margin`.
//!
//! Node `a` holds a claim and executes it; a sweeper on node `b` watches `a`'s beat, declares `a` dead,
//! and `b` takes the run over. Time moves in ticks, the same for all, but that `a`'s clock may fall
//! behind by a bounded drift. Everything else may take any time: a heartbeat on its way, its answer, a
//! look of the sweeper, its wish to fence; and `a` may be frozen at any moment for any time.
//!
//! A node that thaws is taken to look at its trust first. In truth a handler may do a step before the
//! watchdog's thread does: that is what the fence is for.

use stateright::{Model, Property};

/// How long a session lives, in ticks, and how much of it is margin.
const TTL: u8 = 2;
const MARGIN: u8 = 1;

/// How far `a`'s clock may fall behind.
const DRIFT: u8 = 1;

/// What keeps the two apart, each to be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Trust counts from when a heartbeat was sent; off, from when its answer came.
    FromSent,
    /// Both sides keep a margin.
    Margin,
    /// The node's clock counts suspend.
    CountsSuspend,
    /// Whoever fences names the beat that it saw, and the script looks again.
    BeatChecked,
    /// Sessions end by what a sweeper observed; off, by a deadline on the server's clock.
    Observed,
    /// Trust is looked at before a handler is begun.
    CheckedAtBegin,
}

impl Care {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::FromSent,
        Self::Margin,
        Self::CountsSuspend,
        Self::BeatChecked,
        Self::Observed,
        Self::CheckedAtBegin,
    ];
}

/// The model, without one of the cares, if any.
#[derive(Clone, Copy, Debug)]
pub struct Trust {
    /// What is switched off.
    pub without: Option<Care>,
}

/// A look of the sweeper that takes longer is given up.
const SLOW_LOOK: u8 = 1;

/// More silence than anybody waits for.
const LONG: u8 = TTL + MARGIN + SLOW_LOOK;

/// A heartbeat on its way, or its answer. Ages are in ticks, up to as many as matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Heartbeat {
    beat: u8,
    age: u8,
    done: bool,
}

/// A look on its way, and what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Look {
    age: u8,
    beat: Option<u8>,
}

/// A beat that a sweeper has seen: how long ago first, and for how long it is known not to have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seen {
    beat: u8,
    age: u8,
    silent: u8,
}

/// The world at one moment. All times are relative to it, so that no history is too long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    // The server.
    beat: u8,
    /// How long until the deadline by the server's clock.
    deadline: u8,
    lives: bool,
    // Node a.
    is_frozen: bool,
    /// For how long it trusts its session still.
    trust: u8,
    is_running: bool,
    has_beaten: bool,
    last_beat: u8,
    heartbeats: Vec<Heartbeat>,
    // The sweeper, and node b.
    look: Option<Look>,
    seen: Option<Seen>,
    fencing: Option<u8>,
    other_runs: bool,
    // What may still happen.
    drift: u8,
    jumps: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Time passes.
    Tick,
    /// Time passes, and `a`'s clock does not notice.
    Drift,
    /// The server's clock jumps ahead.
    ServerJumps,
    /// `a` freezes, with its machine.
    Freeze,
    /// `a` goes on.
    Thaw,
    /// `a` begins a handler.
    Begin,
    /// `a` sends a heartbeat.
    Beat,
    /// A heartbeat arrives.
    Arrive(usize),
    /// Its answer arrives.
    Answer(usize),
    /// The sweeper asks for the beat.
    Look,
    /// The server answers.
    Read,
    /// The sweeper takes in the answer.
    See,
    /// The sweeper, who has seen enough, sends its wish to fence.
    Fence,
    /// The wish arrives.
    Fenced,
    /// `b` takes over the run, and begins it.
    TakeOver,
}

impl Trust {
    fn has(&self, care: Care) -> bool {
        self.without != Some(care)
    }

    fn margin(&self) -> u8 {
        if self.has(Care::Margin) { MARGIN } else { 0 }
    }

    fn pass_time(&self, next: &mut Moment, is_noticed: bool) {
        next.deadline = next.deadline.saturating_sub(1);
        if let Some(look) = &mut next.look {
            look.age += 1;
        }
        next.look = next.look.filter(|look| look.age <= SLOW_LOOK);
        if let Some(seen) = &mut next.seen {
            seen.age = (seen.age + 1).min(LONG);
        }
        if is_noticed && (!next.is_frozen || self.has(Care::CountsSuspend)) {
            next.trust = next.trust.saturating_sub(1);
            next.has_beaten = false;
            for heartbeat in &mut next.heartbeats {
                heartbeat.age = (heartbeat.age + 1).min(TTL);
            }
        }
        watch(next);
    }
}

/// The watchdog: stops the handler when trust has ended.
const fn watch(next: &mut Moment) {
    if !next.is_frozen && next.trust == 0 {
        next.is_running = false;
    }
}

impl Model for Trust {
    type State = Moment;
    type Action = Step;

    fn init_states(&self) -> Vec<Moment> {
        vec![Moment {
            beat: 0,
            deadline: TTL,
            lives: true,
            is_frozen: false,
            trust: TTL - self.margin(),
            is_running: true,
            has_beaten: false,
            last_beat: 0,
            heartbeats: Vec::new(),
            look: None,
            seen: None,
            fencing: None,
            other_runs: false,
            drift: DRIFT,
            jumps: 1,
        }]
    }

    fn actions(&self, at: &Moment, steps: &mut Vec<Step>) {
        steps.push(Step::Tick);
        if at.drift > 0 {
            steps.push(Step::Drift);
        }
        if at.jumps > 0 {
            steps.push(Step::ServerJumps);
        }
        steps.push(if at.is_frozen {
            Step::Thaw
        } else {
            Step::Freeze
        });
        if !at.is_frozen {
            let is_trusted = at.trust > 0 || !self.has(Care::CheckedAtBegin);
            if !at.is_running && is_trusted {
                steps.push(Step::Begin);
            }
            // One for each tick at most, and two under way.
            if at.heartbeats.len() < 2 && !at.has_beaten {
                steps.push(Step::Beat);
            }
        }
        for (index, heartbeat) in at.heartbeats.iter().enumerate() {
            match heartbeat.done {
                false => steps.push(Step::Arrive(index)),
                true if !at.is_frozen => steps.push(Step::Answer(index)),
                true => {}
            }
        }
        match at.look {
            None => steps.push(Step::Look),
            Some(Look { beat: None, .. }) => steps.push(Step::Read),
            Some(_) => steps.push(Step::See),
        }
        if at.fencing.is_none() && at.lives && self.may_fence(at) {
            steps.push(Step::Fence);
        }
        if at.fencing.is_some() {
            steps.push(Step::Fenced);
        }
        if !at.lives && !at.other_runs {
            steps.push(Step::TakeOver);
        }
    }

    fn next_state(&self, last: &Moment, step: Step) -> Option<Moment> {
        let mut next = last.clone();
        match step {
            Step::Tick => self.pass_time(&mut next, true),
            Step::Drift => {
                next.drift -= 1;
                self.pass_time(&mut next, false);
            }
            Step::ServerJumps => {
                next.jumps -= 1;
                next.deadline = next.deadline.saturating_sub(TTL);
            }
            Step::Freeze => next.is_frozen = true,
            Step::Thaw => {
                next.is_frozen = false;
                watch(&mut next);
            }
            Step::Begin => next.is_running = true,
            Step::Beat => {
                next.last_beat += 1;
                next.has_beaten = true;
                next.heartbeats.push(Heartbeat {
                    beat: next.last_beat,
                    age: 0,
                    done: false,
                });
            }
            Step::Arrive(index) => self.arrive(&mut next, index),
            Step::Answer(index) => {
                let Heartbeat { age, .. } = next.heartbeats.remove(index);
                let age = if self.has(Care::FromSent) { age } else { 0 };
                let trust = (TTL - self.margin()).saturating_sub(age);
                next.trust = next.trust.max(trust);
            }
            Step::Look => next.look = Some(Look { age: 0, beat: None }),
            Step::Read => {
                let beat = Some(next.beat);
                next.look = next.look.map(|look| Look { beat, ..look });
            }
            Step::See => see(&mut next),
            Step::Fence => next.fencing = next.seen.map(|seen| seen.beat).or(Some(next.beat)),
            Step::Fenced => {
                let named = next.fencing.take();
                let checks = self.has(Care::BeatChecked) && self.has(Care::Observed);
                if !checks || named == Some(next.beat) {
                    next.lives = false;
                }
            }
            Step::TakeOver => next.other_runs = true,
        }
        next.renumber();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("stops before its claim passes on", |_, at: &Moment| {
                !(at.other_runs && at.is_running && !at.is_frozen)
            }),
            Property::sometimes("a dead node's run goes on", |_, at: &Moment| at.other_runs),
        ]
    }
}

impl Trust {
    fn arrive(&self, next: &mut Moment, index: usize) {
        if !next.lives {
            // Gone: all of it is over.
            next.heartbeats.remove(index);
            next.is_running = false;
            next.trust = 0;
            return;
        }
        let heartbeat = &mut next.heartbeats[index];
        heartbeat.done = true;
        if heartbeat.beat >= next.beat {
            next.beat = heartbeat.beat;
            next.deadline = TTL;
        }
        next.heartbeats.sort_unstable();
    }

    /// Whether the sweeper has seen the beat stand still for long enough.
    fn may_fence(&self, at: &Moment) -> bool {
        if !self.has(Care::Observed) {
            return at.deadline == 0;
        }
        at.seen
            .is_some_and(|seen| seen.silent >= TTL + self.margin())
    }
}

/// Takes in a look. The beat stood still from the answer that first showed it to the question of the
/// last one that did.
fn see(next: &mut Moment) {
    let Some(Look {
        age: asked,
        beat: Some(beat),
    }) = next.look.take()
    else {
        return;
    };
    let seen = next.seen.filter(|seen| seen.beat == beat);
    let age = seen.map_or(0, |seen| seen.age);
    let silent = age.saturating_sub(asked);
    next.seen = Some(Seen { beat, age, silent });
}

impl Moment {
    /// Gives beats anew, dense and in the same order: they are only ever compared.
    fn renumber(&mut self) {
        let mut present = 0_u32;
        self.each_beat(|beat| present |= 1 << *beat);
        self.each_beat(|beat| {
            let below = present & ((1 << *beat) - 1);
            *beat = u8::try_from(below.count_ones()).unwrap_or(u8::MAX);
        });
        self.heartbeats.sort_unstable();
    }

    fn each_beat(&mut self, mut visit: impl FnMut(&mut u8)) {
        visit(&mut self.beat);
        visit(&mut self.last_beat);
        self.heartbeats.iter_mut().for_each(|h| visit(&mut h.beat));
        self.look
            .iter_mut()
            .flat_map(|l| &mut l.beat)
            .for_each(&mut visit);
        self.seen.iter_mut().for_each(|seen| visit(&mut seen.beat));
        self.fencing.iter_mut().for_each(visit);
    }
}
