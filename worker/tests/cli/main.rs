//! The real binary, as people and scripts meet it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod apscheduler;
mod attending;
mod bench;
mod binary;
mod both;
mod changing;
mod events;
mod preview;
mod queues;
mod redis;
mod run;
mod shared;
mod uniques;
mod usage;
