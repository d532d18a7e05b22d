//! The steps of the world, as the checker takes them.

use stateright::{Model, Property};

use super::action::{Action, Fate};
use super::change::{Wish, decide};
use super::checks::{Check, Checks};
use super::node::{Held, Node, Phase, Planned};
use super::plan::{Policy, move_past, plan};
use super::promises;
use super::scope::Scope;
use super::state::{Past, Run, State};
use super::store::{
    Answer, Dispatch, Dispatched, Item, Job, Life, Promote, Request, Script, SessionId, Store,
    Verdict, item,
};

/// The protocol, within a scope, with these checks.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How large a world.
    pub scope: Scope,
    /// Which checks are made.
    pub checks: Checks,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.beginning()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.world_actions(state, actions);
        for node in 0..self.scope.nodes {
            self.leading_actions(state, node, actions);
            self.working_actions(state, node, actions);
        }
        self.sweeping_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut step = Step {
            state: last.clone(),
            checks: self.checks,
        };
        step.take(action);
        step.state.note_owed();
        step.state.forget_what_is_over(self.checks);
        Some(step.state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}

impl Protocol {
    /// All checks within this scope.
    #[must_use]
    pub const fn within(scope: Scope) -> Self {
        let checks = Checks::all();
        Self { scope, checks }
    }

    /// The same with these checks switched off.
    #[must_use]
    pub fn without(self, off: &[Check]) -> Self {
        let checks = Checks::without(off);
        Self { checks, ..self }
    }

    fn beginning(&self) -> State {
        let Scope { nodes, jobs, .. } = self.scope;
        let mut past = Past::of(jobs);
        let mut store = Store {
            now: 0,
            ticks: self.scope.ticks,
            seq: 0,
            definitions: 0,
            lease: None,
            jobs: Vec::new(),
            ready: Vec::new(),
            retry: Vec::new(),
            sessions: Vec::new(),
            replies: Vec::new(),
        };
        for _ in 0..jobs {
            store.seq += 1;
            store.definitions += 1;
            let due = (self.scope.ticks > 0).then_some(1);
            store.jobs.push(Job {
                version: store.seq,
                definition: store.definitions,
                rule: 1,
                due,
                ..Job::default()
            });
        }
        past.highest = store.seq;
        for node in 0..nodes {
            store.register(SessionId {
                node,
                registration: 0,
            });
        }
        let mut left = self.scope;
        let mut script = Script {
            store: &mut store,
            past: &mut past,
            left: &mut left,
            checks: self.checks,
        };
        for number in 0..self.scope.waiting {
            let job = number % jobs;
            script.make(Run { job, number: 0 });
        }
        State {
            store,
            nodes: (0..nodes).map(Node::new).collect(),
            late: Vec::new(),
            past,
            left,
        }
    }

    fn world_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        // Once past the last fire time nothing more comes to be due.
        if state.store.now < self.scope.ticks {
            actions.push(Action::Tick);
        }
        if left.steps_back > 0 && state.store.now > 0 {
            actions.push(Action::StepBack);
        }
        if state.store.lease.is_some() && left.terms > 0 {
            actions.push(Action::LeaseEnds);
        }
        actions.extend((0..state.late.len()).map(Action::Late));
        for job in 0..self.scope.jobs {
            if left.changes > 0 {
                for wish in Wish::CHANGES {
                    both(left, actions, |fate| Action::Change(job, wish, fate));
                }
            }
            if left.wishes > 0 {
                both(left, actions, |fate| Action::Change(job, Wish::Run, fate));
            }
        }
    }

    fn leading_actions(&self, state: &State, at: u8, actions: &mut Vec<Action>) {
        let node = &state.nodes[usize::from(at)];
        if node.is_out {
            return;
        }
        let Some(token) = node.token else {
            let lease = state.store.lease;
            let own = lease.is_some_and(|token| token.session == node.session);
            if own || (lease.is_none() && state.left.terms > 0) {
                both(&state.left, actions, |fate| Action::Acquire(at, fate));
            }
            return;
        };
        actions.push(Action::Peek(at));
        let Some(planned) = &node.planned else { return };
        debug_assert_eq!(token.session, node.session);
        if !planned.items.is_empty() {
            both(&state.left, actions, |fate| Action::Dispatch(at, fate));
        }
        if !planned.retries.is_empty() {
            both(&state.left, actions, |fate| Action::Promote(at, fate));
        }
    }

    fn working_actions(&self, state: &State, at: u8, actions: &mut Vec<Action>) {
        let node = &state.nodes[usize::from(at)];
        let left = &state.left;
        if self.scope.effects {
            let handlers = node.held.len() + node.zombies.len();
            actions.extend((0..handlers).map(|handler| Action::Effect(at, handler)));
            let zombies = node.held.len()..handlers;
            actions.extend(zombies.map(|zombie| Action::End(at, zombie, Verdict::End)));
        }
        if left.crashes > 0 && !node.is_out {
            actions.push(Action::Crash(at));
        }
        if node.is_out {
            if left.registrations > 0 {
                actions.push(Action::Register(at));
            }
            return;
        }
        if self.scope.slots == 0 {
            return;
        }
        let next = node.next_exchange(self.scope.slots);
        let claims = next.wish > 0 && !state.store.ready.is_empty();
        let is_gone = !state.store.is_live(node.session);
        if node.under_way.is_some() || !next.settled.is_empty() || claims || is_gone {
            both(left, actions, |fate| Action::Exchange(at, fate));
        }
        if node.under_way.is_none() && self.checks.on(Check::Count) && counts_differ(state, node) {
            actions.push(Action::Resync(at));
        }
        for (index, held) in node.held.iter().enumerate() {
            match held.phase {
                Phase::Claimed => {
                    if self.scope.effects {
                        actions.push(Action::Begin(at, index));
                    } else {
                        // Nothing looks at it while it runs.
                        self.ends(left, at, index, actions);
                    }
                    if left.returns > 0 {
                        actions.push(Action::End(at, index, Verdict::GiveBack));
                    }
                }
                Phase::Running => self.ends(left, at, index, actions),
                Phase::Over(_) => {}
            }
        }
    }

    fn ends(&self, left: &Scope, at: u8, index: usize, actions: &mut Vec<Action>) {
        actions.push(Action::End(at, index, Verdict::End));
        if left.retries > 0 {
            actions.push(Action::End(at, index, Verdict::Later));
        }
    }

    fn sweeping_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        for (index, session) in state.store.sessions.iter().enumerate() {
            let is_live = session.life == Life::Live;
            if is_live && left.fencings > 0 {
                actions.push(Action::Fence(index));
            }
            let is_drained = !is_live || !self.checks.on(Check::FenceFirst);
            let holds = !session.claims.is_empty();
            if left.drains > 0 && holds && is_drained && session.life != Life::Forgotten {
                // A chunk, or all.
                let all = session.claims.len();
                actions.push(Action::Drain(index, all));
                if all > 1 {
                    actions.push(Action::Drain(index, 1));
                }
            }
        }
    }
}

/// An action with each fate that is left.
fn both(left: &Scope, actions: &mut Vec<Action>, action: impl Fn(Fate) -> Action) {
    actions.push(action(Fate::Answered));
    if left.unknowns > 0 {
        actions.push(action(Fate::Unknown));
    }
}

/// Whether a heartbeat tells the node that it holds other claims than it believes.
pub(super) fn counts_differ(state: &State, node: &Node) -> bool {
    let stored = state.store.session(node.session);
    stored.is_none_or(|session| session.claims.len() != node.held.len())
}

/// One step, under way.
struct Step {
    state: State,
    checks: Checks,
}

impl Step {
    fn script(&mut self) -> Script<'_> {
        Script {
            store: &mut self.state.store,
            past: &mut self.state.past,
            left: &mut self.state.left,
            checks: self.checks,
        }
    }

    fn node(&mut self, at: u8) -> &mut Node {
        &mut self.state.nodes[usize::from(at)]
    }

    /// Sends a request whose answer never comes.
    fn lose(&mut self, request: Request) {
        self.state.left.unknowns -= 1;
        self.state.send_late(request);
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Tick => self.state.store.now += 1,
            Action::StepBack => {
                self.state.left.steps_back -= 1;
                self.state.store.now -= 1;
                self.state.unnote_owed();
            }
            Action::LeaseEnds => self.state.store.lease = None,
            Action::Late(at) => {
                let request = self.state.late.remove(at);
                self.script().run_late(&request);
            }
            Action::Acquire(at, fate) => self.acquire(at, fate),
            Action::Peek(at) => self.peek(at),
            Action::Dispatch(at, fate) => self.dispatch(at, fate),
            Action::Promote(at, fate) => self.promote(at, fate),
            Action::Exchange(at, fate) => self.exchange(at, fate),
            Action::Resync(at) => self.resync(at),
            Action::Begin(at, index) => self.begin(at, index),
            Action::End(at, index, verdict) => self.end(at, index, verdict),
            Action::Effect(at, index) => self.effect(at, index),
            Action::Crash(at) => {
                self.state.left.crashes -= 1;
                self.node(at).crash();
            }
            Action::Register(at) => {
                self.state.left.registrations -= 1;
                let session = self.node(at).register();
                self.state.store.register(session);
            }
            Action::Fence(index) => {
                let session = self.state.store.sessions[index].id;
                self.state.left.fencings -= 1;
                self.script().fence(session);
            }
            Action::Drain(index, chunk) => {
                let session = &self.state.store.sessions[index];
                let drain = Request::Drain(session.id, session.claims[..chunk].to_vec());
                self.state.left.drains -= 1;
                self.state.send_late(drain);
            }
            Action::Change(job, wish, fate) => self.change(job, wish, fate),
        }
    }

    fn acquire(&mut self, at: u8, fate: Fate) {
        let session = self.node(at).session;
        if fate == Fate::Unknown {
            return self.lose(Request::Acquire(session));
        }
        let token = self.script().acquire(session);
        self.node(at).token = token;
    }

    fn peek(&mut self, at: u8) {
        let State {
            store, left, nodes, ..
        } = &mut self.state;
        let node = &mut nodes[usize::from(at)];
        if store.lease != node.token {
            node.token = None;
            node.planned = None;
            return;
        }
        let policy = Policy {
            last: store.ticks,
            max_instances: left.max_instances,
            grace: left.grace,
        };
        let due = (0..).zip(&store.jobs).filter_map(|(job, stored)| {
            let due = stored.due.filter(|due| *due <= store.now)?;
            let plan = plan(stored.rule(), due, store.now, stored.in_flight(), policy);
            Some(item(job, stored, due, plan))
        });
        node.planned = Some(Planned {
            at: store.now,
            items: due.collect(),
            retries: store.retry.clone(),
        });
    }

    fn dispatch(&mut self, at: u8, fate: Fate) {
        let node = self.node(at);
        let (Some(token), Some(planned)) = (node.token, &mut node.planned) else {
            return;
        };
        let request = Dispatch {
            token,
            planned_at: planned.at,
            items: std::mem::take(&mut planned.items),
        };
        if fate == Fate::Unknown {
            return self.lose(Request::Dispatch(request));
        }
        match self.script().dispatch(&request) {
            Dispatched::Done(settled_before) => {
                let last = self.state.store.ticks;
                let again: Vec<Item> = settled_before
                    .iter()
                    .filter_map(|(job, fired)| {
                        let item = request.items.iter().find(|item| item.job == *job)?;
                        let rule = self.state.store.job(*job).rule();
                        let plan = move_past(rule, (*fired).max(item.due), last);
                        Some(Item { plan, ..*item })
                    })
                    .collect();
                if let Some(planned) = &mut self.node(at).planned {
                    planned.items = again;
                }
            }
            Dispatched::Stale => {}
            Dispatched::Lost => {
                let node = self.node(at);
                node.token = None;
                node.planned = None;
            }
        }
    }

    fn promote(&mut self, at: u8, fate: Fate) {
        let node = self.node(at);
        let (Some(token), Some(planned)) = (node.token, &mut node.planned) else {
            return;
        };
        let request = Promote {
            token,
            waiting: std::mem::take(&mut planned.retries),
        };
        if fate == Fate::Unknown {
            return self.lose(Request::Promote(request));
        }
        if !self.script().promote(&request) {
            let node = self.node(at);
            node.token = None;
            node.planned = None;
        }
    }

    fn exchange(&mut self, at: u8, fate: Fate) {
        let slots = self.state.left.slots;
        let request = self.node(at).next_exchange(slots);
        if fate == Fate::Unknown {
            self.node(at).under_way = Some(request.clone());
            return self.lose(Request::Exchange(request));
        }
        let answer = self.script().exchange(&request);
        let keeps_zombies = self.state.left.effects;
        if !self.node(at).exchanged(&request, answer) {
            self.node(at).lose_session(keeps_zombies);
        }
    }

    fn resync(&mut self, at: u8) {
        let Node {
            session, number, ..
        } = *self.node(at);
        let number = number + 1;
        let keeps_zombies = self.state.left.effects;
        match self.script().resync(session, number) {
            Ok(claims) => self.node(at).resynced(number, claims, keeps_zombies),
            Err(Answer::Gone) => self.node(at).lose_session(keeps_zombies),
            Err(_) => self.node(at).number = number,
        }
    }

    fn begin(&mut self, at: u8, index: usize) {
        let held = &mut self.node(at).held[index];
        held.phase = Phase::Running;
        let claim = held.claim;
        let past = &mut self.state.past;
        past.begin(claim.run, claim.attempt, claim.version);
    }

    fn end(&mut self, at: u8, index: usize, verdict: Verdict) {
        match verdict {
            Verdict::GiveBack => self.state.left.returns -= 1,
            Verdict::Later => self.state.left.retries -= 1,
            Verdict::End | Verdict::Again => {}
        }
        if verdict != Verdict::GiveBack {
            let held = self.node(at).held.get(index);
            if held.is_some_and(|held| held.phase == Phase::Claimed) {
                self.begin(at, index);
            }
        }
        let hands_in_all = !self.checks.on(Check::Held);
        let node = self.node(at);
        if let Some(held) = node.held.get_mut(index) {
            held.phase = Phase::Over(verdict);
        } else {
            let claim = node.zombies.remove(index - node.held.len());
            if hands_in_all && !node.is_out {
                let phase = Phase::Over(verdict);
                node.held.push(Held { claim, phase });
            }
        }
        node.held.sort_unstable();
    }

    fn effect(&mut self, at: u8, index: usize) {
        let node = self.node(at);
        let claim = match node.held.get(index) {
            Some(Held {
                claim,
                phase: Phase::Running,
            }) => *claim,
            Some(_) => return,
            None => node.zombies[index - node.held.len()],
        };
        let past = &mut self.state.past;
        past.effect(claim.run, claim.told, claim.attempt);
    }

    fn change(&mut self, job: u8, wish: Wish, fate: Fate) {
        let left = &mut self.state.left;
        let request = left.changes + left.wishes;
        let Some(change) = decide(&self.state, job, wish, request, self.checks) else {
            return;
        };
        let left = &mut self.state.left;
        match wish {
            Wish::Run => left.wishes -= 1,
            Wish::Put(_) | Wish::Pause | Wish::Resume | Wish::Remove => left.changes -= 1,
        }
        self.state.send_late(Request::Change(change));
        if fate == Fate::Unknown {
            self.lose(Request::Change(change));
        }
    }
}
