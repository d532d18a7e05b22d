//! A node that is moved by hand: one round when it is told to, and nothing in between. For tests
//! of a service's own jobs, see [`crate::testing`].
//!
//! The same leader, work and executor as those of any other node, without their loops, and without
//! a heart: nobody else is there who could take it for dead.

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::store::{Acquire, AcquireAnswer, Register, StoreResult};
use scheduler_core::{SessionId, Shard, StoreError, Timestamp, store::StoreErrorKind};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::boottime;
use crate::node::leader::{Leader, Round};
use crate::node::session::Session;
use crate::node::shared::Shared;
use crate::node::work::Work;

/// How long its session lives without a heartbeat: longer than any test.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// When there is something to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// At once.
    None,
    /// Not before then, or never.
    Until(Option<Timestamp>),
}

pub(crate) struct ByHand<S> {
    shared: Arc<Shared<S>>,
    session: Arc<Session>,
    leader: Leader<S>,
    work: Work<S>,
}

impl<S> std::fmt::Debug for ByHand<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByHand")
            .field("session", &self.session.id)
            .finish_non_exhaustive()
    }
}

impl<S: Shard> ByHand<S> {
    /// Begins a session, and takes the lease.
    pub(crate) async fn begin(shared: Arc<Shared<S>>) -> StoreResult<Self> {
        let request = Register {
            session: SessionId::of(&shared.settings.info.node, Uuid::now_v7()),
            ttl: LIFE,
            info: shared.settings.info.clone(),
        };
        let sent = boottime();
        let registered = shared.link.store.register(&request).await?;
        let session = Arc::new(Session::new(request.session, LIFE, sent, &registered));
        let leader = acquire(&shared, &session).await?;
        let (of_work, stopping) = (Arc::clone(&shared), CancellationToken::new());
        let work = Work::new(of_work, Arc::clone(&session), stopping);
        Ok(Self {
            shared,
            session,
            leader,
            work,
        })
    }

    /// One round: settles what is due, executes what waits, and hands it in.
    pub(crate) async fn round(&mut self) -> Rest {
        let round = self.leader.run_once().await;
        let worked = self.work.work_off().await;
        self.shared
            .desk
            .write_down(&self.shared, &self.session.id)
            .await;
        match round {
            Ok(Round::RestUntil(next)) if worked == 0 => Rest::Until(next),
            Ok(Round::LeaseLost) => {
                // The clock was moved past the lease's end.
                if let Ok(leader) = acquire(&self.shared, &self.session).await {
                    self.leader = leader;
                }
                Rest::None
            }
            _ => Rest::None,
        }
    }
}

async fn acquire<S: Shard>(shared: &Arc<Shared<S>>, session: &Session) -> StoreResult<Leader<S>> {
    let request = Acquire {
        session: session.id.clone(),
        ttl: LIFE,
        steal: None,
        floor: shared.floor(),
    };
    match shared.link.store.acquire(&request).await? {
        AcquireAnswer::Acquired(token) => Ok(Leader::new(Arc::clone(shared), token)),
        AcquireAnswer::Held(_) | AcquireAnswer::Gone | AcquireAnswer::Early(_) => {
            let message = "another node holds the lease";
            Err(StoreError::new(StoreErrorKind::Refused, "acquire", message))
        }
    }
}
