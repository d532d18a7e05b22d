//! The leader's attendance: a subscription that ends with its process.
//!
//! Whoever holds the lease subscribes to a channel of its own, on a connection of its own, and says
//! so when the subscription stands. Standbys count the channel's subscribers: none means that the
//! leader's process is gone, moments after it was killed. Nothing else rests on it: where the
//! subscription is refused or cut, standbys fall back to watching the leader's progress.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use scheduler_core::lease::LeaseToken;
use tokio::task::JoinSet;

use crate::connect::Link;
use crate::keys::Keys;
use crate::script::Scripts;
use crate::server::Server;

/// How long to wait before a subscription that ended is made anew. Shorter than standbys wait
/// before they believe that the leader is gone.
const AGAIN_AFTER: Duration = Duration::from_millis(30);

/// How long to wait where it could not be made.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// This process's attendance, while it leads. Ends when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    attended: Mutex<Option<(LeaseToken, JoinSet<()>)>>,
}

impl Attendance {
    /// Attends under this token, in place of an earlier one.
    pub(crate) fn begin(&self, token: &LeaseToken, attendant: impl FnOnce() -> Attendant) {
        let mut attended = self.attended.lock().unwrap_or_else(PoisonError::into_inner);
        if attended
            .as_ref()
            .is_some_and(|(attended, _)| attended == token)
        {
            return;
        }
        let mut task = JoinSet::new();
        task.spawn(attendant().attend());
        *attended = Some((token.clone(), task));
    }

    /// Attends no more.
    pub(crate) fn end(&self) {
        self.attended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// What it takes to attend.
pub(crate) struct Attendant {
    pub(crate) server: Server,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) keys: Keys,
    pub(crate) link: Link,
    pub(crate) token: LeaseToken,
}

impl Attendant {
    /// Attends until it is aborted, or the lease is somebody else's.
    async fn attend(self) {
        loop {
            match self.attend_once().await {
                Ok(true) => tokio::time::sleep(AGAIN_AFTER).await,
                Ok(false) => return,
                // Told by whatever else needs the server; the lease does not depend on this.
                Err(_) => tokio::time::sleep(REFUSED_FOR).await,
            }
        }
    }

    /// Attends until the connection ends; `false` where the lease is somebody else's.
    async fn attend_once(&self) -> redis::RedisResult<bool> {
        let (client, tenure) = self.server.find().await?;
        let mut subscription = client.get_async_pubsub().await?;
        let alive = self.keys.named("alive", None);
        subscription
            .subscribe(format!("{alive}:{}", self.token.session))
            .await?;
        let mut call = self.scripts.attend.call(&self.keys, None, &[]);
        call.arg(self.token.to_string());
        match self.link.script::<bool>(&self.scripts.attend, &call).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // Without the announcement the subscription says nothing: make both anew.
            Err(_) => return Ok(true),
        }
        let mut messages = subscription.into_on_message();
        let ended = async {
            while messages.next().await.is_some() {}
            Ok(true)
        };
        // On a server that is the primary no more nobody looks for it.
        tenure.within(ended).await.or(Ok(true))
    }
}
