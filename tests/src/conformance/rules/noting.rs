//! Notes: what handlers tell of their attempts.

use std::time::Duration;

use scheduler_core::notes::{MAX_ATTEMPTS, Note, NoteAnswer, Notes, RunNotes};
use scheduler_core::{Fence, RunId, Shard, Store};

use super::sessions::fence;
use crate::conformance::{Harness, Node, START, World, done, name};

const DAY: Duration = Duration::from_secs(86_400);

fn notes(text: &str) -> Notes {
    let mut notes = Notes::default();
    notes.log(text, START);
    notes
}

fn told(run: &RunId, attempt: u32, fence: u64, number: u64) -> RunNotes {
    RunNotes {
        run: run.clone(),
        attempt,
        fence: Fence(fence),
        number,
        notes: notes(&format!("attempt {attempt}, claim {fence}, {number}")),
    }
}

async fn tell<H: Harness>(world: &World<H>, node: &Node, notes: &[&RunNotes]) -> NoteAnswer {
    let request = Note {
        session: node.session.clone(),
        notes: notes.iter().map(|told| (*told).clone()).collect(),
        keep: DAY,
    };
    done(world.store.note(&request).await)
}

fn run(job: &str) -> RunId {
    RunId::fire(name(job), START)
}

pub async fn what_is_told_of_attempts_is_kept_with_their_runs<H: Harness>(world: World<H>) {
    let a = world.node("a").await;
    let before = world.see().await;
    let (one, two) = (run("one"), run("two words"));
    assert_eq!(done(world.store.notes(&one).await), []);
    let mut first = told(&one, 1, 5, 1);
    first
        .notes
        .progress(0.25, "a quarter", START)
        .expect("a fraction");
    first
        .notes
        .result(serde_json::json!({ "rows": [1, 2] }))
        .expect("small");
    first.notes.dropped = 7;
    let (second, other) = (told(&one, 2, 9, 1), told(&two, 1, 6, 1));
    for _ in 0..2 {
        assert_eq!(
            tell(&world, &a, &[&second, &first, &other]).await,
            NoteAnswer::Noted
        );
        assert_eq!(
            done(world.store.notes(&one).await),
            [first.clone(), second.clone()]
        );
        assert_eq!(
            done(world.store.notes(&two).await),
            std::slice::from_ref(&other)
        );
    }
    world
        .expect(&before, "notes are no part of what happens")
        .await;
}

pub async fn what_was_overtaken_changes_no_notes<H: Harness>(world: World<H>) {
    let a = world.node("a").await;
    let run = run("j");
    let later = told(&run, 1, 9, 2);
    tell(&world, &a, &[&later]).await;
    for overtaken in [told(&run, 1, 9, 1), told(&run, 1, 8, 3)] {
        assert_eq!(tell(&world, &a, &[&overtaken]).await, NoteAnswer::Noted);
        assert_eq!(
            done(world.store.notes(&run).await),
            std::slice::from_ref(&later)
        );
    }
    // The same attempt once more, under another claim, begins anew.
    let again = told(&run, 1, 10, 1);
    tell(&world, &a, &[&again]).await;
    assert_eq!(done(world.store.notes(&run).await), [again]);
}

pub async fn of_many_attempts_the_last_are_kept<H: Harness>(world: World<H>) {
    let a = world.node("a").await;
    let run = run("j");
    for attempt in 1..=MAX_ATTEMPTS + 3 {
        tell(&world, &a, &[&told(&run, attempt, u64::from(attempt), 1)]).await;
    }
    let kept = done(world.store.notes(&run).await);
    let attempts: Vec<_> = kept.iter().map(|told| told.attempt).collect();
    assert_eq!(attempts, (4..=MAX_ATTEMPTS + 3).collect::<Vec<_>>());
}

pub async fn a_dead_node_notes_nothing_more<H: Harness>(world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    let run = run("j");
    let first = told(&run, 1, 5, 1);
    tell(&world, &a, &[&first]).await;
    fence(&world, &a).await;
    assert_eq!(
        tell(&world, &a, &[&told(&run, 1, 5, 2)]).await,
        NoteAnswer::Gone
    );
    assert_eq!(
        done(world.store.notes(&run).await),
        std::slice::from_ref(&first)
    );
    let second = told(&run, 2, 6, 1);
    tell(&world, &b, &[&second]).await;
    assert_eq!(done(world.store.notes(&run).await), [first, second]);
}
