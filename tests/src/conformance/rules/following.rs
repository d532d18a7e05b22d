//! Runs that follow runs.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::after::{After, Follow, On};
use scheduler_core::change;
use scheduler_core::history::Record;
use scheduler_core::lease::LeaseToken;
use scheduler_core::plan::SkipReason;
use scheduler_core::policy::{Grace, Overlap};
use scheduler_core::run::{Claim, Ending, Outcome};
use scheduler_core::store::{Changed, Drain, FollowAnswer, PutJob};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Job, JobBuilder, JobDefaults, Policy, RunId, Shard, Store};

use super::sessions::fence;
use crate::conformance::{Harness, Node, World, done, job, name, request};

/// A job without a trigger of its own, which follows another.
fn following(id: &str, leader: &str, on: On) -> JobBuilder {
    let never = TriggerSpec::never().resolve(JobDefaults::default().timezone);
    let after = After {
        job: name(leader),
        on,
    };
    Job::builder(name(id), name("task"), never.expect("never")).after(Some(after))
}

/// Follows all that has ended; answers with what was made or skipped for it.
async fn follow<H: Harness>(world: &World<H>, token: &LeaseToken) -> Vec<Follow> {
    let mut followed = Vec::new();
    while let Some(request) = world.plan_following(token, 200).await {
        let answer = done(world.store.follow(&request).await);
        assert_eq!(answer, FollowAnswer::Followed);
        followed.extend(request.items.into_iter().map(|item| item.follow));
    }
    followed
}

/// A leader, and a job whose runs others may follow.
struct Scene {
    a: Node,
    token: LeaseToken,
}

impl Scene {
    async fn set<H: Harness>(world: &World<H>) -> Self {
        let a = world.node("a").await;
        let token = world.lead(&a).await;
        world.put(job("first")).await;
        Self { a, token }
    }

    /// A run of the first job ends so.
    async fn ends<H: Harness>(&mut self, world: &World<H>, ending: &Ending) -> RunId {
        let run = world.run_now("first").await;
        let claim = world.claim_one(&mut self.a).await;
        world.hand_in(&mut self.a, &claim, ending).await;
        run
    }

    async fn claimed<H: Harness>(&mut self, world: &World<H>) -> Vec<Claim> {
        world.claim(&mut self.a, 100).await
    }

    /// The jobs whose runs are claimed now.
    async fn claimed_jobs<H: Harness>(&mut self, world: &World<H>) -> Vec<String> {
        let claims = self.claimed(world).await;
        let mut jobs: Vec<_> = claims.iter().map(|c| c.run.job.to_string()).collect();
        jobs.sort_unstable();
        jobs
    }
}

fn failed() -> Ending {
    Ending::Failed("no".to_owned())
}

pub async fn a_run_that_ends_starts_those_that_follow_it<H: Harness>(world: World<H>) {
    let mut scene = Scene::set(&world).await;
    for (id, on) in [
        ("on success", On::Success),
        ("on failure", On::Failure),
        ("on any", On::Any),
    ] {
        assert!(world.peek(&scene.token).await.follows || id == "on success");
        world.put(following(id, "first", on)).await;
    }
    world.put(following("stranger", "another", On::Any)).await;
    assert!(world.peek(&scene.token).await.follows);
    assert_eq!(follow(&world, &scene.token).await, []);

    let run = scene.ends(&world, &Ending::Succeeded(None)).await;
    let followed = follow(&world, &scene.token).await;
    assert_eq!(followed.len(), 2);
    for follow in &followed {
        let Follow::Run(made, _) = follow else {
            panic!("{follow:?}");
        };
        assert!(made.cause.follows(), "{made}");
        assert_ne!(made.job, run.job);
    }
    assert_eq!(scene.claimed_jobs(&world).await, ["on any", "on success"]);
    assert_eq!(follow(&world, &scene.token).await, [], "once");

    let mut scene = Scene {
        a: world.node("b").await,
        ..scene
    };
    scene.ends(&world, &failed()).await;
    let followed = follow(&world, &scene.token).await;
    let made =
        |follow: &Follow| matches!(follow, Follow::Run(run, _) if run.job.as_str() == "on failure");
    assert!(followed.iter().any(made), "{followed:?}");
    assert_eq!(
        scene.claimed_jobs(&world).await,
        ["on failure"],
        "the other is in flight still"
    );
}

pub async fn what_was_followed_is_never_followed_again<H: Harness>(world: World<H>) {
    let mut scene = Scene::set(&world).await;
    world.put(following("next", "first", On::Success)).await;
    scene.ends(&world, &Ending::Succeeded(None)).await;
    let request = world
        .plan_following(&scene.token, 200)
        .await
        .expect("something to do");
    assert_eq!(
        done(world.store.follow(&request).await),
        FollowAnswer::Followed
    );
    let claims = scene.claimed(&world).await;
    assert_eq!(claims.len(), 1);
    // Its answer was lost; and when it comes at last, the run that it made has ended.
    let before = world.see().await;
    assert_eq!(
        done(world.store.follow(&request).await),
        FollowAnswer::Changed
    );
    world.expect(&before, "following again").await;
    world
        .hand_in(&mut scene.a, &claims[0], &Ending::Succeeded(None))
        .await;
    let before = world.see().await;
    assert_eq!(
        done(world.store.follow(&request).await),
        FollowAnswer::Changed
    );
    world.expect(&before, "following again, later").await;
    assert_eq!(scene.claimed(&world).await, []);
}

pub async fn a_deposed_leader_follows_nothing<H: Harness>(world: World<H>) {
    let mut scene = Scene::set(&world).await;
    world.put(following("next", "first", On::Success)).await;
    scene.ends(&world, &Ending::Succeeded(None)).await;
    let request = world
        .plan_following(&scene.token, 200)
        .await
        .expect("something to do");
    done(world.store.release(&scene.token).await);
    let b = world.node("b").await;
    let token = world.lead(&b).await;
    let before = world.see().await;
    assert_eq!(
        done(world.store.follow(&request).await),
        FollowAnswer::LeaseLost
    );
    world.expect(&before, "following without the lease").await;
    // What it had planned is there for the next.
    assert_eq!(follow(&world, &token).await.len(), 1);
    assert_eq!(scene.claimed_jobs(&world).await, ["next"]);
}

pub async fn only_what_ends_later_is_followed<H: Harness>(world: World<H>) {
    let mut scene = Scene::set(&world).await;
    scene.ends(&world, &Ending::Succeeded(None)).await;
    world.put(following("next", "first", On::Success)).await;
    assert_eq!(follow(&world, &scene.token).await, []);
    scene.ends(&world, &Ending::Succeeded(None)).await;
    // Changed without changing whom it follows, it misses nothing.
    let stored = world.stored("next").await;
    let renamed = following("next", "first", On::Success).name("Next").build();
    let change = change::replace(&stored, renamed, world.now()).expect("a change");
    world.write(Some(stored.version), change).await;
    assert_eq!(follow(&world, &scene.token).await.len(), 1);
    assert_eq!(scene.claimed_jobs(&world).await, ["next"]);
    // Removed and put again, it begins anew.
    scene.ends(&world, &Ending::Succeeded(None)).await;
    world.remove("next").await;
    world.put(following("next", "first", On::Success)).await;
    assert_eq!(follow(&world, &scene.token).await, []);
}

pub async fn a_plan_for_another_version_follows_nothing<H: Harness>(world: World<H>) {
    let mut scene = Scene::set(&world).await;
    world.put(following("next", "first", On::Success)).await;
    scene.ends(&world, &Ending::Succeeded(None)).await;
    let request = world
        .plan_following(&scene.token, 200)
        .await
        .expect("something to do");
    let stored = world.stored("next").await;
    let renamed = following("next", "first", On::Success).name("Next").build();
    let change = change::replace(&stored, renamed, world.now()).expect("a change");
    world.write(Some(stored.version), change).await;
    let before = world.see().await;
    assert_eq!(
        done(world.store.follow(&request).await),
        FollowAnswer::Changed
    );
    world.expect(&before, "a plan that is out of date").await;
    assert_eq!(
        follow(&world, &scene.token).await.len(),
        1,
        "nothing was lost"
    );
}

pub async fn runs_that_are_lost_or_cancelled_are_followed_too<H: Harness>(world: World<H>) {
    let mut scene = Scene::set(&world).await;
    for (id, on) in [("on failure", On::Failure), ("on any", On::Any)] {
        let builder = following(id, "first", on);
        world
            .put(builder.max_instances(NonZeroU32::new(10).expect("not 0")))
            .await;
    }
    let run = world.run_now("first").await;
    let claim = world.claim_one(&mut scene.a).await;
    let reason = "not any more".to_owned();
    let cancelled = Ending::Cancelled {
        reason,
        last_words: None,
    };
    world.hand_in(&mut scene.a, &claim, &cancelled).await;
    assert_eq!(claim.run, run);
    assert_eq!(follow(&world, &scene.token).await.len(), 1, "on any");
    scene.claimed(&world).await;

    let mut dying = world.node("b").await;
    world.run_now("first").await;
    let claim = world.claim_one(&mut dying).await;
    fence(&world, &dying).await;
    let mut lost = world.settled(&claim, &Ending::NodeLost).await;
    lost.verdict = scheduler_core::run::Verdict::End(Outcome::Lost);
    if let Some(Record::Run(record)) = &mut lost.record {
        record.outcome = Outcome::Lost;
    }
    let drain = Drain {
        session: dying.session.clone(),
        items: vec![lost],
    };
    assert_eq!(done(world.store.drain(&drain).await).left, 0);
    assert_eq!(follow(&world, &scene.token).await.len(), 2, "a lost run");
}

pub async fn a_follower_without_room_lines_up_or_is_recorded<H: Harness>(world: World<H>) {
    let mut scene = Scene::set(&world).await;
    let policy = Policy {
        overlap: Overlap::Queue,
        ..Policy::default()
    };
    world
        .put(following("lines up", "first", On::Any).policy(policy))
        .await;
    world.put(following("skips", "first", On::Any)).await;
    for _ in 0..3 {
        scene.ends(&world, &Ending::Succeeded(None)).await;
    }
    assert_eq!(follow(&world, &scene.token).await.len(), 6);
    let sight = world.see().await;
    let skipped: Vec<_> = sight
        .records()
        .into_iter()
        .filter_map(|record| match record {
            Record::Skip(skip) => Some((skip.job.to_string(), skip.skipped)),
            Record::Run(_) => None,
        })
        .collect();
    let full = ("skips".to_owned(), SkipReason::MaxInstances);
    assert_eq!(skipped, [full.clone(), full]);
    assert_eq!(scene.claimed_jobs(&world).await, ["lines up", "skips"]);
    assert_eq!(world.queue("default").await.lined_up, 2);
}

pub async fn paused_and_late_followers_are_recorded_as_skipped<H: Harness>(mut world: World<H>) {
    let mut scene = Scene::set(&world).await;
    let grace = Grace::Within(Duration::from_secs(60));
    world
        .put(following("late", "first", On::Any).misfire_grace_time(grace))
        .await;
    world.put(following("paused", "first", On::Any)).await;
    let stored = world.stored("paused").await;
    let pause = change::pause(&stored).expect("it is not paused");
    world.write(Some(stored.version), pause).await;
    scene.ends(&world, &Ending::Succeeded(None)).await;
    world.advance(Duration::from_secs(61)).await;
    let followed = follow(&world, &scene.token).await;
    let reasons: Vec<_> = followed
        .iter()
        .map(|follow| match follow {
            Follow::Skip(skip) => (skip.job.as_str(), skip.skipped),
            Follow::Run(run, _) => panic!("{run}"),
        })
        .collect();
    assert_eq!(
        reasons,
        [
            ("late", SkipReason::Misfired),
            ("paused", SkipReason::Paused)
        ]
    );
    assert_eq!(scene.claimed(&world).await, []);
}

pub async fn many_followers_are_started_bit_by_bit_and_each_once<H: Harness>(world: World<H>) {
    let mut scene = Scene::set(&world).await;
    for number in 0..7 {
        world
            .put(following(&format!("f{number}"), "first", On::Any))
            .await;
    }
    scene.ends(&world, &Ending::Succeeded(None)).await;
    let mut started = Vec::new();
    while let Some(request) = world.plan_following(&scene.token, 3).await {
        assert_eq!(
            done(world.store.follow(&request).await),
            FollowAnswer::Followed
        );
        // What the one before has done is not done again.
        assert_eq!(
            done(world.store.follow(&request).await),
            FollowAnswer::Changed
        );
        started.push(request.items.len());
    }
    assert_eq!(started, [3, 3, 1]);
    let jobs = scene.claimed_jobs(&world).await;
    assert_eq!(jobs, ["f0", "f1", "f2", "f3", "f4", "f5", "f6"]);
}

pub async fn jobs_cannot_follow_one_another_in_a_circle<H: Harness>(world: World<H>) {
    world.put(following("b", "a", On::Any)).await;
    world.put(following("c", "b", On::Any)).await;
    let before = world.see().await;
    let circle = following("a", "c", On::Any).build();
    let change = change::put_new(circle, None, world.now()).expect("a change");
    assert_eq!(
        world.try_write(None, change.clone()).await,
        Changed::Conflict
    );
    world.expect(&before, "a circle").await;
    // Nor where two of them come at once.
    let both = ["x", "y"].into_iter().zip(["y", "x"]);
    let changes = both.map(|(id, leader)| {
        let job = following(id, leader, On::Any).build();
        (
            None,
            change::put_new(job, None, world.now()).expect("a change"),
        )
    });
    let put = PutJob {
        request: request(),
        all_or_none: false,
        changes: changes.collect(),
    };
    let answers = done(world.store.put(&put).await);
    assert!(
        matches!(answers[..], [Changed::Done(_), Changed::Conflict]),
        "{answers:?}"
    );
    // Where one of them follows no longer, there is none.
    world.remove("b").await;
    world.write(None, change).await;
}

pub async fn a_job_that_follows_stays_without_a_schedule<H: Harness>(world: World<H>) {
    let scene = Scene::set(&world).await;
    world.put(following("next", "first", On::Success)).await;
    let finished = world.peek(&scene.token).await.finished;
    assert_eq!(finished, [], "it has no schedule that could be over");
    let retire = scheduler_core::store::Retire {
        token: scene.token.clone(),
        jobs: finished,
    };
    assert!(done(world.store.retire(&retire).await));
    let stored = world.stored("next").await;
    assert_eq!(stored.standing(), scheduler_core::Standing::Active);
    assert_eq!(stored.next_fire, None);
}
