//! One run's cancelling: whether somebody asked for it, and why.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Whether a run that this node executes was cancelled. Clones share that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancelling {
    token: CancellationToken,
    reason: Arc<OnceLock<String>>,
}

impl Cancelling {
    /// Cancels the run; the first reason stays.
    pub(crate) fn cancel(&self, reason: &str) {
        self.reason.get_or_init(|| reason.to_owned());
        self.token.cancel();
    }

    /// Why it was cancelled, if it was.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    /// Waits until it is; answers with the reason.
    pub(crate) async fn cancelled(&self) -> String {
        self.token.cancelled().await;
        self.reason().unwrap_or_default().to_owned()
    }
}
