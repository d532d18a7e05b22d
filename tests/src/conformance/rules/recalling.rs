//! Keys that clients give their requests.

use std::time::Duration;

use scheduler_core::store::{Recall, Recalled, Recalling, RequestId};
use scheduler_core::{Shard, Store};
use uuid::Uuid;

use super::history::tidy;
use crate::conformance::{Harness, World, done};

/// What a caller of its own asks of a key.
fn recall(key: RequestId, fingerprint: &str, what: Recalling) -> Recall {
    Recall {
        key,
        by: RequestId(Uuid::new_v4()),
        fingerprint: fingerprint.to_owned(),
        what,
    }
}

async fn ask<H: Harness>(world: &World<H>, recall: &Recall) -> Recalled {
    done(world.store.recall(recall).await)
}

pub async fn a_key_is_taken_once_and_keeps_its_answer<H: Harness>(mut world: World<H>) {
    let key = RequestId(Uuid::new_v4());
    let since = world.now();
    let mut first = recall(key, "one", Recalling::Take);
    assert_eq!(ask(&world, &first).await, Recalled::Yours(since));
    world.advance(Duration::from_secs(1)).await;
    assert_eq!(
        ask(&world, &first).await,
        Recalled::Yours(since),
        "asked again"
    );
    let second = recall(key, "one", Recalling::Take);
    assert_eq!(ask(&world, &second).await, Recalled::Pending(since));
    let other = recall(key, "two", Recalling::Take);
    assert_eq!(ask(&world, &other).await, Recalled::Other);
    // Nobody else says what came of it.
    for what in [Recalling::Keep("mine".to_owned()), Recalling::Free] {
        let meddling = recall(key, "one", what);
        assert_eq!(ask(&world, &meddling).await, Recalled::Pending(since));
    }
    let answer = "201 {\"a b\":\n\"\u{e4}\"}";
    first.what = Recalling::Keep(answer.to_owned());
    for _ in 0..2 {
        assert_eq!(ask(&world, &first).await, Recalled::Yours(since));
    }
    let answered = Recalled::Answered(answer.to_owned());
    assert_eq!(ask(&world, &second).await, answered);
    let late = recall(key, "one", Recalling::Free);
    assert_eq!(
        ask(&world, &late).await,
        answered,
        "what was answered stays"
    );
    assert_eq!(ask(&world, &other).await, Recalled::Other);
    let another = recall(RequestId(Uuid::new_v4()), "one", Recalling::Take);
    assert_eq!(ask(&world, &another).await, Recalled::Yours(world.now()));
}

pub async fn a_key_that_came_to_nothing_is_free_again<H: Harness>(mut world: World<H>) {
    let key = RequestId(Uuid::new_v4());
    let mut first = recall(key, "one", Recalling::Take);
    ask(&world, &first).await;
    let before = world.now();
    first.what = Recalling::Free;
    assert_eq!(ask(&world, &first).await, Recalled::Yours(before));
    world.advance(Duration::from_secs(1)).await;
    let other = recall(key, "two", Recalling::Take);
    assert_eq!(ask(&world, &other).await, Recalled::Yours(world.now()));
}

pub async fn keys_are_forgotten_with_requests<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let key = RequestId(Uuid::new_v4());
    ask(&world, &recall(key, "one", Recalling::Take)).await;
    world.advance(Duration::from_secs(59)).await;
    world.beat(&token).await;
    done(world.store.tidy(&tidy(&token, 100)).await);
    let again = recall(key, "two", Recalling::Take);
    assert_eq!(ask(&world, &again).await, Recalled::Other);
    let token = world.lead(&a).await;
    world.advance(Duration::from_secs(2)).await;
    done(world.store.tidy(&tidy(&token, 100)).await);
    assert_eq!(ask(&world, &again).await, Recalled::Yours(world.now()));
}
