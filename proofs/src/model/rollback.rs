//! Failover, a model of its own: a store that loses its latest writes, and nodes that tell it what they
//! know.
//!
//! One job with a few fire times, of which one run may be in flight; two nodes, which claim, execute and hand
//! in; a replica that may be behind the primary by any number of steps, and is promoted at any moment.
//! Whoever promotes it attaches at once: nobody reaches a server without that. Then nodes may reconcile in
//! any order, late or never, while they execute on; they crash; and what crashed nodes held is drained.
//! What becomes of each claim that a node names is decided by [`scheduler_core::failover::fate`], as in
//! the script.
//!
//! # What is promised
//!
//! - Among nodes that have told the store what they hold, one at most holds a run. Who missed a grace does not
//!   count until it has asked what it holds: its run may have been given to another meanwhile, which takes it
//!   from this one also where both tell a later generation.
//! - A run that was executed to its end begins again only where the node that did it crashed, or told it
//!   late.
//! - Whoever begins a run has a higher fence than whoever began it before.
//! - A run in flight is in one place, and nothing is lost that nobody executed and no history names.

use scheduler_core::Fence;
use scheduler_core::failover::{Fate, Found, Place, fate};
use stateright::{Model, Property};

const NODES: usize = 2;
const FIRES: usize = 2;
const RUNS: usize = FIRES + 1;

/// How far numbers leap: further than a history can count.
const LEAP: u8 = 20;

/// What guards it, each to be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Numbers leap when a generation begins.
    Leap,
    /// A session claims and hands in only when it has reconciled.
    Behind,
    /// Nothing is dispatched or claimed before all have told, or the grace is over.
    Grace,
    /// A claim of before the tail that the store does not have has been settled.
    LostAfter,
    /// The highest fence that was named for each run is kept.
    Told,
    /// What is restored waits in no queue any more.
    NoLongerWaits,
    /// A restored fire time is settled.
    Fired,
    /// Who clears up after the dead leaves claims alone that a later one has overtaken.
    DrainLooks,
    /// Nodes remember what they handed in.
    Recall,
    /// Who missed a whole generation is late in the next.
    Missed,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Leap,
        Self::Behind,
        Self::Grace,
        Self::LostAfter,
        Self::Told,
        Self::NoLongerWaits,
        Self::Fired,
        Self::DrainLooks,
        Self::Recall,
        Self::Missed,
    ];
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Rollback {
    /// What is switched off, if anything.
    pub without: Option<Guard>,
    /// How often a replica is promoted.
    pub failovers: u8,
    /// How many nodes crash.
    pub crashes: u8,
    /// How many claims' answers are lost.
    pub unknowns: u8,
    /// How many attempts are to be made again.
    pub retries: u8,
    /// Whether nodes may come after the grace.
    pub late: bool,
}

/// A claim: fence, attempt.
type Claim = (u8, u8);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    seq: u8,
    generation: u8,
    /// For each generation from the second on that this store had, the number when it began.
    lost_after: Vec<(u8, u8)>,
    is_ready: bool,
    due: u8,
    fired: u8,
    /// Attempts that runs wait for.
    ready: Vec<(u8, u8)>,
    busy: [bool; RUNS],
    recorded: [bool; RUNS],
    claims: [[Option<Claim>; RUNS]; NODES],
    told: [Option<(u8, usize)>; RUNS],
    /// Who takes part in the generation.
    has_told: [bool; NODES],
    /// The last generation that each took part in.
    took_part: [u8; NODES],
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Node {
    is_dead: bool,
    generation: u8,
    held: [Option<Claim>; RUNS],
    /// What it handed in: the claim, and whether the run was over by that.
    recall: [Option<(Claim, bool)>; RUNS],
}

/// What has happened, for the promises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Past {
    /// The highest fence under which a run was begun.
    begun: [u8; RUNS],
    /// Who executed it to its end, and nobody may doubt it.
    executed: [Option<usize>; RUNS],
    /// Runs and fire times that somebody executed, or that were recorded, at whatever time.
    known: [bool; RUNS],
    /// The fence under which a run was restored to a node that told it late, if it was.
    late: [u8; RUNS],
    /// Who missed a grace, and has not asked since what it holds.
    missed: [bool; NODES],
    breaches: [bool; 3],
}

const AGAIN: usize = 0;
const NOT_RISING: usize = 1;
const LOST: usize = 2;

/// A moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    store: Store,
    replica: Store,
    nodes: [Node; NODES],
    past: Past,
    failovers: u8,
    crashes: u8,
    unknowns: u8,
    retries: u8,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next fire time is settled.
    Dispatch,
    /// A node claims what waits first, and hears of it.
    Claim(usize),
    /// The same, and its answer is lost.
    ClaimUnheard(usize),
    /// A node asks what it holds.
    Resync(usize),
    /// A node hands in a run that is over.
    End(usize, usize),
    /// A node hands in a run that is to be tried again.
    Again(usize, usize),
    /// The replica has all that was written.
    Replicate,
    /// The replica takes over, and is attached.
    FailOver,
    /// A node tells what it knows.
    Reconcile(usize),
    /// The grace is over.
    GraceEnds,
    /// A node dies.
    Crash(usize),
    /// What a dead node holds is settled.
    Drain(usize),
}

impl Model for Rollback {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let store = Store {
            generation: 1,
            is_ready: true,
            due: 1,
            has_told: [true; NODES],
            took_part: [1; NODES],
            ..Store::default()
        };
        let node = Node {
            generation: 1,
            ..Node::default()
        };
        vec![State {
            replica: store.clone(),
            store,
            nodes: [node.clone(), node],
            past: Past::default(),
            failovers: self.failovers,
            crashes: self.crashes,
            unknowns: self.unknowns,
            retries: self.retries,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let store = &state.store;
        if self.is_ready(store) && usize::from(store.due) <= FIRES {
            actions.push(Action::Dispatch);
        }
        if state.failovers > 0 {
            actions.push(Action::FailOver);
            if state.replica != *store {
                actions.push(Action::Replicate);
            }
        }
        if !store.is_ready {
            actions.push(Action::GraceEnds);
        }
        for (at, node) in state.nodes.iter().enumerate() {
            let holds = store.claims[at].iter().any(Option::is_some);
            if node.is_dead {
                if holds && self.is_ready(store) {
                    actions.push(Action::Drain(at));
                }
                continue;
            }
            if state.crashes > 0 {
                actions.push(Action::Crash(at));
            }
            if !self.takes_part(state, at) {
                if !store.is_ready || self.late {
                    actions.push(Action::Reconcile(at));
                }
                continue;
            }
            if self.is_ready(store) && !store.ready.is_empty() {
                actions.push(Action::Claim(at));
                if state.unknowns > 0 {
                    actions.push(Action::ClaimUnheard(at));
                }
            }
            if store.claims[at] != node.held {
                actions.push(Action::Resync(at));
            }
            for run in 0..RUNS {
                if node.held[run].is_some() {
                    actions.push(Action::End(at, run));
                    if state.retries > 0 {
                        actions.push(Action::Again(at, run));
                    }
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Dispatch => self.dispatch(&mut state),
            Action::Claim(at) => {
                let (run, claim) = claim(&mut state.store, at);
                begin(&mut state, at, run, claim);
            }
            Action::ClaimUnheard(at) => {
                state.unknowns -= 1;
                claim(&mut state.store, at);
            }
            Action::Resync(at) => {
                resync(&mut state, at);
                state.past.missed[at] = false;
            }
            Action::End(at, run) => self.hand_in(&mut state, at, run, true),
            Action::Again(at, run) => {
                state.retries -= 1;
                self.hand_in(&mut state, at, run, false);
            }
            Action::Replicate => state.replica = state.store.clone(),
            Action::FailOver => {
                // Who has missed this generation comes late to the next.
                for at in 0..NODES {
                    if state.nodes[at].generation != state.store.generation {
                        doubt(&mut state.past, at);
                    }
                }
                self.fail_over(&mut state);
            }
            Action::Reconcile(at) => self.reconcile(&mut state, at),
            Action::GraceEnds => {
                state.store.is_ready = true;
                // What they know comes late.
                for at in 0..NODES {
                    if state.nodes[at].generation != state.store.generation {
                        doubt(&mut state.past, at);
                        state.past.missed[at] = true;
                    }
                }
            }
            Action::Crash(at) => {
                state.crashes -= 1;
                state.nodes[at] = Node {
                    is_dead: true,
                    ..Node::default()
                };
                doubt(&mut state.past, at);
            }
            Action::Drain(at) => self.drain(&mut state.store, at),
        }
        note_lost(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one owner among those who have told", |_, state: &State| {
                (0..RUNS).all(|run| {
                    let holds = |at: &usize| {
                        let node = &state.nodes[*at];
                        node.generation == state.store.generation
                            && node.held[run].is_some()
                            && !state.past.missed[*at]
                    };
                    (0..NODES).filter(holds).count() <= 1
                })
            }),
            Property::always(
                "executed again only where its node was lost, or late",
                |_, s: &State| !s.past.breaches[AGAIN],
            ),
            Property::always("fences rise", |_, s: &State| !s.past.breaches[NOT_RISING]),
            Property::always("no silent loss", |_, s: &State| !s.past.breaches[LOST]),
        ]
    }
}

impl Rollback {
    /// Small worlds that are searched in the tests.
    #[must_use]
    pub const fn small() -> [Self; 5] {
        let nothing = Self {
            without: None,
            failovers: 1,
            crashes: 0,
            unknowns: 0,
            retries: 0,
            late: false,
        };
        [
            Self {
                retries: 1,
                unknowns: 1,
                ..nothing
            },
            Self {
                crashes: 1,
                retries: 1,
                late: true,
                ..nothing
            },
            Self {
                failovers: 2,
                retries: 1,
                ..nothing
            },
            Self {
                failovers: 2,
                unknowns: 1,
                ..nothing
            },
            Self {
                failovers: 2,
                crashes: 1,
                late: true,
                ..nothing
            },
        ]
    }

    fn on(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    fn is_ready(&self, store: &Store) -> bool {
        store.is_ready || !self.on(Guard::Grace)
    }

    fn takes_part(&self, state: &State, at: usize) -> bool {
        state.nodes[at].generation == state.store.generation || !self.on(Guard::Behind)
    }

    fn dispatch(&self, state: &mut State) {
        let store = &mut state.store;
        if store.fired >= store.due && self.on(Guard::Fired) {
            store.due = store.fired + 1;
            return;
        }
        let fire = usize::from(store.due);
        if store.busy.contains(&true) {
            store.recorded[fire] = true;
            state.past.known[fire] = true;
        } else {
            store.busy[fire] = true;
            store.ready.push((store.due, 1));
        }
        store.fired = store.due;
        store.due += 1;
    }

    fn hand_in(&self, state: &mut State, at: usize, run: usize, is_over: bool) {
        let node = &mut state.nodes[at];
        let Some(claim) = node.held[run].take() else {
            return;
        };
        let store = &mut state.store;
        if store.claims[at][run] != Some(claim) {
            return;
        }
        store.claims[at][run] = None;
        if is_over {
            store.busy[run] = false;
            store.recorded[run] = true;
            if state.past.late[run] != claim.0 {
                state.past.executed[run] = Some(at);
            }
        } else {
            store.ready.push((number(run), claim.1 + 1));
        }
        if self.on(Guard::Recall) {
            node.recall[run] = Some((claim, is_over));
        }
    }

    fn fail_over(&self, state: &mut State) {
        state.failovers -= 1;
        let mut store = state.replica.clone();
        // Another than any before, also than those of which this store never heard.
        store.generation = 1 + self.failovers - state.failovers;
        store.lost_after.push((store.generation, store.seq));
        if self.on(Guard::Leap) {
            // By the clock, as the generation's number: one that was lost gave out no number of these.
            store.seq = LEAP * (store.generation - 1);
        }
        store.is_ready = false;
        store.has_told = [false; NODES];
        state.store = store;
    }

    fn reconcile(&self, state: &mut State, at: usize) {
        let known = state.nodes[at].generation;
        let is_late = state.store.is_ready;
        let named: Vec<_> = (0..RUNS)
            .filter_map(|run| {
                let held = state.nodes[at].held[run].map(|claim| (claim, None));
                let recalled = state.nodes[at].recall[run];
                let recalled = recalled.map(|(claim, is_over)| (claim, Some(is_over)));
                Some((run, held.max(recalled)?))
            })
            .collect();
        for (run, (claim, handed_in)) in named {
            let is_held = self.restore(&mut state.store, at, run, claim, known);
            state.nodes[at].held[run] = None;
            match (is_held, handed_in) {
                (false, _) => {}
                (true, None) => {
                    state.nodes[at].held[run] = Some(claim);
                    if is_late {
                        state.past.late[run] = claim.0;
                    }
                }
                (true, Some(is_over)) => {
                    // It hands it in again at once: nobody else may do anything with it meanwhile.
                    state.nodes[at].held[run] = Some(claim);
                    let executed = state.past.executed[run];
                    self.hand_in(state, at, run, is_over);
                    // It was executed then, not now: where that was in doubt, it still is.
                    state.past.executed[run] = executed;
                }
            }
        }
        let store = &mut state.store;
        for run in 0..RUNS {
            let mine = store.claims[at][run].map(|claim| claim.0);
            let Some(mine) = mine else { continue };
            match store.told[run] {
                Some((told, _)) if told > mine && self.on(Guard::Told) => {
                    store.claims[at][run] = None;
                }
                _ => store.told[run] = Some((mine, at)),
            }
        }
        store.has_told[at] = true;
        store.took_part[at] = store.generation;
        state.nodes[at].generation = store.generation;
        if store.has_told == [true; NODES] {
            store.is_ready = true;
        }
    }

    /// Whether the session holds this claim from now on.
    fn restore(&self, store: &mut Store, at: usize, run: usize, claim: Claim, known: u8) -> bool {
        // That it took part may be lost, too.
        let kept = known.min(store.took_part[at]);
        let began_since = store.lost_after.iter().find(|(began, _)| *began > kept);
        let lost_after = began_since.map_or(u8::MAX, |(_, number)| *number);
        let told = store.told[run].filter(|_| self.on(Guard::Told));
        let waits = store.ready.iter().position(|(r, _)| *r == number(run));
        // Runs may have been claimed in a generation that it missed: where numbers were given out in it, and the
        // claim is from before.
        let has_missed = store.lost_after.windows(2).any(|pair| {
            let (began, ended_at) = (pair[0].0, pair[1].1);
            let from = LEAP * (began - 1);
            began > kept && ended_at > from && claim.0 <= from
        });
        let has_missed = has_missed && self.on(Guard::Missed);
        let is_late = store.is_ready || has_missed;
        let is_fired = usize::from(store.fired) >= run;
        let place = match waits {
            Some(_) => Place::Waits,
            None if store.busy[run] => Place::Claimed,
            None if told.is_some() || (is_late && is_fired) => Place::Settled,
            None => Place::Nowhere,
        };
        let held = store.claims[at][run];
        let found = Found {
            held: held.map(|(fence, _)| Fence(fence.into())),
            told: told.map(|(fence, _)| Fence(fence.into())),
            lost_after: if self.on(Guard::LostAfter) {
                lost_after.into()
            } else {
                0
            },
            place,
            is_late,
        };
        match fate(Fence(claim.0.into()), &found) {
            Fate::Over => {
                // An earlier claim of its own on a run that is over goes, too.
                if held == Some(claim) || (held < Some(claim) && place == Place::Settled) {
                    store.claims[at][run] = None;
                }
                false
            }
            Fate::Held => {
                store.told[run] = Some((claim.0, at));
                true
            }
            Fate::Restored => {
                if let Some((_, other)) = told {
                    store.claims[other][run] = None;
                }
                if let Some(waits) = waits.filter(|_| self.on(Guard::NoLongerWaits)) {
                    store.ready.remove(waits);
                }
                store.busy[run] = true;
                store.fired = store.fired.max(number(run));
                store.claims[at][run] = Some(claim);
                store.told[run] = Some((claim.0, at));
                true
            }
        }
    }

    fn drain(&self, store: &mut Store, at: usize) {
        for run in 0..RUNS {
            let Some((fence, attempt)) = store.claims[at][run].take() else {
                continue;
            };
            let is_overtaken = store.told[run].is_some_and(|(told, _)| told > fence);
            if !is_overtaken || !self.on(Guard::DrainLooks) {
                store.ready.push((number(run), attempt + 1));
            }
        }
    }
}

fn number(run: usize) -> u8 {
    u8::try_from(run).unwrap_or(u8::MAX)
}

fn claim(store: &mut Store, at: usize) -> (usize, Claim) {
    let (run, attempt) = store.ready.remove(0);
    store.seq += 1;
    let claim = (store.seq, attempt);
    store.claims[at][usize::from(run)] = Some(claim);
    (run.into(), claim)
}

fn begin(state: &mut State, at: usize, run: usize, claim: Claim) {
    let past = &mut state.past;
    if past.executed[run].is_some() {
        past.breaches[AGAIN] = true;
    }
    if claim.0 <= past.begun[run] {
        past.breaches[NOT_RISING] = true;
    }
    past.begun[run] = past.begun[run].max(claim.0);
    past.known[run] = true;
    state.nodes[at].held[run] = Some(claim);
}

/// It begins what it did not know of, and lets go of what it no longer has.
fn resync(state: &mut State, at: usize) {
    let stored = state.store.claims[at];
    for (run, stored) in stored.into_iter().enumerate() {
        let held = &mut state.nodes[at].held[run];
        if *held == stored {
            continue;
        }
        *held = None;
        if let Some(claim) = stored {
            begin(state, at, run, claim);
        }
    }
}

/// What this node has executed, nobody can be sure of any more.
fn doubt(past: &mut Past, at: usize) {
    for executed in &mut past.executed {
        if *executed == Some(at) {
            *executed = None;
        }
    }
}

/// A run in flight that is nowhere, or a fire time that is settled and that nobody has ever known of.
fn note_lost(state: &mut State) {
    let store = &state.store;
    for run in 1..RUNS {
        let places = store
            .ready
            .iter()
            .filter(|(r, _)| usize::from(*r) == run)
            .count()
            + store
                .claims
                .iter()
                .filter(|claims| claims[run].is_some())
                .count();
        let is_settled = usize::from(store.due) > run && usize::from(store.fired) >= run;
        if (store.busy[run] && places == 0)
            || (is_settled && !store.busy[run] && !store.recorded[run] && !state.past.known[run])
        {
            state.past.breaches[LOST] = true;
        }
    }
}
