//! Listening to events.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use scheduler_core::Event;
use scheduler_core::event::Feed;
use scheduler_core::queue::HoldNote;
use scheduler_core::run::Ending;
use scheduler_core::store::Store;

use crate::conformance::{EVERY, Harness, World, done, job, name};

/// What a listener hears until it has heard so many.
async fn heard(feed: &mut Feed, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(feed.next().await.expect("the way stays open"));
    }
    events
}

fn note(by: &str) -> Event {
    let by = Some(by.to_owned());
    let reason = Some("two\nlines".to_owned());
    let note = HoldNote { by, reason };
    Event::SchedulerPaused { note }
}

pub async fn all_who_listen_hear_what_is_told_in_order<H: Harness>(world: World<H>) {
    let before = world.see().await;
    let store = &world.store;
    assert_eq!(done(store.announce(&[note("nobody hears")]).await), 0);
    let mut feeds = Vec::new();
    for _ in 0..2 {
        feeds.push(done(store.listen().await));
    }
    assert_eq!(done(store.announce(&[]).await), 2, "as many listen");
    let told = [note("a"), note("b"), Event::SchedulerResumed];
    assert_eq!(done(store.announce(&told[..2]).await), 2);
    assert_eq!(done(store.detached().announce(&told[2..]).await), 2);
    for feed in &mut feeds {
        assert_eq!(heard(feed, 3).await, told);
    }
    world.expect(&before, "telling leaves nothing behind").await;
}

pub async fn a_listener_hears_each_record_as_it_is_written<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    let mut feed = done(world.store.listen().await);
    world.advance(EVERY * 2).await;
    world.beat(&token).await;
    let claim = world.claim_one(&mut a).await;
    let ended = world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    let records = world.see().await.records();
    assert_eq!(records.last(), Some(&ended));
    let events: Vec<Event> = records.into_iter().map(Event::from).collect();
    assert_eq!(heard(&mut feed, events.len()).await, events);
}

pub async fn who_stops_listening_is_counted_no_more<H: Harness>(world: World<H>) {
    let store = &world.store;
    let feed = done(store.listen().await);
    let mut other = done(store.listen().await);
    drop(feed);
    // A server sees that a connection was closed when it comes to it.
    while done(store.announce(&[]).await) > 1 {
        tokio::task::yield_now().await;
    }
    let told = Event::JobRemoved { job: name("j") };
    assert_eq!(done(store.announce(std::slice::from_ref(&told)).await), 1);
    assert_eq!(heard(&mut other, 1).await, [told]);
    let mut next = pin!(other.next());
    let more = poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_ready())).await;
    assert!(!more, "and nothing else");
}
