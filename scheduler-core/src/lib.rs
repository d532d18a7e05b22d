//! The domain of Carillon, a distributed job scheduler: what the words mean and how things are
//! decided, without any runtime, store, clock or network.
//!
//! Read in this order: [`id`] and [`time`] (names and instants), [`trigger`] (rules that yield fire
//! times), [`job`], [`policy`] and [`unique`] (what users define), [`plan`], [`change`] and [`patch`] (what
//! becomes of fire times), [`after`] (runs that follow runs), [`run`] (what becomes of runs), [`share`] (which of them a node takes
//! first), [`queue`] (limits and pauses), [`ledger`] (what became of them all), [`event`] (what listeners are told), [`audit`] (who changed what), [`notes`] (what handlers tell while they run), [`lease`] and [`session`] (who may do what), [`failover`] (a store that lost its latest writes), [`shard`] (a namespace in several parts), and
//! [`store`], the contract behind which all of it is kept. [`memory`] keeps it in one process.
#![forbid(unsafe_code)]

pub mod after;
pub mod audit;
pub mod change;
pub mod duration;
pub mod event;
pub mod failover;
pub mod history;
pub mod id;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod memory;
pub mod notes;
pub mod patch;
pub mod plan;
pub mod policy;
pub mod queue;
pub mod retention;
pub mod run;
pub mod session;
pub mod shard;
pub mod share;
pub mod spread;
pub mod store;
pub mod time;
pub mod trigger;
pub mod unique;

pub use after::{After, On};
pub use change::{JobState, Pause, Standing, StoredJob};
pub use event::Event;
pub use id::{
    Cause, Epoch, Fence, Generation, JobId, NameError, Namespace, NodeName, QueueName, RunId,
    SessionId, Tag, TaskName, UniqueKey, Version,
};
pub use job::{Job, JobBuilder, JobDefaults, JobError, JobSpec};
pub use memory::MemoryStore;
pub use patch::{Edit, JobPatch, PatchError};
pub use policy::{Backoff, Coalesce, Delivery, Grace, OnLost, Overlap, Policy, Priority, Retry};
pub use retention::HistoryPolicy;
pub use store::{Shard, Sharded, Store, StoreError};
pub use time::{Clock, ManualClock, Timestamp, TimestampError};
pub use trigger::{Trigger, TriggerError};
pub use unique::{OnDuplicate, Unique};
