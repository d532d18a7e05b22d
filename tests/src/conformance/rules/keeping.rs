//! How much of a single job's history is kept: more than of all jobs, or less.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::history::Record;
use scheduler_core::lease::LeaseToken;
use scheduler_core::run::Ending;
use scheduler_core::store::{HistoryPage, HistoryQuery, Tidy, TidyAnswer};
use scheduler_core::{HistoryPolicy, RunId, Shard, Store, Timestamp};

use crate::conformance::{Harness, Node, World, done, job, name};

/// Much longer than what is written in a row takes.
const LONG: Duration = Duration::from_secs(200);

fn policy(keep: Option<u32>, keep_for: Option<Duration>) -> HistoryPolicy {
    HistoryPolicy {
        keep: keep.and_then(NonZeroU32::new),
        keep_for,
    }
}

/// A world with a job `rare` of this policy and a job `noisy` of none, and a leader.
async fn with_jobs<H: Harness>(world: &World<H>, policy: HistoryPolicy) -> (Node, LeaseToken) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let many = NonZeroU32::new(500).expect("not 0");
    world
        .put(job("rare").history(policy).max_instances(many))
        .await;
    world.put(job("noisy").max_instances(many)).await;
    (a, token)
}

/// Lets a job run so many times, each recorded by itself, a second apart; answers with the runs, the
/// newest first.
async fn run<H: Harness>(
    world: &mut World<H>,
    node: &mut Node,
    id: &str,
    times: usize,
) -> Vec<RunId> {
    let mut runs = Vec::new();
    for _ in 0..times {
        world.advance(Duration::from_secs(1)).await;
        world.run_now(id).await;
        let claim = world.claim_one(node).await;
        world.hand_in(node, &claim, &Ending::Succeeded(None)).await;
        runs.insert(0, claim.run);
    }
    runs
}

/// Lets a job run so many times at once; they are recorded together.
async fn run_together<H: Harness>(world: &World<H>, node: &mut Node, id: &str, times: usize) {
    for _ in 0..times {
        world.run_now(id).await;
    }
    let claims = world.claim(node, times).await;
    assert_eq!(claims.len(), times);
    let mut settled = Vec::new();
    for claim in &claims {
        settled.push(world.settled(claim, &Ending::Succeeded(None)).await);
    }
    let request = node.exchange(settled, 0);
    world.exchange(&request).await;
}

fn tidying(token: &LeaseToken, keep_history: u64) -> Tidy {
    Tidy {
        token: token.clone(),
        keep_history,
        keep_history_for: None,
        keep_requests: LONG,
        keep_fired: LONG,
        keep_failed: 100,
        keep_failed_for: LONG,
    }
}

/// Tidies until nothing is left to forget.
async fn tidy<H: Harness>(world: &World<H>, request: &Tidy) {
    for _ in 0..1_000 {
        match done(world.store.tidy(request).await) {
            TidyAnswer::Done => return,
            TidyAnswer::More => {}
            TidyAnswer::LeaseLost => panic!("the lease was lost"),
        }
    }
    panic!("tidying comes to no end");
}

/// What is shown of a job: its runs, the newest first, read so many at a time; and where the job's
/// policy ended it.
async fn shown<H: Harness>(
    world: &World<H>,
    id: &str,
    limit: usize,
) -> (Vec<RunId>, Option<Timestamp>) {
    let mut query = HistoryQuery {
        job: Some(name(id)),
        limit,
        ..HistoryQuery::default()
    };
    let mut runs = Vec::new();
    loop {
        let page: HistoryPage = done(world.store.history(&query).await);
        assert!(page.entries.len() <= limit, "no more than was asked for");
        assert!(page.entries.is_sorted_by(|a, b| a.at >= b.at));
        for entry in page.entries {
            // That fire times of a removed job are skipped is recorded, too.
            if let Record::Run(run) = entry.record {
                runs.push(run.run);
            }
        }
        match page.older {
            Some(older) => query.before = Some(older),
            None => return (runs, page.cut),
        }
    }
}

/// The same, whatever ended it.
async fn runs_of<H: Harness>(world: &World<H>, id: &str) -> Vec<RunId> {
    shown(world, id, 100).await.0
}

pub async fn a_job_keeps_more_of_its_history_than_is_kept_of_all<H: Harness>(mut world: World<H>) {
    let (mut a, token) = with_jobs(&world, policy(Some(3), None)).await;
    let rare = run(&mut world, &mut a, "rare", 5).await;
    let noisy = run(&mut world, &mut a, "noisy", 5).await;
    let request = tidying(&token, 2);
    tidy(&world, &request).await;
    assert_eq!(runs_of(&world, "noisy").await, noisy[..2]);
    for limit in [1, 2, 3, 100] {
        let (runs, _) = shown(&world, "rare", limit).await;
        assert_eq!(runs, rare[..3], "{limit} at a time");
    }
    assert_eq!(world.see().await.history.len(), 2, "of all jobs");

    // What is new comes before what was kept, and pushes it out.
    let newer = run(&mut world, &mut a, "rare", 2).await;
    let expected = [&newer[..], &rare[..1]].concat();
    assert_eq!(runs_of(&world, "rare").await, expected);
    run(&mut world, &mut a, "noisy", 3).await;
    tidy(&world, &request).await;
    tidy(&world, &request).await;
    for limit in [1, 2, 100] {
        let (runs, _) = shown(&world, "rare", limit).await;
        assert_eq!(runs, expected, "asked again, {limit} at a time");
    }
}

pub async fn a_job_shows_no_more_of_its_history_than_it_keeps<H: Harness>(mut world: World<H>) {
    let (mut a, token) = with_jobs(&world, policy(Some(2), None)).await;
    run(&mut world, &mut a, "rare", 1).await;
    let cut = world.now();
    let rare = run(&mut world, &mut a, "rare", 2).await;
    run(&mut world, &mut a, "noisy", 1).await;
    for limit in [1, 2, 100] {
        let shown = shown(&world, "rare", limit).await;
        assert_eq!(shown, (rare.clone(), Some(cut)), "{limit} at a time");
    }
    assert_eq!(shown(&world, "noisy", 100).await.1, None);
    assert_eq!(world.see().await.history.len(), 4, "of all jobs");
    // Also where few of them are looked for.
    let query = HistoryQuery {
        job: Some(name("rare")),
        until: Some(cut),
        limit: 10,
        ..HistoryQuery::default()
    };
    assert_eq!(done(world.store.history(&query).await).entries, []);
    // Who goes onward is shown what comes, as of all jobs.
    let onward = HistoryQuery {
        after: Some("0".to_owned()),
        until: None,
        ..query
    };
    assert_eq!(done(world.store.history(&onward).await).entries.len(), 3);
    tidy(&world, &tidying(&token, 1)).await;
    assert_eq!(runs_of(&world, "rare").await, rare);
}

pub async fn a_job_keeps_its_history_for_as_long_as_it_says<H: Harness>(mut world: World<H>) {
    let (mut a, token) = with_jobs(&world, policy(None, Some(LONG))).await;
    let early = run(&mut world, &mut a, "rare", 2).await;
    world.advance(LONG / 2).await;
    let late = run(&mut world, &mut a, "rare", 2).await;
    let all = [&late[..], &early[..]].concat();
    let noisy = run(&mut world, &mut a, "noisy", 2).await;
    let request = Tidy {
        keep_history_for: Some(Duration::from_millis(500)),
        ..tidying(&token, 1_000)
    };
    tidy(&world, &request).await;
    assert_eq!(runs_of(&world, "rare").await, all);
    assert_eq!(runs_of(&world, "noisy").await, noisy[..1]);
    // Too old, whether anybody has tidied since or not.
    world.advance(LONG / 2).await;
    assert_eq!(runs_of(&world, "rare").await, late);
    tidy(&world, &request).await;
    assert_eq!(runs_of(&world, "rare").await, late);
    world.advance(LONG).await;
    assert_eq!(runs_of(&world, "rare").await, []);
    tidy(&world, &request).await;
    let again = run(&mut world, &mut a, "rare", 1).await;
    assert_eq!(runs_of(&world, "rare").await, again);
}

pub async fn a_changed_policy_counts_for_what_is_kept<H: Harness>(mut world: World<H>) {
    let (mut a, token) = with_jobs(&world, policy(Some(4), None)).await;
    let rare = run(&mut world, &mut a, "rare", 4).await;
    run(&mut world, &mut a, "noisy", 1).await;
    let request = tidying(&token, 1);
    tidy(&world, &request).await;
    assert_eq!(runs_of(&world, "rare").await, rare);
    world.put(job("rare").history(policy(Some(2), None))).await;
    assert_eq!(runs_of(&world, "rare").await, rare[..2]);
    tidy(&world, &request).await;
    // What was forgotten does not come back.
    world
        .put(job("rare").history(policy(Some(4), Some(LONG))))
        .await;
    assert_eq!(runs_of(&world, "rare").await, rare[..2]);
    world.put(job("rare")).await;
    assert_eq!(runs_of(&world, "rare").await, []);
    tidy(&world, &request).await;
    world.put(job("rare").history(policy(Some(4), None))).await;
    assert_eq!(runs_of(&world, "rare").await, []);
}

pub async fn what_was_kept_of_a_removed_job_grows_old<H: Harness>(mut world: World<H>) {
    let many = NonZeroU32::new(500).expect("not 0");
    let (mut a, token) = with_jobs(&world, policy(Some(4), Some(6 * LONG))).await;
    let by_number = job("counted").history(policy(Some(4), None));
    world.put(by_number.max_instances(many)).await;
    let mut request = tidying(&token, 1);
    let counted = run(&mut world, &mut a, "counted", 2).await;
    let rare = run(&mut world, &mut a, "rare", 2).await;
    run(&mut world, &mut a, "noisy", 1).await;
    tidy(&world, &request).await;
    let more = run(&mut world, &mut a, "rare", 1).await;
    for id in ["rare", "counted"] {
        world.remove(id).await;
    }
    let all = [more, rare].concat();
    assert_eq!(runs_of(&world, "counted").await, counted);
    assert_eq!(runs_of(&world, "rare").await, all);
    // What was settled of them is forgotten by then, and what is kept by number with it.
    world.advance(2 * LONG).await;
    tidy(&world, &request).await;
    assert_eq!(world.read(&name("counted")).await.fired, None);
    assert_eq!(runs_of(&world, "counted").await, []);
    assert_eq!(runs_of(&world, "rare").await, all);
    // What is still among the others is kept on when these go.
    run(&mut world, &mut a, "noisy", 2).await;
    tidy(&world, &request).await;
    assert_eq!(runs_of(&world, "rare").await, all);
    world.advance(6 * LONG).await;
    assert_eq!(runs_of(&world, "rare").await, []);
    request.keep_history = 1_000;
    tidy(&world, &request).await;
    assert_eq!(runs_of(&world, "rare").await, []);
}

pub async fn much_of_a_jobs_history_is_kept_bit_by_bit<H: Harness>(mut world: World<H>) {
    let (mut a, token) = with_jobs(&world, policy(Some(700), None)).await;
    for _ in 0..4 {
        run_together(&world, &mut a, "rare", 200).await;
        run_together(&world, &mut a, "noisy", 100).await;
        world.advance(Duration::from_secs(1)).await;
    }
    let (before, _) = shown(&world, "rare", 1_000).await;
    assert_eq!(before.len(), 700);
    tidy(&world, &tidying(&token, 1)).await;
    for limit in [30, 1_000] {
        let (after, _) = shown(&world, "rare", limit).await;
        assert_eq!(after, before, "{limit} at a time");
    }
    world.put(job("rare").history(policy(Some(1), None))).await;
    tidy(&world, &tidying(&token, 1)).await;
    assert_eq!(runs_of(&world, "rare").await, before[..1]);
}
