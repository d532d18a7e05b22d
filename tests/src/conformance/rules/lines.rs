//! Lines: runs that wait until others of their job have ended.

use std::time::Duration;

use scheduler_core::lease::LeaseToken;
use scheduler_core::plan::{Skip, SkipReason};
use scheduler_core::policy::{MAX_LINED_UP, Overlap};
use scheduler_core::run::{Claim, Ending, Verdict};
use scheduler_core::store::{Drain, FenceAnswer, Opening, Retire, RunNowAnswer, RunPlace, Wake};
use scheduler_core::{JobBuilder, Policy, RunId, Shard, Store};

use super::dispatch::two;
use super::sessions::fence;
use crate::conformance::{
    EVERY, Harness, Node, World, done, job, name, removed_record, settled_as,
};

/// A job whose runs line up behind one.
fn lining_up() -> JobBuilder {
    let policy = Policy {
        overlap: Overlap::Queue,
        ..*job("j").build().policy()
    };
    job("j").policy(policy)
}

/// A leader, and a job of which one run is claimed and two are lined up.
struct Line {
    a: Node,
    token: LeaseToken,
    claim: Claim,
    behind: [RunId; 2],
}

impl Line {
    async fn form<H: Harness>(world: &mut World<H>) -> Self {
        let mut a = world.node("a").await;
        let token = world.lead(&a).await;
        world.put(lining_up()).await;
        world.fire(&token, "j").await;
        let claim = world.claim_one(&mut a).await;
        let before = world.see().await;
        let second = world.fire(&token, "j").await;
        let third = world.run_now("j").await;
        let fired = world.now();
        let after = before.but(|world| {
            world.add_lined_up("j");
            world.add_lined_up("j");
            let stored = world.job_mut("j");
            stored.fired = Some(fired);
            stored.next_fire = Some(fired.after(EVERY));
        });
        world.expect(&after, "runs that line up").await;
        assert_eq!(world.claim(&mut a, 10).await, []);
        Self {
            a,
            token,
            claim,
            behind: [second, third],
        }
    }

    async fn end<H: Harness>(&mut self, world: &World<H>, claim: &Claim) {
        let ending = Ending::Succeeded(None);
        world.hand_in(&mut self.a, claim, &ending).await;
    }

    /// The runs that may be claimed now.
    async fn claimed<H: Harness>(&mut self, world: &World<H>) -> Vec<RunId> {
        let claims = world.claim(&mut self.a, 10).await;
        claims.into_iter().map(|claim| claim.run).collect()
    }
}

pub async fn runs_that_are_lined_up_are_told_with_their_place<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    let places = async |world: &World<H>| {
        let found = done(world.store.in_flight(&name("j")).await);
        let places = found.into_iter().map(|run| (run.run, run.place));
        (places.collect::<Vec<_>>(), world.queue("default").await)
    };
    let held = RunPlace::Claimed {
        by: line.a.session.clone(),
        attempt: 1,
        fence: line.claim.fence,
    };
    let [second, third] = line.behind.clone();
    let lined_up = |before| RunPlace::LinedUp { before };
    let (found, queue) = places(&world).await;
    assert_eq!(
        found,
        [
            (line.claim.run.clone(), held),
            (second.clone(), lined_up(0)),
            (third.clone(), lined_up(1))
        ]
    );
    assert_eq!(
        (queue.lined_up, queue.waiting, queue.in_use),
        (2, [0; 3], 1)
    );
    let claim = line.claim.clone();
    line.end(&world, &claim).await;
    world.admit(&line.token).await;
    let (found, queue) = places(&world).await;
    assert_eq!(found, [(second, RunPlace::Waiting), (third, lined_up(0))]);
    assert_eq!((queue.lined_up, queue.waiting), (1, [0, 1, 0]));
}

pub async fn runs_that_find_their_job_full_go_one_by_one_in_order<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    assert_eq!(world.peek(&line.token).await.openings, []);
    let mut last = line.claim.clone();
    for run in line.behind.clone() {
        line.end(&world, &last).await;
        let version = world.stored("j").await.version;
        let open = Opening {
            job: name("j"),
            version,
        };
        assert_eq!(world.peek(&line.token).await.openings, [open]);
        let before = world.see().await;
        world.admit(&line.token).await;
        let after = before.but(|world| {
            world.lined_up -= 1;
            world.busy -= 1;
            world.job_mut("j").in_flight -= 1;
            world.add_waiting("j");
        });
        world.expect(&after, "a run that is let go").await;
        assert_eq!(world.peek(&line.token).await.openings, []);
        last = world.claim_one(&mut line.a).await;
        assert_eq!((&last.run, last.attempt), (&run, 1));
    }
    line.end(&world, &last).await;
    assert_eq!(world.peek(&line.token).await.openings, []);
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.lined_up, sight.held), (0, 0, 0));
}

pub async fn the_leader_is_woken_when_a_line_may_go_on<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    world.peek(&line.token).await;
    let moment = Duration::from_millis(50);
    while tokio::time::timeout(moment, world.store.wait(&Wake::Leader))
        .await
        .is_ok()
    {
        world.peek(&line.token).await;
    }
    let claim = line.claim.clone();
    line.end(&world, &claim).await;
    let patience = Duration::from_secs(10);
    let woken = tokio::time::timeout(patience, world.store.wait(&Wake::Leader)).await;
    done(woken.expect("a run could go on, and no leader is woken"));
}

pub async fn a_line_has_an_end<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let due = world.put(lining_up()).await.next_fire.expect("due");
    for _ in 0..=MAX_LINED_UP {
        world.run_now("j").await;
    }
    let full = RunNowAnswer::Full {
        in_flight: MAX_LINED_UP + 1,
    };
    let request = world.run_request("j").await;
    assert_eq!(done(world.store.run_now(&request).await), full);
    world.set_clock(due).await;
    let plan = world.plan_due(&token).await;
    let skip = Skip {
        first: due,
        last: due,
        count: 1,
        reason: SkipReason::MaxInstances,
    };
    assert_eq!(plan.items[0].plan.skips, [skip]);
    world.dispatch(&plan).await;
    let sight = world.see().await;
    assert_eq!((sight.lined_up, sight.waiting()), (MAX_LINED_UP as u64, 1));
}

pub async fn a_job_that_is_removed_takes_its_line_with_it<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    let before = world.see().await;
    let now = world.now();
    world.remove("j").await;
    let after = before.but(|world| {
        world.jobs.clear();
        world.busy = 1;
        world.lined_up = 0;
        for run in line.behind.clone() {
            world.add_record(now, removed_record(run));
        }
    });
    world.expect(&after, "removing a job with a line").await;
    // What is put under its name is another job, and its line another line.
    world.put(lining_up()).await;
    world.run_now("j").await;
    assert_eq!(world.see().await.lined_up, 1);
    let claim = line.claim.clone();
    line.end(&world, &claim).await;
    world.admit(&line.token).await;
    assert_eq!(line.claimed(&world).await.len(), 1);
}

pub async fn a_line_goes_on_as_the_job_is_by_then<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    let late = world.plan_admission(&line.token).await;
    assert!(late.items.is_empty());
    // It lines up no more, and allows one more at once.
    world.put(job("j").max_instances(two())).await;
    world.admit(&line.token).await;
    assert_eq!(line.claimed(&world).await, line.behind[..1]);
    let full = world.run_request("j").await;
    let answer = done(world.store.run_now(&full).await);
    assert_eq!(answer, RunNowAnswer::Full { in_flight: 3 });
    let claim = line.claim.clone();
    line.end(&world, &claim).await;
    world.admit(&line.token).await;
    assert_eq!(line.claimed(&world).await, line.behind[1..]);
}

pub async fn admitting_again_lets_nobody_else_go<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    let claim = line.claim.clone();
    line.end(&world, &claim).await;
    let admit = world.plan_admission(&line.token).await;
    let mut twice = admit.clone();
    twice.items.extend(admit.items.clone());
    assert!(done(world.store.admit(&twice).await));
    let once = world.see().await;
    assert_eq!((once.waiting(), once.lined_up), (1, 1));
    assert!(done(world.store.admit(&admit).await));
    world.expect(&once, "admitting again").await;
}

pub async fn an_admission_for_another_version_lets_nobody_go<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    let claim = line.claim.clone();
    line.end(&world, &claim).await;
    let late = world.plan_admission(&line.token).await;
    assert_eq!(late.items.len(), 1);
    let version = world.put(lining_up().name("changed")).await.version;
    let before = world.see().await;
    assert!(done(world.store.admit(&late).await));
    world.expect(&before, "a late admission").await;
    let openings = world.peek(&line.token).await.openings;
    assert_eq!(openings.len(), 1);
    assert_eq!(openings[0].version, version);
    world.admit(&line.token).await;
    assert_eq!(line.claimed(&world).await, line.behind[..1]);
}

pub async fn nobody_is_let_go_for_a_job_that_cannot_be_read<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    let claim = line.claim.clone();
    line.end(&world, &claim).await;
    let before = world.see().await;
    let mut admit = world.plan_admission(&line.token).await;
    admit.items[0].max_instances = 0;
    assert!(done(world.store.admit(&admit).await));
    world.expect(&before, "no room").await;
    assert_eq!(world.peek(&line.token).await.openings, []);
    // A change shows it again.
    world.put(lining_up().name("readable")).await;
    world.admit(&line.token).await;
    assert_eq!(line.claimed(&world).await, line.behind[..1]);
}

pub async fn who_lost_the_lease_admits_nobody<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    let claim = line.claim.clone();
    line.end(&world, &claim).await;
    let admit = world.plan_admission(&line.token).await;
    done(world.store.release(&line.token).await);
    let before = world.see().await;
    assert!(!done(world.store.admit(&admit).await));
    world.expect(&before, "admitting without the lease").await;
}

pub async fn what_is_tried_again_makes_no_room<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    let settled = settled_as(&line.claim, Verdict::GiveBack, &Ending::NotBegun);
    let request = line.a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    assert_eq!(world.peek(&line.token).await.openings, []);
    world.admit(&line.token).await;
    assert_eq!(line.claimed(&world).await, [line.claim.run.clone()]);
}

pub async fn a_dead_nodes_run_makes_room_when_it_ends<H: Harness>(mut world: World<H>) {
    let mut line = Line::form(&mut world).await;
    assert_eq!(fence(&world, &line.a).await, FenceAnswer::Fenced);
    let mut b = world.node("b").await;
    let verdict = Verdict::End(scheduler_core::run::Outcome::Lost);
    let drain = Drain {
        session: line.a.session.clone(),
        items: vec![settled_as(&line.claim, verdict, &Ending::NodeLost)],
    };
    assert_eq!(done(world.store.drain(&drain).await).left, 0);
    // The lease is its own still.
    world.admit(&line.token).await;
    let claim = world.claim_one(&mut b).await;
    assert_eq!(claim.run, line.behind[0]);
    line.a = b;
    line.end(&world, &claim).await;
    assert_eq!(world.peek(&line.token).await.openings.len(), 1);
}

pub async fn a_job_whose_schedule_is_over_stays_until_its_line_has_gone<H: Harness>(
    mut world: World<H>,
) {
    let mut line = Line::form(&mut world).await;
    let due = world.stored("j").await.next_fire.expect("due");
    world.set_clock(due).await;
    let mut last = world.plan_due(&line.token).await;
    last.items[0].plan.next = None;
    world.dispatch(&last).await;
    assert_eq!(world.see().await.lined_up, 3);
    let retire = Retire {
        token: line.token.clone(),
        jobs: vec![name("j")],
    };
    let mut claim = line.claim.clone();
    for _ in 0..3 {
        line.end(&world, &claim).await;
        assert!(world.peek(&line.token).await.finished.is_empty());
        assert!(done(world.store.retire(&retire).await));
        world.admit(&line.token).await;
        claim = world.claim_one(&mut line.a).await;
    }
    line.end(&world, &claim).await;
    assert_eq!(world.peek(&line.token).await.finished, retire.jobs);
    assert!(done(world.store.retire(&retire).await));
    assert!(world.see().await.jobs.is_empty());
}
