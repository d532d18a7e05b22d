//! What the loops of a node share, across its sessions: what the node has once ([`Node`]), and what it has of
//! each shard ([`Shared`]).

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use scheduler_core::Shard;
use scheduler_core::shard::{ShardCount, ShardNumber};
use tokio_util::sync::CancellationToken;

use crate::clock::StoreClock;
use crate::event::EventSender;
use crate::node::definitions::Definitions;
use crate::node::link::Link;
use crate::node::meter::Meter;
use crate::node::scribe::Desk;
use crate::node::settings::Settings;
use crate::node::slots::Slots;
use crate::node::status::NodeStatus;
use crate::task::{States, Tasks};

/// What a node has once, however many shards it works for.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) settings: Settings,
    pub(crate) tasks: Tasks,
    /// What handlers share.
    pub(crate) states: States,
    pub(crate) events: EventSender,
    pub(crate) counters: Counters,
    pub(crate) status: NodeStatus,
    pub(crate) meter: Meter,
    /// How many shards it works for.
    pub(crate) shards: ShardCount,
    pub(crate) slots: Slots,
    /// The store's clock, where it is known.
    clock: Option<Arc<StoreClock>>,
    /// Whether the node lives at this moment.
    lives: AtomicBool,
    /// Cancelled where handlers shall not have their grace.
    hurry: Mutex<CancellationToken>,
}

impl Node {
    /// A node that is set up so; with a clock in place of what it learns of the store's.
    pub(crate) fn new(
        shards: ShardCount,
        settings: Settings,
        tasks: Tasks,
        states: States,
        clock: Option<StoreClock>,
    ) -> Self {
        Self {
            tasks,
            states,
            events: EventSender::new(),
            counters: Counters::default(),
            status: NodeStatus::default(),
            meter: Meter::default(),
            shards,
            slots: Slots::new(settings.slots, usize::from(shards.get())),
            clock: clock.map(Arc::new),
            lives: AtomicBool::new(false),
            hurry: Mutex::default(),
            settings,
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

    /// Whether the node lives at this moment.
    pub(crate) fn lives(&self) -> bool {
        self.lives.load(Ordering::Acquire)
    }

    /// Ends the node's life: another may begin.
    pub(crate) fn end_life(&self) {
        self.lives.store(false, Ordering::Release);
    }

    /// Cancelled where handlers shall not have their grace when the node shuts down.
    pub(crate) fn hurry(&self) -> CancellationToken {
        let hurry = self.hurry.lock().unwrap_or_else(PoisonError::into_inner);
        hurry.clone()
    }
}

/// What a node has of one shard; and, as its own, all that the [`Node`] has.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    node: Arc<Node>,
    /// Which shard it is, of those of this node.
    pub(crate) number: usize,
    pub(crate) link: Link<S>,
    pub(crate) definitions: Definitions<S>,
    pub(crate) clock: Arc<StoreClock>,
    /// What handlers tell of their attempts.
    pub(crate) desk: Desk,
    /// The highest number from the shard's counter that this node has seen.
    floor: AtomicU64,
}

impl<S> Deref for Shared<S> {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl<S: Shard> Shared<S> {
    /// What this node has of the shard.
    pub(crate) fn new(node: Arc<Node>, number: usize, shard: S) -> Self {
        let link = Link::new(shard, node.meter.clone());
        Self {
            definitions: Definitions::new(link.clone()),
            link,
            clock: node.clock.clone().unwrap_or_default(),
            desk: Desk::default(),
            floor: AtomicU64::new(0),
            number,
            node,
        }
    }

    /// Its number.
    pub(crate) fn shard(&self) -> ShardNumber {
        // No namespace has more than fit.
        ShardNumber(u16::try_from(self.number).unwrap_or(u16::MAX))
    }

    /// Its number for people, where there are several.
    pub(crate) fn told_shard(&self) -> Option<u16> {
        Some(self.shard().0).filter(|_| !self.shards.is_one())
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
