//! What the tests of all crates share.

pub mod cluster;
pub mod conformance;
pub mod gate;
pub mod http;
pub mod node;
pub mod oracle;
pub mod proxy;
pub mod redis_cluster;
pub mod redis_server;
pub mod sentinels;
pub mod served;
pub mod soak;
