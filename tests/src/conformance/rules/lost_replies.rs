//! Lost replies: every request may have run although its answer never came. Asked again it doubles
//! nothing, and in the end nothing is stuck.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::change;
use scheduler_core::lease::LeaseToken;
use scheduler_core::run::{Claim, Ending, Verdict};
use scheduler_core::store::{
    BeginAnswer, CancelAnswer, DispatchAnswer, Drain, ExchangeAnswer, Promote, PutJob, Refusal,
    RerunAnswer, ResyncAnswer, Retire,
};
use scheduler_core::{JobId, Shard, Store};

use super::beginning::begin_of;
use super::cancelling::cancel_of;
use super::claims::held;
use super::failing::{fail, failed, rerun_of};
use super::sessions::fence;
use crate::conformance::{EVERY, Harness, Node, World, done, job, name, peek, request, settled_as};

const MANY: NonZeroU32 = NonZeroU32::MAX;

/// Sends a request, loses the answer, and sends it again: the same answer, and no other world.
/// Answers with what was answered.
macro_rules! twice {
    ($world:expr, $operation:ident($request:expr)) => {{
        let first = done($world.store.$operation($request).await);
        let once = $world.see().await;
        let second = done($world.store.$operation($request).await);
        assert_eq!(
            first, second,
            concat!("answers of ", stringify!($operation))
        );
        $world
            .expect(&once, concat!("asking again: ", stringify!($operation)))
            .await;
        first
    }};
}

/// Lets everything end that is in flight: whatever was lost on the way, nothing may be stuck.
async fn nothing_is_stuck<H: Harness>(world: &mut World<H>, token: &LeaseToken, nodes: &[Node]) {
    let mut last = world.node("last").await;
    for node in nodes {
        let mut node = node.clone();
        node.request += 100;
        for claim in held(world, &mut node).await {
            world
                .hand_in(&mut node, &claim, &Ending::Succeeded(None))
                .await;
        }
    }
    world.advance(Duration::from_secs(5)).await;
    world.beat(token).await;
    for claim in world.claim(&mut last, 100).await {
        world
            .hand_in(&mut last, &claim, &Ending::Succeeded(None))
            .await;
    }
    let sight = world.see().await;
    assert_eq!(
        (sight.busy, sight.retries, sight.waiting()),
        (0, 0, 0),
        "{sight:#?}"
    );
}

/// A world with a leading node.
async fn led<H: Harness>(world: &World<H>) -> (Node, LeaseToken) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    (a, token)
}

pub async fn of_a_node_that_comes_and_goes<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    twice!(world, register(&a.register()));
    let beat = a.heartbeat();
    twice!(world, heartbeat(&beat));
    twice!(world, leave(&a.session));
}

pub async fn of_who_takes_and_gives_back_the_lease<H: Harness>(world: World<H>) {
    let a = world.node("a").await;
    twice!(world, acquire(&a.acquire()));
    let token = world.lead(&a).await;
    twice!(world, release(&token));
}

pub async fn of_a_look_at_what_is_due<H: Harness>(mut world: World<H>) {
    let (a, token) = led(&world).await;
    world.put(job("j")).await;
    world.advance(EVERY).await;
    twice!(world, peek(&peek(&token)));
    world.beat(&token).await;
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_a_dispatch<H: Harness>(mut world: World<H>) {
    let (a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    world.put(job("k").max_instances(MANY)).await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    world.dispatch(&request).await;
    let once = world.see().await;
    for _ in 0..2 {
        match done(world.store.dispatch(&request).await) {
            DispatchAnswer::Dispatched { refused } => {
                assert_eq!(refused.len(), 2);
                let moved = |why| matches!(why, Refusal::Changed | Refusal::Fired(_));
                assert!(refused.iter().all(|r| moved(r.why)), "{refused:?}");
            }
            other => panic!("{other:?}"),
        }
        world.expect(&once, "dispatching again").await;
    }
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_a_promotion<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let verdict = Verdict::Again {
        after: Duration::from_secs(1),
        attempt: 2,
        losses: 1,
    };
    let settled = settled_as(&claim, verdict, &Ending::NodeLost);
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    world.advance(Duration::from_secs(1)).await;
    let retries = world.peek(&token).await.retries;
    assert_eq!(retries.len(), 1);
    let request = Promote {
        token: token.clone(),
        retries,
    };
    twice!(world, promote(&request));
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_a_retirement<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j")).await;
    world.advance(EVERY).await;
    let mut dispatch = world.plan_due(&token).await;
    dispatch.items[0].plan.next = None;
    world.dispatch(&dispatch).await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    let request = Retire {
        token: token.clone(),
        jobs: vec![name("j")],
    };
    twice!(world, retire(&request));
    assert_eq!(world.see().await.jobs.len(), 0);
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_claims<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    for _ in 0..5 {
        world.run_now("j").await;
    }
    let request = a.exchange(Vec::new(), 2);
    twice!(world, exchange(&request));
    assert_eq!(held(&world, &mut a).await.len(), 2, "no second batch");
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_settlements_that_claim_besides<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    for _ in 0..5 {
        world.run_now("j").await;
    }
    let claims = world.claim(&mut a, 3).await;
    let again = Verdict::Again {
        after: Duration::from_secs(1),
        attempt: 2,
        losses: 1,
    };
    let settled = vec![
        settled_as(&claims[0], again, &Ending::NodeLost),
        settled_as(&claims[1], Verdict::GiveBack, &Ending::NotBegun),
        world.settled(&claims[2], &Ending::Succeeded(None)).await,
    ];
    let request = a.exchange(settled, 2);
    let answer = twice!(world, exchange(&request));
    let ExchangeAnswer::Exchanged(exchanged) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        exchanged.stale,
        [],
        "nothing is stale that was handed in by the same request"
    );
    assert_eq!(exchanged.claims.len(), 2);
    let sight = world.see().await;
    assert_eq!(
        (sight.busy, sight.held, sight.retries, sight.waiting()),
        (4, 2, 1, 1)
    );
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_claims_that_the_node_asks_about<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    for _ in 0..5 {
        world.run_now("j").await;
    }
    let lost = a.exchange(Vec::new(), 2);
    let ExchangeAnswer::Exchanged(brought) = done(world.store.exchange(&lost).await) else {
        panic!("not exchanged");
    };
    let before = world.see().await;
    let resync = a.resync();
    let answer = twice!(world, resync(&resync));
    let ResyncAnswer::Claims(mut claims) = answer else {
        panic!("{answer:?}");
    };
    claims.sort_by_key(|claim: &Claim| claim.fence);
    assert_eq!(claims, brought.claims, "what the lost answer had brought");
    world.expect(&before, "asking what one holds").await;
    let answer = done(world.store.exchange(&lost).await);
    assert_eq!(
        answer,
        ExchangeAnswer::Superseded,
        "delayed on the way, it comes too late"
    );
    world.expect(&before, "a request that comes too late").await;
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_a_claim_that_never_arrived_before_the_question<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let delayed = a.exchange(Vec::new(), 1);
    assert_eq!(held(&world, &mut a).await, []);
    let before = world.see().await;
    let answer = done(world.store.exchange(&delayed).await);
    assert_eq!(answer, ExchangeAnswer::Superseded);
    let mut same_number = delayed;
    same_number.request = a.request;
    let answer = done(world.store.exchange(&same_number).await);
    assert_eq!(
        answer,
        ExchangeAnswer::Superseded,
        "the question took this number"
    );
    world.expect(&before, "requests that come too late").await;
    assert_eq!(world.claim(&mut a, 1).await.len(), 1);
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn lanes_of_a_session_count_for_themselves<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    for _ in 0..4 {
        world.run_now("j").await;
    }
    let first = a.exchange(Vec::new(), 1);
    let second = a.exchange(Vec::new(), 1);
    let mut other_lane = first.clone();
    other_lane.lane = 1;
    world.exchange(&first).await;
    world.exchange(&second).await;
    twice!(world, exchange(&other_lane));
    twice!(world, exchange(&second));
    let answer = done(world.store.exchange(&first).await);
    assert_eq!(answer, ExchangeAnswer::Superseded);
    let mut late = a.resync();
    late.request = first.request;
    let answer = done(world.store.resync(&late).await);
    assert_eq!(answer, ResyncAnswer::Superseded);
    assert_eq!(held(&world, &mut a).await.len(), 3, "one for each exchange");
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_a_sweep<H: Harness>(mut world: World<H>) {
    let (b, token) = led(&world).await;
    let mut a = world.node("dead").await;
    world.put(job("j").max_instances(MANY)).await;
    for _ in 0..3 {
        world.run_now("j").await;
    }
    let claims = world.claim(&mut a, 3).await;
    fence(&world, &a).await;
    let fenced = world.see().await;
    fence(&world, &a).await;
    world.expect(&fenced, "fencing again").await;
    let mut items = Vec::new();
    for claim in &claims[..2] {
        items.push(world.settled(claim, &Ending::NodeLost).await);
    }
    let session = a.session.clone();
    let mut request = Drain { session, items };
    twice!(world, drain(&request));
    request.items = vec![world.settled(&claims[2], &Ending::NodeLost).await];
    twice!(world, drain(&request));
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.held, sight.history.len()), (3, 0, 3));
    nothing_is_stuck(&mut world, &token, &[b]).await;
}

pub async fn of_those_who_change_jobs<H: Harness>(mut world: World<H>) {
    let (a, token) = led(&world).await;
    let new = change::put_new(job("j").build(), None, world.now()).expect("a schedule");
    let put = PutJob {
        request: request(),
        all_or_none: false,
        changes: vec![(None, new)],
    };
    twice!(world, put(&put));
    let stored = world.stored("j").await;
    let pause = PutJob {
        request: request(),
        all_or_none: false,
        changes: vec![(
            Some(stored.version),
            change::pause(&stored).expect("a pause"),
        )],
    };
    twice!(world, put(&pause));
    world.advance(EVERY).await;
    let stored = world.stored("j").await;
    let resumed = change::resume(&stored, world.now()).expect("an end of the pause");
    let resume = PutJob {
        request: request(),
        all_or_none: false,
        changes: vec![(Some(stored.version), resumed)],
    };
    twice!(world, put(&resume));
    let removal = world.removal("j").await;
    twice!(world, remove(&removal));
    let after = world.see().await;
    assert_eq!((after.jobs.len(), after.history.len()), (0, 1));
    // Delayed on the way, earlier requests arrive once more: they answer as they did then.
    for request in [put, pause, resume] {
        twice!(world, put(&request));
    }
    world.expect(&after, "requests that arrive once more").await;
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_conflicts<H: Harness>(world: World<H>) {
    let stored = world.put(job("j")).await;
    let removal = world.removal("j").await;
    let new = change::put_new(job("j").build(), None, world.now()).expect("a schedule");
    let refused = PutJob {
        request: request(),
        all_or_none: false,
        changes: vec![(None, new)],
    };
    twice!(world, put(&refused));
    world.remove("j").await;
    let after = world.see().await;
    // Who was told of a conflict has read anew and gone on: the request must not succeed later.
    twice!(world, put(&refused));
    assert!(removal.version == stored.version);
    twice!(world, remove(&removal));
    world
        .expect(&after, "requests that were refused, and could be done now")
        .await;
}

pub async fn of_who_asks_for_a_run<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    let request = world.run_request("j").await;
    twice!(world, run_now(&request));
    let claim = world.claim_one(&mut a).await;
    twice!(world, run_now(&request));
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    let over = world.see().await;
    twice!(world, run_now(&request));
    world
        .expect(&over, "asking again for a run that is over")
        .await;
    let ids: Vec<JobId> = vec![name("j")];
    assert_eq!(done(world.store.jobs(&ids).await)[0].fired, None);
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_who_cancels_runs<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    let (first, second) = (world.run_now("j").await, world.run_now("j").await);
    let claim = world.claim(&mut a, 1).await.remove(0);
    let verdict = Verdict::Again {
        after: Duration::from_secs(1),
        attempt: 2,
        losses: 0,
    };
    let settled = settled_as(&claim, verdict, &Ending::Failed("no".to_owned()));
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    let (waits, ready) = (cancel_of(&first), cancel_of(&second));
    assert_eq!(twice!(world, cancel(&waits)), CancelAnswer::Ended);
    assert_eq!(twice!(world, cancel(&ready)), CancelAnswer::Marked);
    let over = cancel_of(&first);
    assert_eq!(twice!(world, cancel(&over)), CancelAnswer::NotInFlight);
    assert_eq!(world.claim(&mut a, 10).await, []);
    let after = world.see().await;
    // Delayed on the way, they arrive once more: they answer as they did then.
    assert_eq!(twice!(world, cancel(&waits)), CancelAnswer::Ended);
    assert_eq!(twice!(world, cancel(&ready)), CancelAnswer::Marked);
    world.expect(&after, "cancelling once more").await;
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_what_begins_at_most_once<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    for _ in 0..2 {
        world.run_now("j").await;
    }
    let claims = world.claim(&mut a, 2).await;
    let begin = begin_of(&a, &claims[..1]);
    twice!(world, begin(&begin));
    world
        .hand_in(&mut a, &claims[0], &Ending::Succeeded(None))
        .await;
    let late = twice!(world, begin(&begin));
    let stale = vec![claims[0].run.clone()];
    assert_eq!(
        late,
        BeginAnswer::Begun { stale },
        "nothing is marked that is over"
    );
    nothing_is_stuck(&mut world, &token, &[a]).await;
}

pub async fn of_who_runs_failed_runs_again<H: Harness>(mut world: World<H>) {
    let (mut a, token) = led(&world).await;
    world.put(job("j").max_instances(MANY)).await;
    for _ in 0..3 {
        fail(&world, &mut a, "j").await;
    }
    let kept = failed(&world, None).await;
    let rerun = rerun_of(&kept[..2]);
    let made = vec![RerunAnswer::Made; 2];
    assert_eq!(twice!(world, rerun(&rerun)), made);
    for claim in world.claim(&mut a, 10).await {
        world
            .hand_in(&mut a, &claim, &Ending::Succeeded(None))
            .await;
    }
    // Delayed on the way, it arrives once more.
    assert_eq!(twice!(world, rerun(&rerun)), made);
    let purged = vec![kept[2].record.run.clone()];
    twice!(world, purge(&purged));
    assert_eq!(failed(&world, None).await, []);
    nothing_is_stuck(&mut world, &token, &[a]).await;
}
