//! The store of Carillon on Redis.
//!
//! Read in this order: `keys` (what every key is called), `lua/` (one script per operation, each
//! with a header that says what it takes, checks and answers), `script` (how they are called),
//! `codec` (what stands in the values), `connect` (connections and what their failures mean), and
//! [`RedisStore`], which keeps the contract of [`scheduler_core::Store`] with all of these.
#![forbid(unsafe_code)]

mod attendance;
mod codec;
mod config;
mod connect;
mod keys;
mod script;
mod store;
mod wait;

pub use config::{RedisConfig, Secret, UrlError};
pub use store::RedisStore;
