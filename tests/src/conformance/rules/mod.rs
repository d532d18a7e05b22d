//! The rules, by subject. Each holds on its own, in a world of its own.
#![expect(missing_docs, reason = "a rule's name says what it demands")]

pub mod auditing;
pub mod batches;
pub mod beginning;
pub mod binding;
pub mod cancelling;
pub mod changes;
pub mod claims;
pub mod dispatch;
pub mod ends;
pub mod failing;
pub mod following;
pub mod history;
pub mod jobs;
pub mod keeping;
pub mod lease;
pub mod lines;
pub mod listening;
pub mod lost_replies;
pub mod noting;
pub mod priorities;
pub mod queues;
pub mod recalling;
pub mod refusals;
pub mod retries;
pub mod sessions;
pub mod sweeping;
pub mod takeover;
pub mod uniques;
pub mod waiting;
pub mod week;
