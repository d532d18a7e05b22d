//! One walk: a seed, a store, and who uses it.

use scheduler_core::lease::LeaseToken;
use scheduler_core::run::Claim;
use scheduler_core::store::{
    Dispatch, Exchange, FollowUp, PutJob, RemoveJob, RequestId, RunNow, Settled,
};
use scheduler_core::{SessionId, Store};
use uuid::Uuid;

use super::oracle::Oracle;
use super::trace::{Trace, summary};
use crate::conformance::{Harness, Node, World, done, name};

/// Seeds of a test: `CARILLON_SEED`, or so many from 0.
#[must_use]
pub fn seeds(count: u64) -> Vec<u64> {
    let given = std::env::var("CARILLON_SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    given.map_or_else(|| (0..count).collect(), |seed| vec![seed])
}

/// Walks so many random steps through a fresh store, then lets everything end.
///
/// # Panics
///
/// When a promise is broken. Prints the seed and the steps before.
pub async fn walk<H: Harness>(harness: &H, seed: u64, steps: usize) -> Trace {
    let mut walker = Walker {
        world: World::fresh(harness).await,
        random: fastrand::Rng::with_seed(seed),
        seed,
        nodes: Vec::new(),
        tokens: Vec::new(),
        late: Late::default(),
        oracle: Oracle::default(),
        trace: Trace::default(),
    };
    for _ in 0..steps {
        walker.step().await;
        walker.look().await;
    }
    walker.finish().await;
    std::mem::take(&mut walker.trace)
}

/// A node of the walk, and what it holds for all it knows.
#[derive(Debug)]
pub(super) struct Walking {
    pub(super) node: Node,
    pub(super) claims: Vec<Claim>,
    pub(super) last: Option<Exchange>,
    /// What it handed in last, and might hand in once more.
    pub(super) past: Option<Settled>,
}

/// Requests that are still on their way, or that arrive once more.
#[derive(Debug, Default)]
pub(super) struct Late {
    pub(super) dispatch: Vec<Dispatch>,
    pub(super) put: Vec<PutJob>,
    pub(super) removal: Vec<RemoveJob>,
    pub(super) follow: Vec<FollowUp>,
    pub(super) run: Vec<RunNow>,
}

/// Who walks.
pub(super) struct Walker<H: Harness> {
    pub(super) world: World<H>,
    pub(super) random: fastrand::Rng,
    seed: u64,
    pub(super) nodes: Vec<Walking>,
    pub(super) tokens: Vec<LeaseToken>,
    pub(super) late: Late,
    pub(super) oracle: Oracle,
    pub(super) trace: Trace,
}

impl<H: Harness> Walker<H> {
    /// A UUID (v7) of this seed.
    pub(super) fn uuid(&mut self) -> Uuid {
        let random: [u8; 10] = std::array::from_fn(|_| self.random.u8(..));
        let ms = u64::try_from(self.world.now().as_ms()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
    }

    pub(super) fn request(&mut self) -> RequestId {
        RequestId(self.uuid())
    }

    /// A session that nobody has had.
    pub(super) fn session(&mut self) -> SessionId {
        let node = format!("n{}", self.nodes.len());
        SessionId::of(&name(&node), self.uuid())
    }

    /// One of so many.
    pub(super) fn pick(&mut self, count: usize) -> usize {
        self.random.usize(0..count)
    }

    /// Looks at everything, and asks the oracle.
    async fn look(&mut self) {
        let sight = self.world.see().await;
        self.trace.add(summary(&sight));
        self.oracle.check(&sight);
        self.look_at_queues(&sight).await;
        self.key_held().await;
        for id in super::step::JOBS.into_iter().chain(super::keying::ONCE) {
            let read = done(self.world.store.jobs(&[name(id)]).await);
            assert_eq!(
                read[0].fired,
                self.oracle.fired(&name(id)),
                "settled of {id}"
            );
        }
    }
}

impl<H: Harness> Drop for Walker<H> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{}broken by seed {}: CARILLON_SEED={}",
                self.trace, self.seed, self.seed
            );
        }
    }
}
