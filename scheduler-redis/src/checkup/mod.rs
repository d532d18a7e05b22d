//! Whether a server is as the promises need it: `facts` asks it, `findings` judges; `erase` clears up after a
//! trial.

mod erase;
mod facts;
mod findings;

pub use facts::Facts;
pub use findings::{Finding, Level};
