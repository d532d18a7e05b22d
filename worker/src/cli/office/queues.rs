//! What may be asked about queues, and the pause of the namespace.

use std::num::NonZeroU32;

use carillon::Queues;
use carillon::core::QueueName;
use carillon::core::queue::{HoldNote, QueueLimits, Rate};
use carillon::core::store::{Steered, StoreResult};
use carillon::wire::{Board, LimitsRequest, PauseRequest, QueueView, SteeredView};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answered, Api, encoded};
use super::{Office, read};
use crate::cli::failure::Failure;
use crate::cli::store::RedisShards;

/// What is to become of queues.
pub(in crate::cli) enum Wish<'a> {
    /// Of each limit: nothing, none at all, or a limit.
    Limit(
        &'a QueueName,
        Option<Option<NonZeroU32>>,
        Option<Option<Rate>>,
    ),
    Reset(&'a QueueName),
    Pause(&'a QueueName, HoldNote),
    Resume(&'a QueueName),
    PauseAll(HoldNote),
    ResumeAll,
}

impl Office {
    /// All queues, and the pause of the namespace.
    pub(in crate::cli) async fn board(&self) -> Result<Board, Failure> {
        match self {
            Self::Store(store) => {
                let board = read(store, Queues::new(store.clone()).list().await)?;
                Ok(Board::new(&board))
            }
            Self::Api(api) => api.get("/queues", &[]).await?.done(),
        }
    }

    /// One queue, if anybody has named it.
    pub(in crate::cli) async fn queue(
        &self,
        queue: &QueueName,
    ) -> Result<Option<QueueView>, Failure> {
        let board = self.board().await?;
        let mut queues = board.queues.into_iter();
        Ok(queues.find(|view| view.queue == queue.as_str()))
    }

    /// Limits or pauses queues; says whether anything was changed.
    pub(in crate::cli) async fn steer(&self, wish: Wish<'_>) -> Result<bool, Failure> {
        match self {
            Self::Store(store) => Ok(read(store, steer(store, wish).await)? == Steered::Done),
            Self::Api(api) => ask(api, wish).await,
        }
    }
}

async fn steer(store: &RedisShards, wish: Wish<'_>) -> StoreResult<Steered> {
    let queues = Queues::new(store.clone());
    match wish {
        Wish::Limit(queue, concurrency, rate) => {
            let before = queues.get(queue).await?;
            let before = before.map(|state| state.limits).unwrap_or_default();
            let limits = QueueLimits {
                concurrency: concurrency.unwrap_or(before.concurrency),
                rate: rate.unwrap_or(before.rate),
            };
            queues.limit(queue, limits).await
        }
        Wish::Reset(queue) => queues.unlimit(queue).await,
        Wish::Pause(queue, note) => queues.pause(queue, note).await,
        Wish::Resume(queue) => queues.resume(queue).await,
        Wish::PauseAll(note) => queues.pause_all(note).await,
        Wish::ResumeAll => queues.resume_all().await,
    }
}

async fn ask(api: &Api, wish: Wish<'_>) -> Result<bool, Failure> {
    let of = |queue: &QueueName, what: &str| format!("/queues/{}{what}", encoded(queue.as_str()));
    let note = |note: HoldNote| {
        json!(PauseRequest {
            by: note.by,
            reason: note.reason,
            ..PauseRequest::default()
        })
    };
    let (path, body) = match wish {
        Wish::Limit(queue, concurrency, rate) => {
            let request = LimitsRequest {
                concurrency,
                rate: rate.map(|rate| rate.map(|rate| rate.to_string())),
            };
            return limit(api, &of(queue, ""), &json!(request)).await;
        }
        Wish::Reset(queue) => (of(queue, "/reset"), None),
        Wish::Pause(queue, why) => (of(queue, "/pause"), Some(note(why))),
        Wish::Resume(queue) => (of(queue, "/resume"), None),
        Wish::PauseAll(why) => ("/pause".to_owned(), Some(note(why))),
        Wish::ResumeAll => ("/resume".to_owned(), None),
    };
    let steered = api.change(Method::POST, &path, body.as_ref(), None).await?;
    let steered: SteeredView = steered.done()?;
    Ok(steered.changed)
}

/// The API answers with the queue: whether anything was changed shows beside what it was.
async fn limit(api: &Api, path: &str, body: &Value) -> Result<bool, Failure> {
    let before = match api.get::<QueueView>(path, &[]).await? {
        Answered::Done(view) => Some(view),
        _ => None,
    };
    let after = api.change(Method::PATCH, path, Some(body), None).await?;
    let after: QueueView = after.done()?;
    let limits = |view: &QueueView| (view.concurrency, view.rate.clone(), view.set_by);
    Ok(before.is_none_or(|before| limits(&before) != limits(&after)))
}
