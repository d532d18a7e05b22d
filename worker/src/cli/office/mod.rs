//! Where commands are done: at the store, or by a worker over HTTP.
//!
//! Commands are written once, against this. `--store` reaches what the workers share; `--api` asks a
//! worker over the documented API, and whatever comes from there is turned into what the store would
//! have told. `client` speaks HTTP, `views` turns answers back, and `jobs`, `runs`, `queues`,
//! `cluster` and `listening` have what may be asked, each with both ways.

mod client;
mod cluster;
mod jobs;
mod listening;
mod many;
mod putting;
mod queues;
mod runs;
mod views;

use super::store::RedisShards;
use carillon::Jobs;
use carillon::config::Settings;
use carillon::core::Store as _;
use carillon::core::{StoreError, Version};
use carillon::jobs::JobsError;

use super::args::Global;
use super::failure::Failure;
use super::store;

use client::Api;
pub(super) use jobs::Patch;
pub(super) use queues::Wish as QueueWish;
pub(super) use runs::Choice;

/// Where commands are done.
#[derive(Clone)]
pub(super) enum Office {
    /// At the store that the workers share.
    Store(RedisShards),
    /// By a worker, over HTTP.
    Api(Api),
}

impl Office {
    /// The one that was asked for.
    pub(super) fn of(global: &Global, settings: &Settings) -> Result<Self, Failure> {
        match global.api() {
            Some(url) => Ok(Self::Api(Api::new(url, global)?)),
            None => store::shared(settings).map(Self::Store),
        }
    }

    /// What it is, for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Store(store) => store.describe(),
            Self::Api(api) => api.describe().to_owned(),
        }
    }
}

/// What the jobs of a store answered.
fn told<T>(store: &RedisShards, answer: Result<T, JobsError>) -> Result<T, Failure> {
    answer.map_err(|error| Failure::of_jobs(&store.describe(), &error))
}

/// What a store answered.
fn read<T>(store: &RedisShards, answer: Result<T, StoreError>) -> Result<T, Failure> {
    answer.map_err(|error| Failure::of_store(&store.describe(), &error))
}

/// The jobs of a store.
fn jobs_of(store: &RedisShards) -> Jobs<RedisShards> {
    Jobs::new(store.clone())
}

/// The same, for a change that was decided on the version that was seen, if one was.
fn as_seen(store: &RedisShards, version: Option<Version>) -> Jobs<RedisShards> {
    match version {
        Some(version) => jobs_of(store).expecting(version),
        None => jobs_of(store),
    }
}
