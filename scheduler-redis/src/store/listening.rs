//! The channel of events.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use redis::{Msg, RedisResult};
use scheduler_core::event::{Event, EventSource, Feed, read_lines};
use scheduler_core::store::{StoreError, StoreErrorKind, StoreResult};

use super::RedisStore;

/// How long connecting and subscribing may take.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);

impl RedisStore {
    pub(super) async fn do_announce(&self, events: &[Event]) -> StoreResult<usize> {
        let channel = self.key("events");
        if events.is_empty() {
            let mut cmd = redis::cmd("PUBSUB");
            cmd.arg("NUMSUB").arg(channel);
            let (_, listeners): (String, usize) = self.query("announce", &cmd).await?;
            return Ok(listeners);
        }
        let lines: Vec<_> = events.iter().map(Event::to_line).collect();
        let mut cmd = redis::cmd("PUBLISH");
        cmd.arg(channel).arg(lines.join("\n"));
        self.query("announce", &cmd).await
    }

    pub(super) async fn do_listen(&self) -> StoreResult<Feed> {
        let failed =
            |message: String| StoreError::new(StoreErrorKind::Unreachable, "listen", message);
        let subscribed = tokio::time::timeout(SUBSCRIBE_WITHIN, self.subscribe()).await;
        match subscribed {
            Ok(Ok(messages)) => Ok(Feed::new(Channel(messages))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {SUBSCRIBE_WITHIN:?}"))),
        }
    }

    /// A connection of its own, which hears nothing else.
    async fn subscribe(&self) -> RedisResult<BoxStream<'static, Msg>> {
        let (client, tenure) = self.shared.server.find().await?;
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(self.key("events")).await?;
        let messages = subscription.into_on_message();
        // What happens on another server is told there.
        Ok(messages.take_until(tenure.over()).boxed())
    }
}

struct Channel(BoxStream<'static, Msg>);

impl EventSource for Channel {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<Event>>> {
        let message: Option<Msg> = match self.0.poll_next_unpin(context) {
            Poll::Ready(message) => message,
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(message.map(|message| {
            let text = String::from_utf8_lossy(message.get_payload_bytes());
            read_lines(&text)
        }))
    }
}
