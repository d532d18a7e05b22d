//! The executor: from a claim to how its attempt ended.
//!
//! One task per run. It checks that the claim may still be acted on just before the handler is
//! polled for the first time, catches the handler's panic, and hears when the handler must stop.
//! What stops a handler that does not listen: after a last grace it is dropped at its next await.
//! A handler that never comes to one (a blocked thread, an endless loop) cannot be stopped by
//! anybody in this process; its claim's fence is what protects against it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use scheduler_core::run::{Claim, Ending};
use scheduler_core::store::{Settled, StoreErrorKind};
use scheduler_core::{Delivery, Job, Shard, TaskName, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::event::Event;
use crate::node::attempt::{self, Bounds, Called, Cut, error_chain};
use crate::node::beginning::Beginning;
use crate::node::cancelling::Cancelling;
use crate::node::definitions::Lookup;
use crate::node::followed::followed;
use crate::node::link::Backoff;
use crate::node::session::{Session, Stopped};
use crate::node::settling::{Span, Telling, settled};
use crate::node::shared::Shared;
use crate::task::secrets::Hidden;
use crate::task::{Call, Context, Handler};

/// Executes claims of one session. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Executor<S>(Arc<Inner<S>>);

impl<S> Clone for Executor<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<S> {
    shared: Arc<Shared<S>>,
    session: Arc<Session>,
    /// Cancelled when the node stops to begin runs.
    stopping: CancellationToken,
    /// Owns the tasks of all runs.
    runs: TaskTracker,
    /// Bounded: where the work loop cannot hand in what ended, ended runs wait here.
    ended: mpsc::Sender<Settled>,
    /// Tasks that this node does not have, and has said so.
    unknown_tasks: Mutex<HashSet<TaskName>>,
}

/// A claim, and the token that stops its handler alone.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) claim: Claim,
    pub(crate) stop: CancellationToken,
    pub(crate) cancelling: Cancelling,
    /// Whether it was written down that it begins. Clones share that.
    begun: Arc<AtomicBool>,
}

impl Order {
    pub(crate) fn new(claim: Claim, stop: CancellationToken) -> Self {
        Self {
            claim,
            stop,
            cancelling: Cancelling::default(),
            begun: Arc::default(),
        }
    }

    /// The claim, as it is in the store as far as this node knows.
    pub(crate) fn as_begun(&self) -> Claim {
        Claim {
            begun: self.claim.begun || self.begun.load(Ordering::Acquire),
            ..self.claim.clone()
        }
    }

    fn mark_begun(&mut self) {
        self.begun.store(true, Ordering::Release);
        self.claim.begun = true;
    }
}

impl<S: Shard> Executor<S> {
    pub(crate) fn new(
        shared: Arc<Shared<S>>,
        session: Arc<Session>,
        stopping: CancellationToken,
        ended: mpsc::Sender<Settled>,
    ) -> Self {
        Self(Arc::new(Inner {
            shared,
            session,
            stopping,
            runs: TaskTracker::new(),
            ended,
            unknown_tasks: Mutex::default(),
        }))
    }

    /// Begins to execute these. What becomes of each is sent to the executor's channel, once.
    pub(crate) fn start(&self, orders: Vec<Order>) {
        let (mut missing, mut found) = (Vec::new(), Vec::new());
        for order in orders {
            let key = (order.claim.run.job.clone(), order.claim.version);
            match self.0.shared.definitions.cached(&key) {
                Some(job) => found.push((order, job)),
                None => missing.push(order),
            }
        }
        self.launch(found);
        if !missing.is_empty() {
            let executor = self.clone();
            self.0
                .runs
                .spawn(async move { executor.fetch_and_start(missing).await });
        }
    }

    /// Waits until all runs have ended. The caller bounds it.
    pub(crate) async fn idle(&self) {
        self.0.runs.close();
        self.0.runs.wait().await;
    }

    /// Executes these; those that run at most once when that they begin has been written down, all
    /// with one request.
    fn launch(&self, found: Vec<(Order, Arc<Job>)>) {
        let mut once = Vec::new();
        for (order, job) in found {
            if job.policy().delivery == Delivery::AtMostOnce {
                once.push((order, job));
            } else {
                self.spawn(order, job);
            }
        }
        if !once.is_empty() {
            let executor = self.clone();
            self.0
                .runs
                .spawn(async move { executor.begin_and_spawn(once).await });
        }
    }

    async fn begin_and_spawn(&self, once: Vec<(Order, Arc<Job>)>) {
        let inner = &self.0;
        let beginning = Beginning {
            link: &inner.shared.link,
            session: &inner.session,
            stopping: &inner.stopping,
        };
        let may_begin = beginning
            .begin(once.iter().map(|(order, _)| &order.claim))
            .await;
        for ((mut order, job), may_begin) in once.into_iter().zip(may_begin) {
            if may_begin {
                order.mark_begun();
                self.spawn(order, job);
            } else {
                inner
                    .hand_in(inner.not_begun(order.claim, Some(&job)))
                    .await;
            }
        }
    }

    fn spawn(&self, order: Order, job: Arc<Job>) {
        let inner = Arc::clone(&self.0);
        self.0.runs.spawn(async move {
            let settled = inner.execute(order, job).await;
            inner.hand_in(settled).await;
        });
    }

    /// Fetches the definitions of these in one call, however often that takes, and starts them.
    /// Where the store answers with an error, each is fetched alone: one that cannot be had must not
    /// keep the others waiting.
    async fn fetch_and_start(&self, orders: Vec<Order>) {
        let inner = &self.0;
        let is_alone = orders.len() == 1;
        let wanted: Vec<_> = orders
            .iter()
            .map(|order| (order.claim.run.job.clone(), order.claim.version))
            .collect();
        let fetching = async {
            let mut backoff = Backoff::new();
            loop {
                match inner.shared.definitions.look_up(&wanted).await {
                    Ok(found) => break Some(found),
                    Err(error) if !is_alone && is_an_answer(error.kind()) => break None,
                    Err(_) => tokio::time::sleep(backoff.next()).await,
                }
            }
        };
        let Some(found) = inner.stopping.run_until_cancelled(fetching).await else {
            // Never begun, and now never will be here.
            for order in orders {
                inner.hand_in(inner.not_begun(order.claim, None)).await;
            }
            return;
        };
        let Some(found) = found else {
            for order in orders {
                self.start(vec![order]);
            }
            return;
        };
        let mut at_hand = Vec::new();
        for (order, lookup) in orders.into_iter().zip(found) {
            let ending = match lookup {
                Lookup::Found(job) => {
                    at_hand.push((order, job));
                    continue;
                }
                Lookup::Gone => Ending::DefinitionGone,
                Lookup::Unreadable(why) => Ending::DefinitionUnreadable(why),
            };
            let settled = inner.settle(order.claim, None, &ending, Span::default());
            inner.hand_in(settled).await;
        }
        self.launch(at_hand);
    }
}

impl<S: Shard> Inner<S> {
    async fn execute(&self, order: Order, job: Arc<Job>) -> Settled {
        let Order {
            claim,
            stop,
            cancelling,
            ..
        } = order;
        let Some(handler) = self.shared.tasks.get(job.task()) else {
            return self.unknown_task(claim, &job);
        };
        let followed = followed(&self.shared, &claim.run).await;
        let started_at = self.shared.clock.now();
        let resolved = self.shared.settings.secrets.resolve(job.args()).await;
        let (args, hidden) = match resolved {
            Ok(resolved) => resolved,
            // Another attempt may get past it, on another node or once somebody has mended it.
            Err(why) => return self.not_called(claim, &job, started_at, why),
        };
        let context = Context {
            followed,
            job: Arc::clone(&job),
            run: claim.run.clone(),
            attempt: claim.attempt,
            fence: claim.fence,
            node: self.shared.settings.info.node.clone(),
            started_at,
            // A child: a handler that cancels its own token has told nobody to stop it.
            cancellation: stop.child_token(),
            states: self.shared.states.clone(),
            notebook: self
                .shared
                .desk
                .notebook(&claim.run, claim.attempt, claim.fence)
                .hiding(hidden.clone()),
            clock: Arc::clone(&self.shared.clock),
            tracing: Arc::clone(&self.shared.settings.tracing),
        };
        // The last look before the first poll. A process that is frozen between the two lines is
        // beyond anybody's help but the fence's.
        if stop.is_cancelled() || self.stopping.is_cancelled() || !self.session.is_trusted() {
            return self.not_begun(claim, Some(&job));
        }
        if let Some(reason) = cancelling.reason() {
            let ending = self.cut(Cut::Cancelled(reason.to_owned()), None);
            return self.settle(claim, Some(&job), &ending, Span::default());
        }
        self.shared.events.tell_of_run(|| Event::RunStarted {
            node: self.shared.settings.info.node.clone(),
            run: claim.run.clone(),
            attempt: claim.attempt,
            fence: claim.fence,
        });
        let call = Call::new(context, args);
        let Claim {
            run,
            attempt,
            fence,
            ..
        } = &claim;
        // Whatever is logged while the handler runs says which run it is for.
        let span = tracing::info_span!("run", %run, attempt, %fence);
        let ending = self
            .call(handler.as_ref(), call, &job, &stop, &cancelling)
            .instrument(span)
            .await;
        let ending = masked(ending, &hidden);
        self.shared.desk.ended(claim.fence);
        let span = Span {
            started_at: Some(started_at),
            ended_at: Some(self.shared.clock.now()),
        };
        self.settle(claim, Some(&job), &ending, span)
    }

    /// Calls the handler, until it ends or is stopped.
    async fn call(
        &self,
        handler: &dyn Handler,
        call: Call,
        job: &Job,
        stop: &CancellationToken,
        cancelling: &Cancelling,
    ) -> Ending {
        let bounds = Bounds {
            stop,
            cancelling,
            last_grace: self.shared.settings.timing.last_grace,
            timeout: job.policy().timeout,
        };
        match attempt::call(handler, call, bounds).await {
            Called::Answered(Ok(output), _) => Ending::Succeeded(output),
            Called::Panicked(message) => Ending::Panicked(message),
            // An error after the call to stop is the handler's way to stop.
            Called::Answered(Err(error), Some(cut)) => self.cut(cut, Some(error_chain(&error))),
            Called::Answered(Err(_), None) if stop.is_cancelled() => self.stopped(),
            Called::Answered(Err(error), None) => attempt::failed(&error, self.shared.clock.now()),
            Called::Dropped(cut) => {
                self.shared.counters.overrun();
                tracing::warn!(job = %job.id(), "a handler did not stop when told to: dropped");
                self.cut(cut, None)
            }
        }
    }

    fn cut(&self, cut: Cut, last_words: Option<String>) -> Ending {
        match cut {
            Cut::Stopped => self.stopped(),
            Cut::Cancelled(reason) => Ending::Cancelled { reason, last_words },
            Cut::TimedOut(limit) => Ending::TimedOut { limit, last_words },
        }
    }

    fn stopped(&self) -> Ending {
        match self.session.stopped() {
            Some(Stopped::Interrupted) => Ending::Interrupted,
            // Trust may have come back since: for this handler it was lost.
            Some(Stopped::TrustLost | Stopped::Over) | None => Ending::TrustLost,
        }
    }

    /// Puts the run aside for another node. Told once per task: a run that no node can execute
    /// comes back each second.
    fn unknown_task(&self, claim: Claim, job: &Job) -> Settled {
        let task = job.task();
        let is_first = self
            .unknown_tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(task.clone());
        let telling = if is_first {
            tracing::warn!(job = %job.id(), %task, "this node has no such task");
            Telling::Record
        } else {
            Telling::Silent
        };
        let ending = Ending::UnknownTask(task.to_string());
        let span = Span::default();
        settled(claim, Some(job), self.node(), &ending, span, telling)
    }

    /// The handler could not be called, for this reason.
    fn not_called(&self, claim: Claim, job: &Job, at: Timestamp, why: String) -> Settled {
        let span = Span {
            started_at: Some(at),
            ended_at: Some(self.shared.clock.now()),
        };
        self.settle(claim, Some(job), &Ending::Failed(why), span)
    }

    fn not_begun(&self, claim: Claim, job: Option<&Job>) -> Settled {
        self.settle(claim, job, &Ending::NotBegun, Span::default())
    }

    fn settle(&self, claim: Claim, job: Option<&Job>, ending: &Ending, span: Span) -> Settled {
        settled(claim, job, self.node(), ending, span, Telling::Record)
    }

    fn node(&self) -> &str {
        self.shared.settings.info.node.as_str()
    }

    async fn hand_in(&self, settled: Settled) {
        // The work loop is gone once its session is over, and then nobody needs to know.
        let _ = self.ended.send(settled).await;
    }
}

/// What a handler said, without the secrets that it was given.
fn masked(ending: Ending, hidden: &Hidden) -> Ending {
    if hidden.is_empty() {
        return ending;
    }
    let mask = |text| hidden.mask(text);
    match ending {
        Ending::Succeeded(output) => Ending::Succeeded(output.map(mask)),
        Ending::Failed(error) => Ending::Failed(mask(error)),
        Ending::FailedForGood(error) => Ending::FailedForGood(mask(error)),
        Ending::RetryAfter { error, after } => Ending::RetryAfter {
            error: mask(error),
            after,
        },
        Ending::Snoozed { after, why } => Ending::Snoozed {
            after,
            why: why.map(mask),
        },
        Ending::Panicked(message) => Ending::Panicked(mask(message)),
        Ending::TimedOut { limit, last_words } => Ending::TimedOut {
            limit,
            last_words: last_words.map(mask),
        },
        Ending::Cancelled { reason, last_words } => Ending::Cancelled {
            reason,
            last_words: last_words.map(mask),
        },
        Ending::NotBegun
        | Ending::Interrupted
        | Ending::TrustLost
        | Ending::NodeLost
        | Ending::UnknownTask(_)
        | Ending::DefinitionGone
        | Ending::DefinitionUnreadable(_) => ending,
    }
}

/// Whether the store answered, so that what was asked for is at fault and not the way to it.
const fn is_an_answer(kind: StoreErrorKind) -> bool {
    matches!(kind, StoreErrorKind::Refused | StoreErrorKind::Corrupt)
}
