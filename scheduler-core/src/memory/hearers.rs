//! Who listens to events.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use crate::event::{Event, EventSource, Feed};

/// How far a listener may lie behind. One that lies further behind is cut off, as a server does with
/// a client that does not read.
const MOST: usize = 100_000;

/// What one listener has not read yet.
#[derive(Debug, Default)]
struct Ear {
    unread: VecDeque<Event>,
    waker: Option<Waker>,
    is_cut: bool,
}

/// All who listen.
#[derive(Debug, Default)]
pub(super) struct Hearers(Vec<Weak<Mutex<Ear>>>);

impl Hearers {
    pub(super) fn listen(&mut self) -> Feed {
        let ear = Arc::default();
        self.0.push(Arc::downgrade(&ear));
        Feed::new(Hearing(ear))
    }

    pub(super) const fn are_there(&self) -> bool {
        !self.0.is_empty()
    }

    /// Tells these, and says to how many listeners.
    pub(super) fn tell(&mut self, events: &[Event]) -> usize {
        self.0.retain(|ear| ear.strong_count() > 0);
        for ear in self.0.iter().filter_map(Weak::upgrade) {
            let mut ear = ear.lock().unwrap_or_else(PoisonError::into_inner);
            ear.unread.extend(events.iter().cloned());
            ear.is_cut |= ear.unread.len() > MOST;
            if let Some(waker) = ear.waker.take() {
                // A waker may run anything, but nothing here holds what it could wait for: a
                // runtime's wakers only note down what is to be polled.
                waker.wake();
            }
        }
        self.0.len()
    }
}

struct Hearing(Arc<Mutex<Ear>>);

impl EventSource for Hearing {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<Event>>> {
        let mut ear = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ear.is_cut {
            Poll::Ready(None)
        } else if ear.unread.is_empty() {
            ear.waker = Some(context.waker().clone());
            Poll::Pending
        } else {
            Poll::Ready(Some(ear.unread.drain(..).collect()))
        }
    }
}
