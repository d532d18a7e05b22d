//! One node: what it knows, asks next, and makes of answers. The rules are those of `carillon`'s loops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::history::{Record, RunRecord};
use scheduler_core::lease::{LeaseToken, LeaseWatch, Standby, Steal, TakeoverRule};
use scheduler_core::plan::{move_past, plan};
use scheduler_core::run::{Claim, Ending, Outcome, Verdict, settle};
use scheduler_core::session::{SessionSample, SessionWatch, trusted_until};
use scheduler_core::store::{
    Acquire, AcquireAnswer, ClaimWish, Dispatch, DispatchAnswer, DispatchItem, Drain, Exchange,
    ExchangeAnswer, FenceSession, Heartbeat, HeartbeatAnswer, Peek, PeekAnswer, Peeked, Promote,
    Refusal, Resync, ResyncAnswer, Settled,
};
use scheduler_core::{Fence, Generation, Job, JobId, QueueName, SessionId};

use super::wire::{Answer, Loop, Request};

pub(super) const SESSION_TTL: Duration = Duration::from_secs(3);
const LEASE_TTL: Duration = Duration::from_secs(5);
const SLOTS: usize = 4;
/// How many standbys look often, and may take the lease early.
const CLOSE_RANKS: usize = 2;

/// All jobs of a simulation; they never change.
pub(super) type Definitions = BTreeMap<JobId, Arc<Job>>;

/// What a node does with a claim.
#[derive(Clone, Debug)]
enum Held {
    Running(Claim),
    Over(Box<Settled>),
}

impl Held {
    const fn claim(&self) -> &Claim {
        match self {
            Self::Running(claim) => claim,
            Self::Over(settled) => &settled.claim,
        }
    }
}

/// Where a node stands.
#[derive(Debug)]
enum Standing {
    Standby,
    Leader(LeaseToken),
}

/// What became of handlers, for the world to follow.
#[derive(Debug)]
pub(super) enum Effect {
    Begun(Claim),
    Stopped(Claim),
    /// The session is over, and all of this with it.
    Gone,
    Led,
    Fenced,
}

/// A node with a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    trusted_until: Duration,
    is_stopped: bool,
    beat: u64,
    contradictions: u32,
    standing: Standing,
    rank: Option<usize>,
    lease_watch: LeaseWatch,
    stands_back_until: Duration,
    /// What the leader or the sweeper asks next, before it looks again.
    to_lead: Vec<Request>,
    to_sweep: Vec<Request>,
    session_watch: SessionWatch,
    under_way: Option<Exchange>,
    number: u64,
    wants_resync: bool,
    held: BTreeMap<Fence, Held>,
}

impl Session {
    /// A session that was asked for at `sent`.
    pub(super) fn new(id: SessionId, sent: Duration) -> Self {
        Self {
            id,
            trusted_until: trusted_until(sent, SESSION_TTL),
            is_stopped: false,
            beat: 0,
            contradictions: 0,
            standing: Standing::Standby,
            rank: None,
            lease_watch: LeaseWatch::new(TakeoverRule::default()),
            stands_back_until: Duration::ZERO,
            to_lead: Vec::new(),
            to_sweep: Vec::new(),
            session_watch: SessionWatch::new(),
            under_way: None,
            number: 0,
            wants_resync: false,
            held: BTreeMap::new(),
        }
    }

    fn is_trusted(&self, now: Duration) -> bool {
        !self.is_stopped && now < self.trusted_until
    }

    /// The watchdog: stops the handlers when trust has ended.
    pub(super) fn watch(&mut self, now: Duration, jobs: &Definitions) -> Vec<Effect> {
        if self.is_stopped || now < self.trusted_until {
            return Vec::new();
        }
        self.is_stopped = true;
        self.stop_all(&Ending::TrustLost, jobs)
    }

    fn stop_all(&mut self, ending: &Ending, jobs: &Definitions) -> Vec<Effect> {
        let mut effects = Vec::new();
        for held in self.held.values_mut() {
            if let Held::Running(claim) = held {
                let claim = claim.clone();
                *held = Held::Over(Box::new(settled(&claim, ending, jobs)));
                effects.push(Effect::Stopped(claim));
            }
        }
        effects
    }

    /// A handler ended by itself, if it runs still.
    pub(super) fn ended(
        &mut self,
        fence: Fence,
        ending: &Ending,
        jobs: &Definitions,
    ) -> Vec<Effect> {
        let Some(held @ Held::Running(_)) = self.held.get_mut(&fence) else {
            return Vec::new();
        };
        let claim = held.claim().clone();
        *held = Held::Over(Box::new(settled(&claim, ending, jobs)));
        vec![Effect::Stopped(claim)]
    }

    /// What a loop asks next, if anything.
    pub(super) fn next(&mut self, of: Loop, now: Duration) -> Option<Request> {
        match of {
            Loop::Heart => {
                self.beat += 1;
                Some(Request::Heartbeat(Heartbeat {
                    generation: Generation(1),
                    session: self.id.clone(),
                    beat: self.beat,
                    ttl: SESSION_TTL,
                    running: self.held.len(),
                }))
            }
            Loop::Lead => Some(self.to_lead.pop().unwrap_or_else(|| self.look())),
            Loop::Work => self.next_work(now),
            Loop::Sweep => self.to_sweep.pop().or_else(|| {
                let is_leader = matches!(self.standing, Standing::Leader(_));
                let is_close = self.rank.is_some_and(|rank| rank < CLOSE_RANKS);
                (is_leader || is_close).then_some(Request::Sessions)
            }),
        }
    }

    fn look(&self) -> Request {
        match &self.standing {
            Standing::Standby => Request::Observe(self.id.clone()),
            Standing::Leader(token) => Request::Peek(Peek {
                token: token.clone(),
                ttl: LEASE_TTL,
                ahead: Duration::ZERO,
                limit: 100,
                queues: vec![QueueName::default_queue()],
            }),
        }
    }

    fn next_work(&mut self, now: Duration) -> Option<Request> {
        if let Some(request) = &self.under_way {
            return Some(Request::Exchange(request.clone()));
        }
        self.number += 1;
        if std::mem::take(&mut self.wants_resync) {
            return Some(Request::Resync(Resync {
                generation: Generation(1),
                session: self.id.clone(),
                lane: 0,
                request: self.number,
            }));
        }
        let over = self.held.values().filter_map(|held| match held {
            Held::Over(settled) => Some((**settled).clone()),
            Held::Running(_) => None,
        });
        let over: Vec<_> = over.collect();
        let free = SLOTS.saturating_sub(self.held.len() - over.len());
        let queues = [QueueName::default_queue()];
        let may_claim = free > 0 && self.is_trusted(now);
        let request = Exchange {
            generation: Generation(1),
            session: self.id.clone(),
            lane: 0,
            request: self.number,
            floor: 0,
            settled: over,
            wish: may_claim.then(|| ClaimWish::in_order(&queues, free)),
        };
        self.under_way = Some(request.clone());
        Some(Request::Exchange(request))
    }

    /// Takes in an answer to what was asked at `sent`.
    pub(super) fn answered(
        &mut self,
        request: &Request,
        answer: Answer,
        sent: Duration,
        now: Duration,
        jobs: &Definitions,
    ) -> Vec<Effect> {
        match (request, answer) {
            (_, Answer::Heartbeat(answer)) => return self.beaten(&answer, sent, jobs),
            (_, Answer::Observed(view)) => {
                let behind = usize::from(now < self.stands_back_until) * CLOSE_RANKS;
                self.rank = view.rank.map(|rank| rank + behind);
                let is_own = view.token.as_ref().is_some_and(|t| t.session == self.id);
                let steal = match self.lease_watch.sample(sent, now, &view) {
                    _ if is_own => Some(None),
                    Standby::Acquire => Some(None),
                    Standby::Steal(steal) => {
                        let is_close = self.rank.is_some_and(|rank| rank < CLOSE_RANKS);
                        is_close.then_some(Some(steal))
                    }
                    Standby::Wait => None,
                };
                self.to_lead.extend(steal.map(|steal| self.acquire(steal)));
            }
            (_, Answer::Acquired(AcquireAnswer::Acquired(token))) => {
                self.standing = Standing::Leader(token);
                return vec![Effect::Led];
            }
            (_, Answer::Acquired(AcquireAnswer::Gone)) => return self.gone(jobs),
            (_, Answer::Peeked(PeekAnswer::Peeked(peeked))) => self.plan(&peeked, jobs),
            (Request::Dispatch(dispatch), Answer::Dispatched(answer)) => match answer {
                DispatchAnswer::Dispatched { refused } => {
                    let past = refused.iter().filter_map(|refused| {
                        let Refusal::Fired(fired) = refused.why else {
                            return None;
                        };
                        let mut item = dispatch.items[refused.index].clone();
                        item.plan = move_past(&jobs[&item.job], fired.max(item.due));
                        Some(item)
                    });
                    let items: Vec<_> = past.collect();
                    if !items.is_empty() {
                        let again = Dispatch {
                            items,
                            ..dispatch.clone()
                        };
                        self.to_lead.push(Request::Dispatch(again));
                    }
                }
                DispatchAnswer::Stale => {}
                DispatchAnswer::LeaseLost => self.stand_back(now),
            },
            (_, Answer::Peeked(PeekAnswer::LeaseLost) | Answer::Leads(false)) => {
                self.stand_back(now);
            }
            (Request::Exchange(request), Answer::Exchanged(answer)) => {
                return self.exchanged(request, answer, now, jobs);
            }
            (_, Answer::Resynced(answer)) => return self.resynced(answer, now, jobs),
            (_, Answer::Sessions(sessions)) => self.sampled(&sessions, sent, now),
            (_, Answer::Fenced(scheduler_core::store::FenceAnswer::Fenced)) => {
                return vec![Effect::Fenced];
            }
            (_, Answer::DeadClaims(dead)) => {
                let drains = dead.into_iter().map(|(session, claims)| {
                    let lost = |claim: &Claim| settled(claim, &Ending::NodeLost, jobs);
                    let items = claims.iter().map(lost).collect();
                    Request::Drain(Drain { session, items })
                });
                self.to_sweep.extend(drains);
            }
            _ => {}
        }
        Vec::new()
    }

    fn beaten(
        &mut self,
        answer: &HeartbeatAnswer,
        sent: Duration,
        jobs: &Definitions,
    ) -> Vec<Effect> {
        let HeartbeatAnswer::Alive { claims, .. } = answer else {
            return self.gone(jobs);
        };
        self.trusted_until = self.trusted_until.max(trusted_until(sent, SESSION_TTL));
        self.is_stopped = false;
        let differs = self.under_way.is_none() && *claims != self.held.len();
        self.contradictions = if differs { self.contradictions + 1 } else { 0 };
        if self.contradictions >= 2 {
            self.contradictions = 0;
            self.wants_resync = true;
        }
        Vec::new()
    }

    fn acquire(&self, steal: Option<Steal>) -> Request {
        Request::Acquire(Acquire {
            session: self.id.clone(),
            ttl: LEASE_TTL,
            steal,
            floor: 0,
        })
    }

    fn stand_back(&mut self, now: Duration) {
        self.standing = Standing::Standby;
        self.to_lead.clear();
        self.stands_back_until = now + LEASE_TTL;
    }

    fn plan(&mut self, peeked: &Peeked, jobs: &Definitions) {
        let Standing::Leader(token) = &self.standing else {
            return;
        };
        let items = peeked.due.iter().map(|due| {
            let job = &jobs[&due.job];
            DispatchItem {
                job: due.job.clone(),
                due: due.due,
                version: due.version,
                queue: job.queue().clone(),
                priority: job.policy().priority,
                max_instances: job.policy().max_instances.get() as usize,
                max_lined_up: 0,
                note: None,
                plan: plan(job, due.due, peeked.now, due.in_flight),
            }
        });
        let items: Vec<_> = items.collect();
        self.to_lead.clear();
        if !peeked.retries.is_empty() {
            self.to_lead.push(Request::Promote(Promote {
                token: token.clone(),
                retries: peeked.retries.clone(),
            }));
        }
        if !items.is_empty() {
            self.to_lead.push(Request::Dispatch(Dispatch {
                token: token.clone(),
                planned_at: peeked.now,
                items,
            }));
        }
    }

    fn exchanged(
        &mut self,
        request: &Exchange,
        answer: ExchangeAnswer,
        now: Duration,
        jobs: &Definitions,
    ) -> Vec<Effect> {
        self.under_way = None;
        match answer {
            // The memory store loses nothing, so that nobody is ever behind it.
            ExchangeAnswer::Gone | ExchangeAnswer::Behind => self.gone(jobs),
            ExchangeAnswer::Superseded => {
                self.wants_resync = true;
                Vec::new()
            }
            ExchangeAnswer::Exchanged(exchanged) => {
                for settled in &request.settled {
                    self.held.remove(&settled.claim.fence);
                }
                self.begin(exchanged.claims, now, jobs)
            }
        }
    }

    fn resynced(&mut self, answer: ResyncAnswer, now: Duration, jobs: &Definitions) -> Vec<Effect> {
        let claims = match answer {
            ResyncAnswer::Gone | ResyncAnswer::Behind => return self.gone(jobs),
            ResyncAnswer::Superseded => {
                self.wants_resync = true;
                return Vec::new();
            }
            ResyncAnswer::Claims(claims) => claims,
        };
        let stored: BTreeSet<_> = claims.iter().map(|claim| claim.fence).collect();
        let mut effects = Vec::new();
        self.held.retain(|fence, held| {
            let stays = stored.contains(fence);
            if let (false, Held::Running(claim)) = (stays, &held) {
                effects.push(Effect::Stopped(claim.clone()));
            }
            stays
        });
        let held = &self.held;
        let unknown = claims
            .into_iter()
            .filter(|claim| !held.contains_key(&claim.fence));
        let unknown: Vec<_> = unknown.collect();
        effects.extend(self.begin(unknown, now, jobs));
        effects
    }

    /// Begins these, if the session may be trusted at this moment.
    fn begin(&mut self, claims: Vec<Claim>, now: Duration, jobs: &Definitions) -> Vec<Effect> {
        let mut effects = Vec::new();
        for claim in claims {
            let held = if self.is_trusted(now) {
                effects.push(Effect::Begun(claim.clone()));
                Held::Running(claim.clone())
            } else {
                Held::Over(Box::new(settled(&claim, &Ending::NotBegun, jobs)))
            };
            self.held.insert(claim.fence, held);
        }
        effects
    }

    fn sampled(&mut self, sessions: &[SessionSample], sent: Duration, now: Duration) {
        self.to_sweep.clear();
        self.to_sweep.push(Request::DeadClaims);
        for silent in self.session_watch.sample(sent, now, sessions) {
            if silent.session != self.id {
                let (session, beat) = (silent.session, silent.beat);
                self.to_sweep
                    .push(Request::Fence(FenceSession { session, beat }));
            }
        }
    }

    fn gone(&mut self, jobs: &Definitions) -> Vec<Effect> {
        let mut effects = self.stop_all(&Ending::TrustLost, jobs);
        effects.push(Effect::Gone);
        effects
    }

    /// Its process died: what ran runs no more.
    pub(super) fn died(&mut self, jobs: &Definitions) -> Vec<Effect> {
        self.stop_all(&Ending::NodeLost, jobs)
    }

    /// Forgets the request under way, and what it handed in.
    pub(super) fn give_up(&mut self) {
        for settled in self.under_way.take().into_iter().flat_map(|r| r.settled) {
            self.held.remove(&settled.claim.fence);
        }
    }

    /// Whether a loop has more to ask at once.
    pub(super) fn has_more(&self, of: Loop) -> bool {
        match of {
            Loop::Lead => !self.to_lead.is_empty(),
            Loop::Sweep => !self.to_sweep.is_empty(),
            Loop::Heart | Loop::Work => false,
        }
    }
}

fn settled(claim: &Claim, ending: &Ending, jobs: &Definitions) -> Settled {
    let job = &jobs[&claim.run.job];
    let verdict = settle(job.policy(), claim, ending, 0.5);
    let outcome = match verdict {
        Verdict::End(outcome) => outcome,
        _ => Outcome::Retrying,
    };
    let record = (!matches!(verdict, Verdict::GiveBack)).then(|| {
        Record::Run(RunRecord {
            run: claim.run.clone(),
            outcome,
            attempt: claim.attempt,
            fence: claim.fence,
            node: String::new(),
            task: Some(job.task().clone()),
            queue: claim.queue.clone(),
            started_at: None,
            ended_at: None,
            next_at: None,
            detail: None,
        })
    });
    Settled {
        claim: claim.clone(),
        verdict,
        record,
        definition: None,
    }
}
