//! Listening to what happens.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cli::store::RedisShards;
use carillon::core::{Event, JobId};
use carillon::event::{self, ClusterEvents};
use reqwest::Response;
use tokio::time::{sleep, timeout};

use super::client::Api;
use super::{Office, read};
use crate::cli::failure::Failure;

/// How long it waits before it connects again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a worker has to begin an answer.
const WITHIN: Duration = Duration::from_secs(30);

/// After how long without a sign of life a connection is taken for dead: workers send one each 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// What happens from now on.
pub(in crate::cli) enum Listening {
    /// On the store's channel.
    Store(Box<ClusterEvents<RedisShards>>),
    /// As a worker tells it.
    Api(Box<Stream>),
}

/// Server-Sent Events, read as they come.
pub(in crate::cli) struct Stream {
    api: Api,
    query: Vec<(&'static str, String)>,
    response: Option<Response>,
    told: Told,
}

/// What was told, taken apart.
#[derive(Default)]
struct Told {
    /// What was read of the next event.
    read: Vec<u8>,
    events: VecDeque<Event>,
    /// Where to go on after a cut.
    last: Option<String>,
}

impl Office {
    /// Begins to listen: to what is about a job where one is named, and to these words where there are
    /// any. More may be told than was asked for.
    pub(in crate::cli) async fn listen(
        &self,
        job: Option<&JobId>,
        only: &[String],
    ) -> Result<Listening, Failure> {
        match self {
            Self::Store(store) => {
                let listening = read(store, event::listen(store.clone()).await)?;
                Ok(Listening::Store(Box::new(listening)))
            }
            Self::Api(api) => {
                let mut query: Vec<_> = job
                    .map(|job| ("job", job.to_string()))
                    .into_iter()
                    .collect();
                if !only.is_empty() {
                    query.push(("only", only.join(",")));
                }
                let mut stream = Stream {
                    api: api.clone(),
                    query,
                    response: None,
                    told: Told::default(),
                };
                stream.connect().await?;
                Ok(Listening::Api(Box::new(stream)))
            }
        }
    }
}

impl Listening {
    /// The next event. Where the way is cut, it waits until there is one again, and tells that.
    ///
    /// # Errors
    ///
    /// The worker refuses to be asked again, for the token was taken back.
    pub(in crate::cli) async fn next(&mut self) -> Result<Event, Failure> {
        match self {
            Self::Store(events) => Ok(events.next().await),
            Self::Api(stream) => stream.next().await,
        }
    }
}

impl Stream {
    async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.told.events.pop_front() {
                return Ok(event);
            }
            let Some(response) = &mut self.response else {
                self.connect_again().await?;
                // What is recorded is told again; all else that happened meanwhile is not.
                return Ok(Event::Unheard);
            };
            match timeout(SILENCE, response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.told.take_in(&chunk),
                Ok(Ok(None) | Err(_)) | Err(_) => {
                    self.response = None;
                    // An event that was cut off is told again as a whole.
                    self.told.read.clear();
                }
            }
        }
    }

    async fn connect_again(&mut self) -> Result<(), Failure> {
        loop {
            match self.connect().await {
                Err(Failure::Unreachable(_)) => sleep(AGAIN).await,
                done => return done,
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let mut query = self.query.clone();
        query.extend(self.told.last.clone().map(|last| ("last_event_id", last)));
        let asked = timeout(WITHIN, self.api.stream("/events", &query)).await;
        let silent = || Failure::Unreachable(format!("{}: no answer", self.api.describe()));
        self.response = Some(asked.map_err(|_| silent())??);
        Ok(())
    }
}

impl Told {
    /// Takes in what came: an event ends with an empty line.
    fn take_in(&mut self, chunk: &[u8]) {
        self.read.extend_from_slice(chunk);
        while let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
            let text: Vec<u8> = self.read.drain(..end + 2).collect();
            for line in String::from_utf8_lossy(&text).lines() {
                if let Some(id) = line.strip_prefix("id: ") {
                    self.last = Some(id.to_owned());
                } else if let Some(data) = line.strip_prefix("data: ")
                    // What a newer version tells is left out, as at the store.
                    && let Ok(event) = Event::from_line(data)
                {
                    self.events.push_back(event);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_they_are_cut_on_the_way() {
        let sent = "id: 1-0\n\n: \n\ndata: {\"event\":\"unheard\"}\n\nid: 2-0/1\n\
                    data: {\"event\":\"lease_won\",\"node\":\"web-1\",\"epoch\":7}\n\n\
                    data: {\"event\":\"of a newer version\"}\n\nid: 3-0\nda";
        for step in [1, 2, 3, 7, 1_000] {
            let mut told = Told::default();
            for chunk in sent.as_bytes().chunks(step) {
                told.take_in(chunk);
            }
            let words: Vec<_> = told.events.iter().map(Event::word).collect();
            assert_eq!(words, ["unheard", "lease_won"], "in steps of {step}");
            // That of an event counts once the whole of it is there.
            assert_eq!(told.last.as_deref(), Some("2-0/1"));
        }
    }
}
