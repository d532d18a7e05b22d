//! Configuration in two steps: as typed, then checked and ready.
//!
//! ```text
//!   carillon.toml --> Document --> ConfigFile --.
//!                     (positions)  (as typed)    >--> Settings (checked)
//!   flags, CARILLON_* ---------> Overrides -----'
//! ```
//!
//! The first step only reads: `typed` holds what people may write, each field optional. The second
//! step, [`Settings`], knows every rule and every default; whoever holds a `Settings` need not
//! check anything again. A broken rule is told with its file, line and field, whichever step found
//! it; the second step tells all of them at once.
//!
//! Flags come first, then the environment, then the file, then defaults.

mod certificates;
mod check;
mod document;
mod error;
mod http;
mod jobs;
mod otlp;
mod password;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod typed;
mod worker;

pub use crate::environment::{PASSWORD_VARIABLE, SENTINEL_PASSWORD_VARIABLE};
pub use error::{ConfigError, without_passwords};
pub use http::{
    AllowedHosts, DEFAULT_BIND, FlaskSettings, HttpBind, HttpKey, HttpSettings, Role, TlsFiles,
};
#[cfg(feature = "http")]
pub(crate) use jobs::read_value;
pub use jobs::{ConfiguredJob, JobDocument, read_patch};
pub use otlp::OtlpSettings;
pub use password::Password;
pub use settings::{Overrides, Settings};
pub use store::StoreSettings;
pub use worker::WorkerSettings;
