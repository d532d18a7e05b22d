//! Whether a server is as the promises need it: `facts` asks it, `findings` judges; `erase` clears up after a
//! trial; `repair` mends what somebody damaged by hand.

mod erase;
mod facts;
mod findings;
mod repair;

pub use facts::Facts;
pub use findings::{Finding, Level};
