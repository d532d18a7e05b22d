//! What a handler is called with.

use std::fmt;

use serde_json::Value;

use crate::task::Context;

/// One attempt of a run, on its way to the handler: what layers see and extractors take from.
#[derive(Clone)]
pub struct Call {
    context: Context,
    args: Value,
}

impl Call {
    pub(crate) const fn new(context: Context, args: Value) -> Self {
        Self { context, args }
    }

    /// The run, its job, its claim.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// The args: as they are stored, but with [secrets](crate::task::Secrets) in their places.
    #[must_use]
    pub const fn args(&self) -> &Value {
        &self.args
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The args may hold secrets; those of the job only refer to them.
        f.debug_struct("Call")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
