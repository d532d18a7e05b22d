//! A node's life: in each shard one session after the other, until it is told to stop.
//!
//! ```text
//!   register --> heart, leadership, recovery, work --> session gone --> register ...
//!                              |
//!                           shutdown: lease back at once, no more claims,
//!                           handlers end or are stopped, claims handed in, leave
//! ```
//!
//! The lives in the shards know nothing of each other: a shard whose store is away keeps no other from
//! ringing. They begin and end together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use scheduler_core::store::Register;
use scheduler_core::{SessionId, Shard};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::boottime;
use crate::event::{Announcer, Event};
use crate::node::balance;
use crate::node::error::NodeError;
use crate::node::heart::Heart;
use crate::node::leadership;
use crate::node::link::Backoff;
use crate::node::recovery::Recovery;
use crate::node::scribe;
use crate::node::session::Session;
use crate::node::settings::AtStart;
use crate::node::shared::Shared;
use crate::node::work::Work;

/// How long loops that were told to stop may take to come to their next look at that.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// How long a node tries to end its session in order.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Lives in these shards until `shutdown` is cancelled, and then until everything has come to its end.
pub(crate) async fn run<S: Shard>(
    shards: Vec<Arc<Shared<S>>>,
    shutdown: CancellationToken,
) -> Result<(), NodeError> {
    let Some(first) = shards.first() else {
        return Ok(());
    };
    first.status.begins(shards.len());
    let announcer = Announcer::start(first);
    let lived = live_in_all(&shards, &shutdown).await;
    first.events.tell(|| Event::SchedulerShutDown {
        node: first.settings.info.node.clone(),
    });
    announcer.end().await;
    first.status.has_ended();
    lived
}

/// Lives in all shards. Where one life cannot go on, the others end in order.
async fn live_in_all<S: Shard>(
    shards: &[Arc<Shared<S>>],
    shutdown: &CancellationToken,
) -> Result<(), NodeError> {
    let shutdown = shutdown.child_token();
    let not_begun = AtomicUsize::new(shards.len());
    let lives = shards
        .iter()
        .map(|shard| live_on(shard, &not_begun, &shutdown));
    let mut lives: FuturesUnordered<_> = lives.collect();
    let mut lived = Ok(());
    while let Some(ended) = lives.next().await {
        shutdown.cancel();
        lived = lived.and(ended);
    }
    tracing::info!("shut down");
    lived
}

/// Lives one session after the other.
async fn live_on<S: Shard>(
    shared: &Arc<Shared<S>>,
    not_begun: &AtomicUsize,
    shutdown: &CancellationToken,
) -> Result<(), NodeError> {
    let mut at_start = shared.settings.at_start;
    let mut has_begun = false;
    while let Some(session) = register(shared, at_start, shutdown).await? {
        // Later trouble is waited out: the node has work that it must not drop.
        at_start = AtStart::Wait;
        let begins = !std::mem::replace(&mut has_begun, true);
        if begins && not_begun.fetch_sub(1, Ordering::AcqRel) == 1 {
            shared.events.tell(|| Event::SchedulerStarted {
                node: shared.settings.info.node.clone(),
            });
        }
        shared.status.lives(shared.number, &session);
        live(shared, session, shutdown).await?;
        shared.status.is_between_sessions(shared.number);
    }
    Ok(())
}

/// Begins a session; none where the node is told to stop first.
async fn register<S: Shard>(
    shared: &Shared<S>,
    at_start: AtStart,
    shutdown: &CancellationToken,
) -> Result<Option<Arc<Session>>, NodeError> {
    let ttl = shared.settings.timing.session_ttl;
    let mut backoff = Backoff::new();
    let mut request = registration(shared);
    let mut first_sent = boottime();
    while !shutdown.is_cancelled() {
        let sent = boottime();
        let answer = shared.link.store.register(&request);
        match shared.link.ask("register", answer).await {
            Ok(registered) => {
                shared.clock.learn(sent, boottime(), registered.now);
                let session = request.session;
                tracing::info!(%session, store = %shared.link.store.describe(), "registered");
                shared.events.tell(|| Event::Registered {
                    session: session.clone(),
                });
                return Ok(Some(Arc::new(Session::new(
                    session,
                    ttl,
                    first_sent,
                    &registered,
                ))));
            }
            Err(error) if at_start == AtStart::GiveUp || !error.is_transient() => {
                return Err(NodeError::register(shared.link.store.describe(), error));
            }
            Err(_) => {
                let pause = tokio::time::sleep(backoff.next());
                let _ = shutdown.run_until_cancelled(pause).await;
            }
        }
        // An earlier try may have begun the session without an answer, and others may have watched
        // it since: its time counts from the first try under this name. Where too much of that has
        // passed, another name is tried.
        if boottime().saturating_sub(first_sent) > ttl / 4 {
            request = registration(shared);
            first_sent = boottime();
        }
    }
    Ok(None)
}

/// A request for a session that never was.
fn registration<S: Shard>(shared: &Shared<S>) -> Register {
    let settings = &shared.settings;
    Register {
        session: SessionId::of(&settings.info.node, Uuid::now_v7()),
        ttl: settings.timing.session_ttl,
        info: settings.info.clone(),
    }
}

/// Lives one session, until it is over or the node is told to stop.
async fn live<S: Shard>(
    shared: &Arc<Shared<S>>,
    session: Arc<Session>,
    shutdown: &CancellationToken,
) -> Result<(), NodeError> {
    let heart = Heart::start(shared, &session).map_err(NodeError::heart)?;
    // Cancelled with the session, or when the node is told to stop.
    let stop = session.over().child_token();
    let mut loops = JoinSet::new();
    loops.spawn(leadership::run(
        Arc::clone(shared),
        Arc::clone(&session),
        stop.clone(),
    ));
    if !shared.shards.is_one() {
        let balancing = balance::run(Arc::clone(shared), Arc::clone(&session), stop.clone());
        loops.spawn(balancing);
    }
    loops.spawn(Recovery::new(Arc::clone(shared), Arc::clone(&session)).run(stop.clone()));
    let mut work = JoinSet::new();
    work.spawn(Work::new(Arc::clone(shared), Arc::clone(&session), stop.clone()).run());

    let scribe_stop = CancellationToken::new();
    let mut scribe = JoinSet::new();
    scribe.spawn(scribe::run(
        Arc::clone(shared),
        session.id.clone(),
        scribe_stop.clone(),
    ));

    let mut sound = tokio::select! {
        () = shutdown.cancelled() => true,
        () = stop.cancelled() => true,
        ended = join_next(&mut loops) => ended,
        ended = join_next(&mut work) => ended,
    };
    if !sound {
        session.end();
    }
    stop.cancel();
    if shutdown.is_cancelled() {
        shared.status.drains();
    }
    // The lease goes back while handlers still run: they may take as long as their grace.
    let loops_ended = tokio::time::timeout(STOP_WITHIN, join_all(&mut loops));
    let (loops_ended, work_ended) = tokio::join!(loops_ended, join_all(&mut work));
    sound &= work_ended;
    if let Ok(loops_ended) = loops_ended {
        sound &= loops_ended;
    } else {
        tracing::warn!("some loops wait for the store still: giving them up");
        loops.shutdown().await;
    }

    scribe_stop.cancel();
    // What it could not write down within this is lost, and nothing else with it.
    let _ = tokio::time::timeout(LEAVE_WITHIN, join_all(&mut scribe)).await;

    if session.over().is_cancelled() {
        let id = &session.id;
        tracing::warn!(session = %id, "the session is over, and with it all its claims");
        shared.events.tell(|| Event::SessionGone {
            session: id.clone(),
        });
    } else {
        leave(shared, &session).await;
    }
    heart.stop().await;
    if sound {
        Ok(())
    } else {
        Err(NodeError::panicked())
    }
}

/// Waits until one of these has ended. Says whether it did so without a panic.
async fn join_next(tasks: &mut JoinSet<()>) -> bool {
    !matches!(tasks.join_next().await, Some(Err(error)) if error.is_panic())
}

/// Waits until all of these have ended. Says whether they did so without a panic.
async fn join_all(tasks: &mut JoinSet<()>) -> bool {
    let mut sound = true;
    while !tasks.is_empty() {
        sound &= join_next(tasks).await;
    }
    sound
}

/// Ends the session in order. Where that fails it ends by itself, later.
async fn leave<S: Shard>(shared: &Shared<S>, session: &Session) {
    let link = &shared.link;
    let leaving = async {
        while link
            .ask("leave", link.store.leave(&session.id))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = tokio::time::timeout(LEAVE_WITHIN, leaving).await;
}
