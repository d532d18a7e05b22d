//! One client that listens.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::store::HistoryQuery;
use scheduler_core::{Event, Store, StoreError};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Wanted;
use super::hub::{Seat, Told};
use super::place::Place;
use crate::http::app::App;

/// After how long of silence a comment is sent, so that nobody on the way takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long to wait where the store does not tell what was recorded.
const PAUSE: Duration = Duration::from_secs(1);

/// How many records are read in one step.
const STEP: usize = 500;

/// What one client hears.
pub(super) struct Listener<S> {
    store: S,
    stopping: CancellationToken,
    wanted: Wanted,
    told: broadcast::Receiver<Arc<Told>>,
    /// Up to where of history it has heard.
    last: Place,
    /// Whether it has yet to hear of what is recorded, before it goes on live.
    is_behind: bool,
    /// What is to be sent.
    texts: VecDeque<String>,
    silent_since: Instant,
    _seat: Seat,
}

impl<S: Store> Listener<S> {
    /// Begins to listen: behind `last`, or from now on.
    pub(super) async fn begin(
        app: &App<S>,
        seat: Seat,
        wanted: Wanted,
        last: Option<Place>,
    ) -> Result<Self, StoreError> {
        let store = app.store().clone();
        let (told, end) = app.hub().listen(&store).await?;
        let mut texts = VecDeque::new();
        if let Some(last) = &last
            && is_forgotten(&store, last).await?
        {
            texts.push_back(text_of(None, &Event::Unheard));
        }
        let is_behind = last.is_some();
        let last = last.unwrap_or(end);
        // Whoever is cut off before the first event goes on from here.
        texts.push_back(format!("id: {}\n\n", last.text()));
        Ok(Self {
            store,
            stopping: app.stopping(),
            wanted,
            told,
            last,
            is_behind,
            texts,
            silent_since: Instant::now(),
            _seat: seat,
        })
    }

    /// The next thing to send; none at the end.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.texts.pop_front() {
                self.silent_since = Instant::now();
                return Some(text);
            }
            let stopping = self.stopping.clone();
            let heartbeat = self.silent_since + HEARTBEAT;
            tokio::select! {
                () = stopping.cancelled() => return None,
                () = sleep_until(heartbeat) => self.texts.push_back(": \n\n".to_owned()),
                is_over = self.hear() => if is_over { return None },
            }
        }
    }

    /// Hears something, which may be nothing that is wanted; `true` at the end. Cancel-safe: what was
    /// heard is kept before anything else is waited for.
    async fn hear(&mut self) -> bool {
        if self.is_behind {
            self.read_on().await;
            return false;
        }
        match self.told.recv().await {
            Ok(told) => {
                let is_news = told
                    .place
                    .as_ref()
                    .is_none_or(|place| place.is_behind(&self.last));
                if is_news {
                    self.take_in(told.place.clone(), &told.event);
                }
                false
            }
            Err(RecvError::Lagged(_)) => {
                // What was recorded is read; what was only told is lost.
                self.take_in(None, &Event::Unheard);
                self.is_behind = true;
                false
            }
            Err(RecvError::Closed) => true,
        }
    }

    /// Reads on in history.
    async fn read_on(&mut self) {
        let query = HistoryQuery {
            job: self.wanted.job.clone(),
            after: Some(self.last.text().to_owned()),
            limit: STEP,
            ..HistoryQuery::default()
        };
        let Ok(page) = self.store.history(&query).await else {
            return sleep(PAUSE).await;
        };
        self.is_behind = !page.entries.is_empty() || page.position != self.last.text();
        for entry in page.entries {
            self.take_in(Place::parse(&entry.position), &Event::from(entry.record));
        }
        if let Some(place) = Place::parse(&page.position) {
            self.last = place.and(&self.last);
        }
    }

    fn take_in(&mut self, place: Option<Place>, event: &Event) {
        let Wanted { job, only } = &self.wanted;
        let is_wanted = (job.is_none() || event.job() == job.as_ref())
            && (only.is_empty() || only.iter().any(|word| word == event.word()));
        if is_wanted || *event == Event::Unheard {
            self.texts.push_back(text_of(place.as_ref(), event));
        }
        if let Some(place) = place {
            self.last = place.and(&self.last);
        }
    }
}

/// Whether history no longer reaches back to a position, so that something may be missing.
async fn is_forgotten<S: Store>(store: &S, last: &Place) -> Result<bool, StoreError> {
    let query = HistoryQuery {
        after: Some("0".to_owned()),
        limit: 1,
        ..HistoryQuery::default()
    };
    let page = store.history(&query).await?;
    let first = page.entries.first();
    let first = first.and_then(|entry| Place::parse(&entry.position));
    Ok(first
        .is_some_and(|first| first.is_behind(last) && last.text() != "0" && last.text() != "0-0"))
}

/// An event as it is sent: its line, and its id if it has one.
fn text_of(place: Option<&Place>, event: &Event) -> String {
    let mut text = String::new();
    if let Some(place) = place {
        // Writing to a string never fails.
        let _ = writeln!(text, "id: {}", place.text());
    }
    let _ = write!(text, "data: {}\n\n", event.to_line());
    text
}
