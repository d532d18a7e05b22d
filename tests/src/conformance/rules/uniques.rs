//! Unique keys: one live job for each, however many put one.

use std::time::Duration;

use scheduler_core::change::{self, Change};
use scheduler_core::lease::LeaseToken;
use scheduler_core::run::Ending;
use scheduler_core::store::{Changed, JobWrite, PutJob, Retire, Supersede};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::unique::{Holder, Unique};
use scheduler_core::{Job, JobBuilder, JobDefaults, JobId, Shard, Store, Timestamp, UniqueKey};

use crate::conformance::{EVERY, Harness, START, World, done, name, request};

const TTL: Duration = Duration::from_secs(60);

/// A job that runs once, ten seconds after the start.
fn once(id: &str) -> JobBuilder {
    at(id, START.after(EVERY))
}

fn at(id: &str, at: Timestamp) -> JobBuilder {
    let spec = serde_json::json!({ "type": "date", "run_date": at.to_string() });
    let spec: TriggerSpec = serde_json::from_value(spec).expect("a date");
    let trigger = spec.resolve(JobDefaults::default().timezone);
    Job::builder(name(id), name("task"), trigger.expect("a date"))
}

fn key(text: &str) -> UniqueKey {
    name(text)
}

fn unique(text: &str) -> Option<Unique> {
    Some(Unique::new(key(text)))
}

fn held_for_a_minute(text: &str) -> Option<Unique> {
    Some(Unique::new(key(text)).held_for(TTL))
}

/// What putting this job as a new one comes to.
async fn new<H: Harness>(
    world: &World<H>,
    job: JobBuilder,
) -> (Option<scheduler_core::Version>, Change) {
    let job = job.build();
    let JobWrite {
        stored, fired, now, ..
    } = world.read(job.id()).await;
    let version = stored.as_ref().map(|stored| stored.version);
    let change = match &stored {
        Some(stored) => change::replace(stored, job, now),
        None => change::put_new(job, fired, now),
    };
    (version, change.expect("a schedule that is not over"))
}

async fn put<H: Harness>(world: &World<H>, job: JobBuilder) -> Changed {
    let (version, change) = new(world, job).await;
    world.try_write(version, change).await
}

async fn must_put<H: Harness>(world: &World<H>, job: JobBuilder) {
    let answer = put(world, job).await;
    assert!(matches!(answer, Changed::Done(_)), "{answer:?}");
}

/// Lets a job leave the store whose run has ended.
async fn retire<H: Harness>(world: &World<H>, token: &LeaseToken, id: &str) {
    let request = Retire {
        token: token.clone(),
        jobs: vec![name(id)],
    };
    assert!(done(world.store.retire(&request).await));
}

async fn holder<H: Harness>(world: &World<H>, text: &str) -> Option<String> {
    let mut holders = done(world.store.holders(&[key("none"), key(text)]).await);
    let found = holders.pop().expect("an answer for each key");
    assert_eq!(holders, [None]);
    found.map(|holder| holder.job.to_string())
}

pub async fn a_key_is_one_live_jobs<H: Harness>(world: World<H>) {
    must_put(&world, once("a").unique(unique("k"))).await;
    let before = world.see().await;
    assert_eq!(
        put(&world, once("b").unique(unique("k"))).await,
        Changed::Taken
    );
    assert_eq!(
        put(&world, once("b").unique(held_for_a_minute("k"))).await,
        Changed::Taken
    );
    world
        .expect(&before, "putting a job whose key is taken")
        .await;
    assert_eq!(holder(&world, "k").await.as_deref(), Some("a"));
    must_put(&world, once("c").unique(unique("another"))).await;
    must_put(&world, once("d")).await;

    let mut changes = Vec::new();
    for id in ["e", "f", "g"] {
        let key = if id == "g" { "third" } else { "second" };
        changes.push(new(&world, once(id).unique(unique(key))).await);
    }
    let request = PutJob {
        request: request(),
        all_or_none: false,
        changes,
    };
    let answers = done(world.store.put(&request).await);
    assert!(
        matches!(
            answers[..],
            [Changed::Done(_), Changed::Taken, Changed::Done(_)]
        ),
        "{answers:?}"
    );
    assert_eq!(
        done(world.store.put(&request).await),
        answers,
        "asked again"
    );
    assert_eq!(world.see().await.jobs.len(), 5);
}

pub async fn a_key_without_a_time_is_held_until_the_run_has_ended<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    must_put(&world, once("j").unique(unique("k"))).await;
    world.fire(&token, "j").await;
    let other = || at("other", START.after(EVERY * 100)).unique(unique("k"));
    assert_eq!(put(&world, other()).await, Changed::Taken, "it waits");
    let claim = world.claim_one(&mut a).await;
    world.advance(TTL * 30).await;
    assert_eq!(put(&world, other()).await, Changed::Taken, "it is executed");
    world
        .hand_in(&mut a, &claim, &Ending::Failed("no".to_owned()))
        .await;
    assert_eq!(holder(&world, "k").await, None, "well or not, it has ended");
    let other = at("other", world.now().after(EVERY)).unique(unique("k"));
    must_put(&world, other).await;
    assert_eq!(holder(&world, "k").await.as_deref(), Some("other"));

    // That the first one leaves the store now takes nothing from the other.
    retire(&world, &token, "j").await;
    assert_eq!(world.see().await.jobs.len(), 1);
    assert_eq!(holder(&world, "k").await.as_deref(), Some("other"));
}

pub async fn a_key_with_a_time_is_held_for_so_long<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    must_put(&world, once("j").unique(held_for_a_minute("k"))).await;
    let until = Some(START.after(TTL));
    let found = done(world.store.holders(&[key("k")]).await);
    assert_eq!(
        found,
        [Some(Holder {
            job: name("j"),
            until
        })]
    );
    world.fire(&token, "j").await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    retire(&world, &token, "j").await;
    world.tidy(&token).await;
    let before = world.see().await;
    assert_eq!(before.jobs.len(), 0);
    world
        .set_clock(START.after(TTL).before(Duration::from_millis(1)))
        .await;
    // Nobody gets it, neither another job nor the same one once more.
    for id in ["other", "j"] {
        let again = at(id, START.after(TTL * 2)).unique(held_for_a_minute("k"));
        assert_eq!(put(&world, again).await, Changed::Taken, "{id}");
    }
    world
        .expect(&before, "putting jobs whose key is held still")
        .await;
    world.set_clock(START.after(TTL)).await;
    assert_eq!(holder(&world, "k").await, None);
    world.tidy(&token).await;
    must_put(
        &world,
        at("other", START.after(TTL * 10)).unique(held_for_a_minute("k")),
    )
    .await;
    // It holds the key no longer than that, though it still waits.
    world.advance(TTL).await;
    must_put(
        &world,
        at("third", START.after(TTL * 10)).unique(unique("k")),
    )
    .await;
    world.tidy(&token).await;
    assert_eq!(holder(&world, "k").await.as_deref(), Some("third"));
    world.remove("other").await;
    assert_eq!(
        holder(&world, "k").await.as_deref(),
        Some("third"),
        "not its own any more"
    );
}

pub async fn a_removed_job_frees_its_key<H: Harness>(world: World<H>) {
    for unique in [unique("k"), held_for_a_minute("k")] {
        must_put(&world, once("j").unique(unique.clone())).await;
        assert_eq!(
            put(&world, once("other").unique(unique.clone())).await,
            Changed::Taken
        );
        world.remove("j").await;
        assert_eq!(holder(&world, "k").await, None);
        must_put(&world, once("other").unique(unique)).await;
        world.remove("other").await;
    }
}

pub async fn a_changed_job_keeps_the_key_that_it_has<H: Harness>(mut world: World<H>) {
    must_put(&world, once("j").unique(held_for_a_minute("k"))).await;
    world.advance(Duration::from_secs(1)).await;
    let stored = world.stored("j").await;
    let paused = change::pause(&stored).expect("a pause");
    world.write(Some(stored.version), paused).await;
    world
        .put(once("j").unique(held_for_a_minute("k")).args("changed"))
        .await;
    let until = Some(START.after(TTL));
    let found = done(world.store.holders(&[key("k")]).await);
    assert_eq!(
        found,
        [Some(Holder {
            job: name("j"),
            until
        })],
        "no longer than before"
    );

    // One that has lost its key by time goes on without, and can be changed.
    world.advance(TTL).await;
    must_put(
        &world,
        at("other", START.after(TTL * 9)).unique(unique("k")),
    )
    .await;
    let stored = world.stored("j").await;
    let resumed = change::resume(&stored, world.now()).expect("a pause");
    world.write(Some(stored.version), resumed).await;
    assert_eq!(holder(&world, "k").await.as_deref(), Some("other"));
}

pub async fn a_job_that_is_put_with_another_key_gives_up_its_own<H: Harness>(world: World<H>) {
    must_put(&world, once("j").unique(unique("k"))).await;
    must_put(&world, once("other").unique(unique("l"))).await;
    let before = world.see().await;
    assert_eq!(
        put(&world, once("j").unique(unique("l"))).await,
        Changed::Taken
    );
    world
        .expect(&before, "a change to a key that is taken")
        .await;
    assert_eq!(holder(&world, "k").await.as_deref(), Some("j"));
    world.put(once("j").unique(unique("m"))).await;
    assert_eq!(holder(&world, "k").await, None);
    assert_eq!(holder(&world, "m").await.as_deref(), Some("j"));
    world.put(once("j")).await;
    assert_eq!(holder(&world, "m").await, None);
}

pub async fn a_job_that_is_kept_frees_its_key_when_its_run_has_ended<H: Harness>(
    mut world: World<H>,
) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let policy = scheduler_core::Policy {
        keep: true,
        ..scheduler_core::Policy::default()
    };
    must_put(&world, once("j").policy(policy).unique(unique("k"))).await;
    world.fire(&token, "j").await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(holder(&world, "k").await, None);
    retire(&world, &token, "j").await;
    assert_eq!(holder(&world, "k").await, None);
    assert_eq!(world.see().await.jobs.len(), 1);
}

/// The request by which a job takes the place of the one that holds its key.
async fn superseding<H: Harness>(world: &World<H>, holder: &str, job: JobBuilder) -> Supersede {
    let (expected, change) = new(world, job).await;
    let is_stored = world.read(&name(holder)).await.stored.is_some();
    Supersede {
        request: request(),
        holder: name(holder),
        removal: if is_stored {
            Some(world.removal(holder).await)
        } else {
            None
        },
        expected,
        change,
    }
}

pub async fn a_job_takes_the_place_of_the_one_that_holds_its_key<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    must_put(&world, once("first").unique(unique("k"))).await;
    let second = superseding(&world, "first", once("second").unique(unique("k"))).await;
    let answer = done(world.store.supersede(&second).await);
    assert!(matches!(answer, Changed::Done(_)), "{answer:?}");
    assert_eq!(
        done(world.store.supersede(&second).await),
        answer,
        "asked again"
    );
    let ids: Vec<_> = world.see().await.jobs.into_keys().collect();
    assert_eq!(ids, [name::<JobId>("second")]);
    assert_eq!(holder(&world, "k").await.as_deref(), Some("second"));

    // What was begun goes on; the key is the next one's.
    world.fire(&token, "second").await;
    let claim = world.claim_one(&mut a).await;
    let third = at("third", world.now().after(EVERY)).unique(unique("k"));
    let third = superseding(&world, "second", third).await;
    let answer = done(world.store.supersede(&third).await);
    assert!(matches!(answer, Changed::Done(_)), "{answer:?}");
    assert_eq!(holder(&world, "k").await.as_deref(), Some("third"));
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(holder(&world, "k").await.as_deref(), Some("third"));

    // What was due and not dispatched is recorded as removed.
    world.advance(EVERY).await;
    let before = world.see().await.history.len();
    let fourth = at("fourth", world.now().after(EVERY)).unique(held_for_a_minute("k"));
    let fourth = superseding(&world, "third", fourth).await;
    done(world.store.supersede(&fourth).await);
    let sight = world.see().await;
    assert_eq!((sight.history.len(), sight.jobs.len()), (before + 1, 1));

    // One that has ended, and holds the key still, has nothing to be removed.
    world.fire(&token, "fourth").await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    retire(&world, &token, "fourth").await;
    let again = at("fourth", world.now().after(EVERY)).unique(unique("k"));
    let again = superseding(&world, "fourth", again).await;
    assert!(again.removal.is_none());
    let answer = done(world.store.supersede(&again).await);
    assert!(matches!(answer, Changed::Done(_)), "{answer:?}");
    assert_eq!(holder(&world, "k").await.as_deref(), Some("fourth"));
}

pub async fn who_is_refused_a_place_removes_nobody<H: Harness>(world: World<H>) {
    must_put(&world, once("holder").unique(unique("k"))).await;
    must_put(&world, once("bystander").unique(unique("l"))).await;
    let new = || at("new", START.after(EVERY * 9)).unique(unique("k"));
    let other = superseding(&world, "bystander", new()).await;
    let own = superseding(&world, "holder", once("holder").unique(unique("k"))).await;
    // Somebody put a job of its id meanwhile.
    let late = superseding(&world, "holder", new()).await;
    must_put(&world, at("new", START.after(EVERY * 9))).await;
    let before = world.see().await;
    for request in [other, own, late] {
        let answer = done(world.store.supersede(&request).await);
        assert_eq!(answer, Changed::Conflict, "{request:?}");
        world.expect(&before, "a refused change").await;
    }
}

pub async fn who_had_a_key_once_takes_it_with_the_place_of_its_holder<H: Harness>(
    mut world: World<H>,
) {
    let late = |id| at(id, START.after(TTL * 9));
    must_put(&world, late("a").unique(held_for_a_minute("k"))).await;
    world.advance(TTL * 2).await;
    must_put(&world, late("b").unique(unique("k"))).await;
    let request = superseding(&world, "b", late("a").unique(unique("k"))).await;
    let answer = done(world.store.supersede(&request).await);
    assert!(matches!(answer, Changed::Done(_)), "{answer:?}");
    assert_eq!(holder(&world, "k").await.as_deref(), Some("a"));
}

pub async fn nobody_takes_the_place_of_one_that_is_not_as_it_was_seen<H: Harness>(
    mut world: World<H>,
) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    must_put(&world, once("holder").unique(unique("k"))).await;
    must_put(&world, once("bystander").unique(unique("l"))).await;
    let new = || at("new", START.after(EVERY * 9)).unique(unique("k"));
    let stale = superseding(&world, "holder", new()).await;
    let other = superseding(&world, "bystander", new()).await;
    let mut unseen = stale.clone();
    (unseen.request, unseen.removal) = (request(), None);
    world
        .put(once("holder").unique(unique("k")).args("changed"))
        .await;
    let fired_since = superseding(&world, "holder", new()).await;
    world.fire(&token, "holder").await;
    let before = world.see().await;
    for request in [stale, other, unseen, fired_since] {
        let answer = done(world.store.supersede(&request).await);
        assert_eq!(answer, Changed::Conflict, "{request:?}");
    }
    world.expect(&before, "taking the place of others").await;
    assert_eq!(holder(&world, "k").await.as_deref(), Some("holder"));
    assert_eq!(holder(&world, "l").await.as_deref(), Some("bystander"));
}
