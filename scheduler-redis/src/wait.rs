//! Waiting for a wake-up: a blocking `BZPOPMIN`, made safe to drop.
//!
//! A blocked command cannot be taken back: its connection answers nothing else meanwhile, and the
//! marker that it pops is gone for everybody else. So the command runs in a task of its own, on a
//! connection of its own, and tells whoever waits. Where nobody waits any more when it returns, the
//! wake-up is kept for the next one of this process who does.
//!
//! That may be never: a leader that was deposed and a standby that stops leave a blocked command
//! behind, which takes one more marker from whoever waits elsewhere. No wake-up is promised, so that
//! costs time and nothing else: waiting runs are offered anew with each of the leader's beats, the
//! leader itself looks again after a beat, and standbys look now and then.

use std::sync::{Arc, Mutex, PoisonError};

use redis::Value;
use scheduler_core::store::{StoreError, StoreResult};
use tokio::sync::Notify;

use crate::connect::{BLOCK, Link};

/// Waits for markers in one set of keys.
#[derive(Clone)]
pub(crate) struct Waiter {
    shared: Arc<Shared>,
}

struct Shared {
    link: Link,
    keys: Vec<String>,
    woken: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocked: bool,
    error: Option<StoreError>,
}

impl Waiter {
    pub(crate) fn new(link: Link, keys: Vec<String>) -> Self {
        let shared = Shared {
            link,
            keys,
            woken: Notify::new(),
            state: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) fn keys(&self) -> &[String] {
        &self.shared.keys
    }

    /// Returns on a wake-up, or after [`BLOCK`]. Dropping it loses nothing.
    pub(crate) async fn wait(&self) -> StoreResult<()> {
        if self.shared.begin() {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { shared.block().await });
        }
        self.shared.woken.notified().await;
        self.shared
            .with_state(|state| state.error.take())
            .map_or(Ok(()), Err)
    }
}

impl Shared {
    fn with_state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the caller is to start the blocking command: one at a time.
    fn begin(&self) -> bool {
        self.with_state(|state| !std::mem::replace(&mut state.blocked, true))
    }

    async fn block(&self) {
        let mut cmd = redis::cmd("BZPOPMIN");
        cmd.arg(&self.keys).arg(BLOCK.as_secs_f64());
        let result = self.link.query::<Value>("wait", &cmd).await;
        self.with_state(|state| {
            state.blocked = false;
            state.error = result.err();
        });
        self.woken.notify_one();
    }
}
