//! The store in one process: for embedding without any server, and for tests.
//!
//! It keeps the [contract](crate::store) to the letter, with the same records as the store on
//! Redis, so that whoever reads one knows the other:
//!
//! | record | kept in | holds |
//! |---|---|---|
//! | due queue, `fired`, `finished` | `schedule` | when jobs are due, what was settled, whose schedule is over |
//! | definitions, `old`, `gone` | `catalog` | jobs by version, also those that only runs in flight still need |
//! | `busy`, ready and retry queues | `runs` | where each run in flight waits |
//! | sessions, claims, lanes | `sessions` | nodes that live, and dead ones that are being cleared up after |
//! | lease, beat | `tenure` | who leads |
//! | `followers`, `followed` | `following` | who follows whom, and up to where history was followed |
//! | `failed`, `failures` | `failed` | runs that have failed for good |
//! | history | `journal` | what became of fire times |
//! | `events` | `hearers` | who listens |
//! | notes | `notes` | what handlers told of their attempts |
//! | requests | `requests` | answers to clients, by request id |
//!
//! `state` holds them all and the steps that several operations share; `leading`, `working`,
//! `recovering`, `changing`, `attending` (single runs) and `reading` hold the operations, sorted as the requests are in
//! [`store`](crate::store). `handle` puts a lock and a clock around it, `bells` lets waiters
//! sleep.

mod attending;
mod bells;
mod catalog;
mod changing;
mod deeds;
mod failed;
mod following;
mod gates;
mod handle;
mod hearers;
mod journal;
mod kept;
mod leading;
mod notes;
mod queueing;
mod reading;
mod recovering;
mod requests;
mod runs;
mod schedule;
mod sessions;
mod state;
mod tenure;
mod uniques;
mod working;

pub use handle::MemoryStore;
