//! What all loops of a node share, across its sessions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use scheduler_core::Store;
use tokio_util::sync::CancellationToken;

use crate::clock::StoreClock;
use crate::event::EventSender;
use crate::node::definitions::Definitions;
use crate::node::link::Link;
use crate::node::scribe::Desk;
use crate::node::settings::Settings;
use crate::node::status::NodeStatus;
use crate::task::{States, Tasks};

#[derive(Debug)]
pub(crate) struct Shared<S> {
    pub(crate) settings: Settings,
    pub(crate) tasks: Tasks,
    /// What handlers share.
    pub(crate) states: States,
    pub(crate) link: Link<S>,
    pub(crate) definitions: Definitions<S>,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) events: EventSender,
    pub(crate) counters: Counters,
    /// What handlers tell of their attempts.
    pub(crate) desk: Desk,
    pub(crate) status: NodeStatus,
    /// The highest number from the shard's counter that this node has seen.
    floor: AtomicU64,
    /// Whether the node lives at this moment.
    lives: AtomicBool,
    /// Cancelled where handlers shall not have their grace.
    hurry: Mutex<CancellationToken>,
}

impl<S: Store> Shared<S> {
    pub(crate) fn new(
        store: S,
        settings: Settings,
        tasks: Tasks,
        states: States,
        clock: StoreClock,
    ) -> Self {
        let link = Link::new(store);
        Self {
            settings,
            tasks,
            states,
            definitions: Definitions::new(link.clone()),
            link,
            clock: Arc::new(clock),
            events: EventSender::new(),
            counters: Counters::default(),
            desk: Desk::default(),
            status: NodeStatus::default(),
            floor: AtomicU64::new(0),
            lives: AtomicBool::new(false),
            hurry: Mutex::default(),
        }
    }

    /// Begins the node's life, unless it lives already.
    pub(crate) fn begin_life(&self) -> bool {
        let begins = !self.lives.swap(true, Ordering::AcqRel);
        if begins {
            *self.hurry.lock().unwrap_or_else(PoisonError::into_inner) = CancellationToken::new();
        }
        begins
    }

    /// Cancelled where handlers shall not have their grace when the node shuts down.
    pub(crate) fn hurry(&self) -> CancellationToken {
        let hurry = self.hurry.lock().unwrap_or_else(PoisonError::into_inner);
        hurry.clone()
    }

    /// The highest number from the shard's counter that this node has seen: a store that lost its
    /// latest writes must not give one of them out again.
    pub(crate) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Relaxed)
    }

    /// Takes in a number from the shard's counter.
    pub(crate) fn saw(&self, number: u64) {
        self.floor.fetch_max(number, Ordering::Relaxed);
    }
}

impl<S> Shared<S> {
    /// Whether the node lives at this moment.
    pub(crate) fn lives(&self) -> bool {
        self.lives.load(Ordering::Acquire)
    }

    /// Ends the node's life: another may begin.
    pub(crate) fn end_life(&self) {
        self.lives.store(false, Ordering::Release);
    }
}

/// What a node counts about itself since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Runs that it dispatched as leader.
    pub dispatched: u64,
    /// Attempts that it handed in.
    pub settled: u64,
    /// Attempts that it handed in under a claim that was no longer its own.
    pub stale: u64,
    /// How often it could no longer trust its session.
    pub trust_lost: u64,
    /// Handlers that went on after they were told to stop, and were dropped.
    pub overruns: u64,
    /// Claims that it found only by asking what it holds.
    pub found: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    dispatched: AtomicU64,
    settled: AtomicU64,
    stale: AtomicU64,
    trust_lost: AtomicU64,
    overruns: AtomicU64,
    found: AtomicU64,
}

impl Counters {
    pub(crate) fn dispatched(&self, runs: usize) {
        add(&self.dispatched, runs);
    }

    pub(crate) fn settled(&self, runs: usize) {
        add(&self.settled, runs);
    }

    pub(crate) fn stale(&self, runs: usize) {
        add(&self.stale, runs);
    }

    pub(crate) fn trust_lost(&self) {
        add(&self.trust_lost, 1);
    }

    pub(crate) fn overrun(&self) {
        add(&self.overruns, 1);
    }

    pub(crate) fn found(&self, claims: usize) {
        add(&self.found, claims);
    }

    pub(crate) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            dispatched: read(&self.dispatched),
            settled: read(&self.settled),
            stale: read(&self.stale),
            trust_lost: read(&self.trust_lost),
            overruns: read(&self.overruns),
            found: read(&self.found),
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}
