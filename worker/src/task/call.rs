//! What a handler is called with.

use serde_json::Value;

use crate::task::Context;

/// One attempt of a run, on its way to the handler: what layers see and extractors take from.
#[derive(Clone, Debug)]
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

    /// The args, as they are stored.
    #[must_use]
    pub const fn args(&self) -> &Value {
        &self.args
    }
}
