//! Waiting for a wake-up: a blocking `BZPOPMIN`, made safe to drop.
//!
//! A blocked command cannot be taken back: its connection answers nothing else meanwhile, and the
//! marker that it pops is gone for everybody else. So the command runs in a task of its own, on a
//! connection of its own, and tells whoever waits. It is sent again for as long as anybody does, since
//! a command that blocks for ever would not notice that its connection is dead.
//!
//! Where nobody waits any more when it pops a marker, that is put back for others: a leader that was
//! deposed, or a node that is full, leaves a blocked command behind. Still no wake-up is promised (a
//! process may be killed with it), so that losing one costs time and nothing else: waiting runs are
//! offered anew with each of the leader's beats, the leader itself looks again after a beat, and
//! standbys look now and then.

use std::sync::{Arc, Mutex, PoisonError};

use scheduler_core::store::{StoreError, StoreResult};
use tokio::sync::Notify;

use crate::connect::{BLOCK, Link};

/// What `BZPOPMIN` pops: the key, the marker, its score.
type Popped = Option<(String, String, String)>;

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
    waiting: usize,
    error: Option<StoreError>,
}

/// Somebody who waits, until this is dropped.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.with_state(|state| state.waiting -= 1);
    }
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

    /// Returns on a wake-up, however long that takes. Dropping it loses nothing.
    pub(crate) async fn wait(&self) -> StoreResult<()> {
        let woken = self.shared.woken.notified();
        let (is_first, _waiting) = self.shared.begin();
        if is_first {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { shared.block().await });
        }
        woken.await;
        self.shared
            .with_state(|state| state.error.take())
            .map_or(Ok(()), Err)
    }
}

impl Shared {
    fn with_state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the caller, who waits from now on, is to start the blocking command: one at a time.
    fn begin(&self) -> (bool, Waiting<'_>) {
        let is_first = self.with_state(|state| {
            state.waiting += 1;
            !std::mem::replace(&mut state.blocked, true)
        });
        (is_first, Waiting(self))
    }

    /// Blocks for as long as anybody waits.
    async fn block(&self) {
        loop {
            let mut cmd = redis::cmd("BZPOPMIN");
            cmd.arg(&self.keys).arg(BLOCK.as_secs_f64());
            let popped = match self.link.query::<Popped>("wait", &cmd).await {
                Ok(popped) => popped,
                Err(error) => {
                    self.with_state(|state| {
                        state.blocked = false;
                        state.error = Some(error);
                    });
                    self.woken.notify_waiters();
                    return;
                }
            };
            // A marker is for one of those who wait; the others go on.
            let (waiting, goes_on) = self.with_state(|state| {
                let left = state.waiting - state.waiting.min(usize::from(popped.is_some()));
                state.blocked = left > 0;
                (state.waiting, state.blocked)
            });
            match popped {
                Some(_) if waiting > 0 => self.woken.notify_one(),
                Some((key, marker, score)) => {
                    let mut cmd = redis::cmd("ZADD");
                    cmd.arg(key).arg(score).arg(marker);
                    // Where it is lost, it is as if nobody had left anything behind.
                    let _ = self.link.query::<u64>("wait", &cmd).await;
                }
                None => {}
            }
            if !goes_on {
                return;
            }
        }
    }
}
