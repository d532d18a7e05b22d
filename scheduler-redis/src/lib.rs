//! The store of Carillon on Redis.
//!
//! Read in this order: `keys` (what every key is called), `lua/` (one script per operation, each
//! with a header that says what it takes, checks and answers), `script` (how they are called),
//! `codec` (what stands in the values), `server` and `cluster` (which server is asked), `numbering` (how many shards there are), `connect` (connections and what
//! their failures mean), and
//! [`RedisStore`], which keeps the contract of [`scheduler_core::Store`] with all of these.
#![forbid(unsafe_code)]

mod attaching;
mod attendance;
mod certificates;
pub mod checkup;
mod cluster;
mod codec;
mod config;
mod connect;
mod durability;
mod keys;
mod numbering;
mod script;
mod server;
mod store;
mod url;
mod wait;

pub use certificates::{CertificateError, Certificates};
pub use config::{Address, Host, RedisConfig, Secret, Sentinels};
pub use durability::Durability;
pub use store::RedisStore;
pub use url::UrlError;
