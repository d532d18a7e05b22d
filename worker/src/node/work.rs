//! The work loop: hands in what ended and claims what is ready, in one request at a time.
//!
//! ```text
//!            +----------------------- exchange -----------------------+
//!            |   settled runs + "as many as I have free slots" ->     |
//!            |                              <- claims, stale runs     |
//!            +--------------------------------------------------------+
//!                ^                                             |
//!     gather up to 500                                   start handlers
//!                |                                             v
//!       ended runs (bounded channel)  <----------------  executor's tasks
//! ```
//!
//! One lane, one request under way: while it is, ended runs gather, and the next request takes them
//! all, with those that end right after they were begun. So batches grow by themselves with the load,
//! and a quiet node answers at once.
//!
//! A request whose answer is lost is sent again as it was, under its number, for as long as the
//! session lives: the store answers it as it did the first time. Nothing is handed in twice, and no
//! claim is left that nobody executes. Should the store and this node ever disagree about what the
//! session holds (the heart compares their counts), a resync asks for all of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::failover::Recall;
use scheduler_core::history::Record;
use scheduler_core::run::{Claim, Ending};
use scheduler_core::share::Shares;
use scheduler_core::store::{
    Cancelled, ClaimWish, Exchange, ExchangeAnswer, Exchanged, Resync, ResyncAnswer, Settled, Wake,
};
use scheduler_core::{Fence, Shard, StoreError, store::StoreErrorKind};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::boottime;
use crate::event::Event;
use crate::node::executor::{Executor, Order};
use crate::node::link::{Backoff, Link};
use crate::node::session::{Session, Stopped};
use crate::node::settling::{Span, Telling, settled};
use crate::node::shared::Shared;
use crate::node::waiter::{LONGEST_WAIT, Waiter};

/// How many runs one request hands in at most.
const BATCH: usize = 500;

/// The only lane: more of them would let requests overtake each other.
const LANE: u16 = 0;

/// How long after runs were begun it gathers at most what ends of them.
const GATHERING: Duration = Duration::from_millis(3);

/// How long it waits then for the next to end.
const QUIET: Duration = Duration::from_micros(100);

/// How often an idle node asks for runs although nothing woke it: what wakes nodes may be lost, and the
/// leader offers anew only what waits in queues that it knows.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long to wait at most before a request is sent again.
const MOST_PATIENT: Duration = Duration::from_millis(500);

/// How long a node that shuts down tries to hand in the last of what it has.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The work of one session.
pub(crate) struct Work<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) session: Arc<Session>,
    executor: Executor<S>,
    ready: Waiter<S>,
    /// Cancelled when no more runs are to be claimed.
    stopping: CancellationToken,
    /// What this session holds, as far as the node knows: executing, ended, or being handed in.
    pub(super) held: HashMap<Fence, Order>,
    ended: mpsc::Receiver<Settled>,
    /// Ended, and not yet taken in by the store.
    pub(super) to_settle: Vec<Settled>,
    /// Settled although they never ended: what still comes of them is nothing to hand in.
    given_up: HashSet<Fence>,
    /// The request whose answer is still missing.
    pub(super) under_way: Option<Exchange>,
    /// The number of the last request.
    request: u64,
    /// When runs were begun last, by [`boottime`].
    begun_at: Duration,
    /// Whether there may be something to claim.
    hungry: bool,
    shares: Shares,
    exchange_trouble: Trouble,
    resync_trouble: Trouble,
    /// Not before then to ask again what this session holds, by [`boottime`].
    resync_at: Duration,
    /// What was handed in lately, for a store that loses it.
    pub(super) recall: Recall,
}

/// Answers that make no sense, one after the other.
#[derive(Debug, Default)]
struct Trouble(Option<Backoff>);

impl Trouble {
    /// How long to pause after another one: longer each time. Told once.
    fn goes_on(&mut self, error: &StoreError) -> Duration {
        if self.0.is_none() && error.kind() == StoreErrorKind::Corrupt {
            tracing::error!(%error, "an answer makes no sense: asking what this session holds");
        }
        self.0.get_or_insert_with(Backoff::new).next()
    }

    fn is_over(&mut self) {
        self.0 = None;
    }
}

impl<S: Shard> Work<S> {
    pub(crate) fn new(
        shared: Arc<Shared<S>>,
        session: Arc<Session>,
        stopping: CancellationToken,
    ) -> Self {
        let (ended_sender, ended) = mpsc::channel(BATCH);
        let executor = Executor::new(
            Arc::clone(&shared),
            Arc::clone(&session),
            stopping.clone(),
            ended_sender,
        );
        let queues = shared.settings.info.queues.clone();
        let shares = shared.settings.shares.clone();
        Self {
            ready: Waiter::new(shared.link.clone(), Wake::Ready(queues)),
            shared,
            session,
            executor,
            stopping,
            held: HashMap::new(),
            ended,
            to_settle: Vec::new(),
            given_up: HashSet::new(),
            under_way: None,
            request: 0,
            begun_at: Duration::ZERO,
            hungry: true,
            shares,
            exchange_trouble: Trouble::default(),
            resync_trouble: Trouble::default(),
            resync_at: Duration::ZERO,
            recall: Recall::default(),
        }
    }

    /// Works until the node stops or the session is over, and then brings the work to an end.
    pub(crate) async fn run(mut self) {
        while !self.stopping.is_cancelled() {
            self.run_once().await;
        }
        let over = self.session.over().clone();
        over.run_until_cancelled(self.finish()).await;
        // Where the session is over, this is what ends its handlers.
        self.session.stop_handlers(Stopped::Interrupted);
        self.ended.close();
        let last_grace = self.shared.settings.timing.last_grace;
        let idle = self.executor.idle();
        if tokio::time::timeout(last_grace * 2, idle).await.is_err() {
            tracing::warn!("some handlers block their threads and cannot be stopped");
        }
        self.shared.slots.leaves(self.shared.number);
    }

    /// One request, or one wait for a reason to send one.
    async fn run_once(&mut self) {
        if self.session.must_reconcile() {
            let stopping = self.stopping.clone();
            stopping.run_until_cancelled(self.reconcile()).await;
        }
        if boottime() >= self.resync_at && self.session.take_resync_wanted() {
            self.resync().await;
        }
        self.cancel();
        self.gather_well().await;
        let wish = self.wish();
        if self.to_settle.is_empty() && wish.is_none() && !self.is_in_doubt() {
            self.wait().await;
        } else {
            // A request that is given up here goes on under way when the work is brought to an end.
            let stopping = self.stopping.clone();
            stopping.run_until_cancelled(self.exchange(wish)).await;
        }
    }

    /// How many runs are being executed, or have ended and not been gathered.
    fn executing(&self) -> usize {
        let under_way = self.under_way.as_ref().map_or(0, |r| r.settled.len());
        self.held.len() - self.to_settle.len() - under_way
    }

    /// How many more runs could be executed.
    fn free_slots(&self) -> usize {
        self.shared.slots.free(self.shared.number, self.executing())
    }

    fn can_claim(&self) -> bool {
        self.free_slots() > 0
            && !self.shared.settings.info.queues.is_empty()
            && !self.stopping.is_cancelled()
            && self.session.is_trusted()
    }

    /// What to claim now. A request that goes out anyway always asks for what there is room for.
    fn wish(&mut self) -> Option<ClaimWish> {
        let worth_asking = self.hungry || !self.to_settle.is_empty();
        if !worth_asking || !self.can_claim() {
            return None;
        }
        let (shard, executing) = (self.shared.number, self.executing());
        let slots = self.shared.slots.take(shard, executing, self.hungry);
        (slots > 0).then(|| self.shares.wish(slots))
    }

    /// Whether to ask if there still is a session, now and then while nobody hears of it: a node
    /// whose heart reaches nobody has no other way to learn that it was declared dead.
    fn is_in_doubt(&mut self) -> bool {
        !self.session.is_trusted() && std::mem::take(&mut self.hungry)
    }

    /// Stops the handlers of runs that somebody cancelled. What has ended meanwhile has ended.
    fn cancel(&self) {
        for Cancelled { run, reason } in self.session.take_cancelled() {
            let orders = self.held.values();
            for order in orders.filter(|order| order.claim.run == run) {
                order.cancelling.cancel(&reason);
            }
        }
    }

    /// Takes in what has ended, as far as one request can carry it.
    fn gather(&mut self) {
        while self.to_settle.len() < BATCH {
            let Ok(settled) = self.ended.try_recv() else {
                return;
            };
            self.take_in(settled);
        }
    }

    /// Takes in what has ended, and what is about to: runs that are begun together often end
    /// together, and a request for each of them would cost the store far more than one for all.
    /// So just after runs were begun it lets the others go on, for as long as that brings more.
    async fn gather_well(&mut self) {
        self.gather();
        let mut last = boottime();
        let mut gathered = 0;
        while !self.to_settle.is_empty()
            && self.to_settle.len() < BATCH
            && self.executing() > 0
            && boottime().saturating_sub(self.begun_at) < GATHERING
        {
            if self.to_settle.len() > gathered {
                gathered = self.to_settle.len();
                last = boottime();
            } else if boottime().saturating_sub(last) > QUIET {
                return;
            }
            tokio::task::yield_now().await;
            self.gather();
        }
    }

    fn take_in(&mut self, settled: Settled) {
        // A claim that a resync found to be gone is nothing to hand in any more.
        let fence = &settled.claim.fence;
        if self.held.contains_key(fence) && !self.given_up.contains(fence) {
            self.to_settle.push(settled);
        }
    }

    /// Claims and executes what waits, until nothing does, and hands all of it in: for a node that is
    /// moved by hand. Says how many attempts that were.
    pub(crate) async fn work_off(&mut self) -> usize {
        self.hungry = true;
        let mut handed_in = 0;
        loop {
            self.gather();
            let wish = self.wish();
            if !self.to_settle.is_empty() || wish.is_some() {
                handed_in += self.to_settle.len();
                self.exchange(wish).await;
            } else if self.executing() > 0 {
                if let Some(settled) = self.ended.recv().await {
                    self.take_in(settled);
                }
            } else {
                return handed_in;
            }
        }
    }

    /// Waits for a reason to send a request. Cancel-safe.
    async fn wait(&mut self) {
        let shard = self.shared.number;
        let may_claim = self.session.is_trusted() && !self.stopping.is_cancelled();
        let slots = &self.shared.slots;
        slots.holds(shard, self.executing(), may_claim);
        let can_claim = self.can_claim();
        if !can_claim {
            // A wake-up that this node takes and cannot use is one that an idle node misses.
            self.ready.forget();
        }
        let longest = match self.resync_at.saturating_sub(boottime()) {
            // Where trust ends meanwhile, it is time to ask whether there still is a session.
            Duration::ZERO if self.session.is_trusted() => {
                let trusted = self.session.trusted_until().saturating_sub(boottime());
                trusted.clamp(Duration::from_millis(1), LOOK_EVERY)
            }
            Duration::ZERO => LONGEST_WAIT,
            pause => pause.min(LONGEST_WAIT),
        };
        tokio::select! {
            Some(settled) = self.ended.recv() => {
                self.take_in(settled);
            }
            () = self.ready.woken(), if can_claim => self.hungry = true,
            () = tokio::time::sleep(longest) => self.hungry = true,
            () = self.session.attention() => self.hungry = true,
            () = self.shared.slots.freed(shard) => self.hungry = true,
            () = self.stopping.cancelled() => {}
        }
    }

    /// Sends one request until it is answered, or the session is over. Cancel-safe: a request that
    /// was given up stays under way, and is what the next call sends again.
    async fn exchange(&mut self, wish: Option<ClaimWish>) {
        if self.session.must_reconcile() {
            self.reconcile().await;
        }
        if self.under_way.is_none() {
            self.under_way = Some(self.compose(wish));
            self.session.book().exchange_begins();
        }
        let answer = match &self.under_way {
            Some(request) => answer_to(&self.shared.link, self.session.over(), request).await,
            None => return,
        };
        let Some(request) = self.under_way.take() else {
            return;
        };
        let mut trouble = None;
        match answer {
            Ok(Some(ExchangeAnswer::Exchanged(exchanged))) => self.exchanged(request, exchanged),
            Ok(Some(ExchangeAnswer::Superseded)) => {
                tracing::warn!("a later request was done before: asking what this session holds");
                self.to_settle.extend(request.settled);
                self.session.want_resync();
            }
            Err(error) => {
                // It would be answered so for ever. What was done shows in what is held.
                self.to_settle.extend(request.settled);
                self.session.want_resync();
                trouble = Some(self.exchange_trouble.goes_on(&error));
            }
            Ok(Some(ExchangeAnswer::Behind)) => {
                let generation = request.generation;
                self.to_settle.extend(request.settled);
                self.session.is_behind(generation);
            }
            Ok(Some(ExchangeAnswer::Gone) | None) => {
                self.session.end();
            }
        }
        self.session.book().exchange_ended(self.held.len());
        if let Some(pause) = trouble {
            tokio::time::sleep(pause).await;
        }
    }

    fn compose(&mut self, wish: Option<ClaimWish>) -> Exchange {
        self.request += 1;
        let batch = self.to_settle.len().min(BATCH);
        Exchange {
            session: self.session.id.clone(),
            lane: LANE,
            request: self.request,
            floor: self.shared.floor(),
            generation: self.session.generation(),
            settled: self.to_settle.drain(..batch).collect(),
            wish,
        }
    }

    fn exchanged(&mut self, request: Exchange, exchanged: Exchanged) {
        let Exchanged { claims, stale } = exchanged;
        self.exchange_trouble.is_over();
        if !stale.is_empty() {
            self.shared.counters.stale(stale.len());
            tracing::warn!(
                count = stale.len(),
                first = %stale[0],
                "handed in runs under claims that are no longer this node's"
            );
        }
        self.shared.counters.settled(request.settled.len());
        let is_done = |settled: &&Settled| !stale.contains(&settled.claim.run);
        let records = request.settled.iter().filter(is_done);
        let records = records.filter_map(|settled| match &settled.record {
            Some(Record::Run(record)) => Some(record),
            _ => None,
        });
        self.shared.link.meter.ended(records);
        let now = boottime();
        for settled in request.settled {
            let claim = &settled.claim;
            self.held.remove(&claim.fence);
            if !stale.contains(&claim.run) {
                let events = &self.shared.events;
                if let Some(Record::Run(record)) = &settled.record {
                    events.tell_of_record(|| Event::Ended(record.clone()));
                } else {
                    events.tell_of_run(|| Event::RunReturned {
                        node: self.shared.settings.info.node.clone(),
                        run: claim.run.clone(),
                        attempt: claim.attempt,
                    });
                }
                self.recall.remember(settled, now);
            }
        }
        let asked_for = request.wish.map_or(0, |wish| wish.limit);
        if asked_for > 0 {
            // A full answer may have left some behind.
            self.hungry = claims.len() >= asked_for;
        }
        let same = |a: &Claim, b: &Claim| a.priority == b.priority && a.queue == b.queue;
        for claimed in claims.chunk_by(same) {
            let Claim {
                queue, priority, ..
            } = &claimed[0];
            self.shares.claimed(queue, *priority, claimed.len());
        }
        self.begin(claims);
    }

    fn begin(&mut self, claims: Vec<Claim>) {
        if claims.is_empty() {
            return;
        }
        self.begun_at = boottime();
        let handlers = self.session.handlers();
        let orders: Vec<_> = claims
            .into_iter()
            .map(|claim| Order::new(claim, handlers.child_token()))
            .collect();
        for order in &orders {
            self.shared.saw(order.claim.fence.0);
            self.shared.saw(order.claim.version.0);
            self.held.insert(order.claim.fence, order.clone());
        }
        self.executor.start(orders);
    }

    /// Finds out what this session holds: starts what it did not know of, and lets go of what it no
    /// longer has.
    async fn resync(&mut self) {
        self.session.book().exchange_begins();
        self.request += 1;
        let request = Resync {
            session: self.session.id.clone(),
            lane: LANE,
            request: self.request,
            generation: self.session.generation(),
        };
        let link = &self.shared.link;
        let answer = link.ask("resync", link.store.resync(&request));
        match self.session.over().run_until_cancelled(answer).await {
            Some(Ok(ResyncAnswer::Claims(claims))) => {
                self.resync_trouble.is_over();
                self.take_stock(claims);
            }
            Some(Ok(ResyncAnswer::Gone)) => {
                self.session.end();
            }
            Some(Ok(ResyncAnswer::Superseded)) => self.session.want_resync(),
            Some(Ok(ResyncAnswer::Behind)) => {
                self.session.want_resync();
                self.session.is_behind(request.generation);
            }
            Some(Err(error)) => {
                // Reading changes nothing, so a new number is as good as the old one.
                self.session.want_resync();
                // Work goes on meanwhile: only this question has to wait.
                self.resync_at = boottime() + self.resync_trouble.goes_on(&error);
            }
            None => {}
        }
        self.session.book().exchange_ended(self.held.len());
    }

    fn take_stock(&mut self, claims: Vec<Claim>) {
        let mut before = std::mem::take(&mut self.held);
        let mut unknown = Vec::new();
        for claim in claims {
            match before.remove(&claim.fence) {
                Some(order) => {
                    self.held.insert(claim.fence, order);
                }
                None => unknown.push(claim),
            }
        }
        let held = &self.held;
        // What was handed in before its answer was lost has been settled.
        self.to_settle
            .retain(|settled| held.contains_key(&settled.claim.fence));
        for order in before.into_values() {
            order.stop.cancel();
        }
        if !unknown.is_empty() {
            self.shared.counters.found(unknown.len());
            let count = unknown.len();
            tracing::warn!(
                count,
                "found claims that this node did not know of: starting them"
            );
        }
        self.begin(unknown);
    }

    /// Brings the work to an end: hands in what ends within the grace, stops what does not, and
    /// gives up what does not stop. No claims any more.
    async fn finish(&mut self) {
        let timing = self.shared.settings.timing;
        let hurry = self.shared.hurry();
        let in_order = tokio::time::timeout(timing.shutdown_grace, self.drain());
        let _ = hurry.run_until_cancelled(in_order).await;
        let count = self.executing();
        if count > 0 {
            tracing::warn!(count, "the grace has ended: stopping the handlers");
            self.session.stop_handlers(Stopped::Interrupted);
            // The executor drops those that do not listen within the same last grace.
            let last_grace = timing.last_grace + timing.last_grace / 2;
            let _ = tokio::time::timeout(last_grace, self.drain()).await;
            self.give_up();
        }
        // The request under way when the node was told to stop may bring claims still. They are
        // never begun, and handed in as that.
        let last_word = async {
            while self.executing() > 0 || !self.to_settle.is_empty() || self.under_way.is_some() {
                self.drain_once().await;
            }
        };
        if tokio::time::timeout(LAST_WORD, last_word).await.is_err() {
            let count = self.held.len();
            tracing::warn!(
                count,
                "could not hand in all runs: others will recover them"
            );
        }
    }

    /// Hands in what ends, until nothing is being executed. Cancel-safe.
    async fn drain(&mut self) {
        while self.executing() > 0 {
            self.drain_once().await;
        }
    }

    /// One request that hands in what ended, or one wait for something to end. Cancel-safe.
    async fn drain_once(&mut self) {
        self.cancel();
        self.gather();
        if self.to_settle.is_empty() && self.under_way.is_none() {
            tokio::select! {
                Some(settled) = self.ended.recv() => self.take_in(settled),
                () = self.session.attention() => {}
            }
        } else {
            // Where the store is away, this must not hide that the handlers have ended.
            let _ = tokio::time::timeout(LONGEST_WAIT, self.exchange(None)).await;
        }
    }

    /// Settles what still is executing, for its handlers do not stop. Those whose definition is not
    /// at hand are left to whoever recovers this session's claims.
    fn give_up(&mut self) {
        let node = self.shared.settings.info.node.as_str();
        let span = Span {
            started_at: None,
            ended_at: Some(self.shared.clock.now()),
        };
        let under_way = self.under_way.iter().flat_map(|request| &request.settled);
        let ended: HashSet<_> = under_way
            .chain(&self.to_settle)
            .map(|settled| settled.claim.fence)
            .collect();
        let executing = self.held.values().map(|order| &order.claim);
        for claim in executing.filter(|claim| !ended.contains(&claim.fence)) {
            let key = (claim.run.job.clone(), claim.version);
            let Some(job) = self.shared.definitions.cached(&key) else {
                continue;
            };
            let ending = Ending::Interrupted;
            self.given_up.insert(claim.fence);
            self.to_settle.push(settled(
                claim.clone(),
                Some(&job),
                node,
                &ending,
                span,
                Telling::Record,
            ));
        }
    }
}

/// The answer to a request, however often it takes to get it; none where the session ends first.
async fn answer_to<S: Shard>(
    link: &Link<S>,
    over: &CancellationToken,
    request: &Exchange,
) -> Result<Option<ExchangeAnswer>, StoreError> {
    let asking = async {
        // Soon after the store is back, it is to know what this node holds.
        let mut backoff = Backoff::up_to(MOST_PATIENT);
        loop {
            match link.ask("exchange", link.store.exchange(request)).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.kind() == StoreErrorKind::Corrupt => return Err(error),
                Err(_) => tokio::time::sleep(backoff.next()).await,
            }
        }
    };
    over.run_until_cancelled(asking).await.transpose()
}
