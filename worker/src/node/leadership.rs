//! One session's turns at leading: a standby until it wins the lease, a leader until it loses it.

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::Shard;
use scheduler_core::lease::LeaseToken;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::node::leader::{Leader, Led};
use crate::node::meter::LeaseChange;
use crate::node::session::{Session, Standing};
use crate::node::shared::Shared;
use crate::node::standby::Watcher;

/// How long a node that stops tries to give the lease back.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

/// Takes turns until the node stops or the session is over, and then gives the lease back at once.
pub(crate) async fn run<S: Shard>(
    shared: Arc<Shared<S>>,
    session: Arc<Session>,
    stop: CancellationToken,
) {
    let mut watcher = Watcher::new(Arc::clone(&shared), Arc::clone(&session));
    while let Some(token) = watcher.win(&stop).await {
        session.set_standing(Standing::Leader);
        let epoch = token.epoch;
        let shard = shared.told_shard();
        tracing::info!(%epoch, shard, "leading");
        let node = || shared.settings.info.node.clone();
        shared.events.tell(|| Event::LeaseWon {
            node: node(),
            epoch,
        });
        shared.meter.lease(shared.number, LeaseChange::Won);
        // It ends with the node, or where another node should lead.
        let term = stop.child_token();
        session.seat().begins(term.clone());
        let led = Leader::new(Arc::clone(&shared), token.clone())
            .lead(&term)
            .await;
        session.seat().has_ended();
        session.set_standing(Standing::Unknown);
        match led {
            Led::LeaseLost => {
                tracing::info!(%epoch, shard, "the lease is another node's now");
                shared.events.tell(|| Event::LeaseLost {
                    node: node(),
                    epoch,
                });
                shared.meter.lease(shared.number, LeaseChange::Lost);
                watcher.stand_back();
            }
            Led::Stopped => {
                release(&shared, &token).await;
                shared.events.tell(|| Event::LeaseReleased {
                    node: node(),
                    epoch,
                });
                shared.meter.lease(shared.number, LeaseChange::Released);
            }
        }
    }
}

/// Gives the lease back, so that nobody waits for its end. Where that fails it ends by itself.
async fn release<S: Shard>(shared: &Shared<S>, token: &LeaseToken) {
    let link = &shared.link;
    let releasing = async {
        while link
            .ask("release", link.store.release(token))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = tokio::time::timeout(RELEASE_WITHIN, releasing).await;
}
