//! How a node's slots are shared among queues and priorities.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;
use scheduler_core::share::{QueueOrder, Served, Shares};
use scheduler_core::store::{ClaimWish, MAX_CLAIMED};
use scheduler_core::{Priority, QueueName};

use Priority::{High, Low, Normal};

/// How many runs wait, by queue and priority.
type Waiting = BTreeMap<(QueueName, Priority), usize>;

fn queue(name: &str) -> QueueName {
    name.parse().expect("a queue")
}

fn served(queues: &[(&str, u32)]) -> Vec<Served> {
    let served = queues.iter().map(|(name, weight)| Served {
        queue: queue(name),
        weight: NonZeroU32::new(*weight).expect("a weight"),
    });
    served.collect()
}

fn waiting(lanes: &[(&str, Priority, usize)]) -> Waiting {
    let lanes = lanes
        .iter()
        .map(|(name, priority, runs)| ((queue(name), *priority), *runs));
    lanes.collect()
}

/// Claims as a store does; what was claimed by queue and priority.
fn claim(wish: &ClaimWish, waiting: &mut Waiting) -> Waiting {
    let mut claimed = Waiting::new();
    let mut left = wish.limit;
    for take in &wish.takes {
        let lane = (take.queue.clone(), take.priority);
        let there = waiting.entry(lane.clone()).or_default();
        let taken = take.most.min(left).min(*there);
        *there -= taken;
        left -= taken;
        if taken > 0 {
            *claimed.entry(lane).or_default() += taken;
        }
    }
    claimed
}

/// What so many requests claim, one after the other.
fn claim_often(shares: &mut Shares, slots: usize, times: usize, waiting: &mut Waiting) -> Waiting {
    let mut all = Waiting::new();
    for _ in 0..times {
        for (lane, runs) in claim(&shares.wish(slots), waiting) {
            shares.claimed(&lane.0, lane.1, runs);
            *all.entry(lane).or_default() += runs;
        }
    }
    all
}

#[test]
fn busy_queues_share_by_weight_and_priorities_six_three_one() {
    let mut shares = Shares::new(
        &served(&[("mail", 3), ("default", 1)]),
        QueueOrder::Weighted,
    );
    let busy = [High, Normal, Low].map(|p| [("mail", p, 9999), ("default", p, 9999)]);
    let claimed = claim(&shares.wish(40), &mut waiting(&busy.concat()));
    let expected = [
        ("mail", High, 18),
        ("mail", Normal, 9),
        ("mail", Low, 3),
        ("default", High, 6),
        ("default", Normal, 3),
        ("default", Low, 1),
    ];
    assert_eq!(claimed, waiting(&expected));
}

#[test]
fn a_single_slot_keeps_to_the_shares_over_time() {
    let mut shares = Shares::new(&served(&[("q", 1)]), QueueOrder::Weighted);
    let mut busy = waiting(&[("q", High, 9999), ("q", Normal, 9999), ("q", Low, 9999)]);
    let claimed = claim_often(&mut shares, 1, 100, &mut busy);
    assert_eq!(
        claimed,
        waiting(&[("q", High, 60), ("q", Normal, 30), ("q", Low, 10)])
    );
}

#[test]
fn what_nobody_else_uses_goes_to_the_high_priorities_first() {
    let mut shares = Shares::new(&served(&[("a", 1), ("b", 1)]), QueueOrder::Weighted);
    let mut lanes = waiting(&[("a", High, 7), ("b", Low, 99)]);
    let claimed = claim(&shares.wish(10), &mut lanes);
    assert_eq!(claimed, waiting(&[("a", High, 7), ("b", Low, 3)]));
    let claimed = claim(&shares.wish(10), &mut lanes);
    assert_eq!(claimed, waiting(&[("b", Low, 10)]));
}

#[test]
fn a_strict_order_starves_queues_but_no_priority() {
    let mut shares = Shares::new(&served(&[("a", 1), ("b", 1)]), QueueOrder::Strict);
    let mut busy = waiting(&[("a", Normal, 9999), ("a", Low, 9999), ("b", High, 9999)]);
    let claimed = claim_often(&mut shares, 5, 20, &mut busy);
    let low = claimed[&(queue("a"), Low)];
    assert_eq!(
        claimed,
        waiting(&[("a", Normal, 100 - low), ("a", Low, low)])
    );
    assert!((9..=12).contains(&low), "{low}");
    // Once it is empty, the next one has its turn.
    let mut idle = waiting(&[("a", Normal, 2), ("b", High, 9999)]);
    let claimed = claim(&shares.wish(5), &mut idle);
    assert_eq!(claimed, waiting(&[("a", Normal, 2), ("b", High, 3)]));
}

#[test]
fn without_slots_or_queues_nothing_is_wished_for() {
    let wish = Shares::new(&[], QueueOrder::Weighted).wish(10);
    assert_eq!((wish.takes.len(), wish.limit), (0, 10));
    let wish = Shares::new(&served(&[("a", 1)]), QueueOrder::Weighted).wish(100_000);
    assert_eq!(wish.limit, MAX_CLAIMED);
}

proptest! {
    #[test]
    fn slots_are_never_left_free_while_runs_wait(
        weights in prop::collection::vec(1_u32..9, 1..4),
        runs in prop::collection::vec(0_usize..20, 12),
        slots in 0_usize..40,
        strict: bool,
    ) {
        let names = ["a", "b", "c"];
        let queues: Vec<_> = names.iter().copied().zip(weights).collect();
        let order = if strict { QueueOrder::Strict } else { QueueOrder::Weighted };
        let mut shares = Shares::new(&served(&queues), order);
        let mut lanes = Waiting::new();
        for (at, (name, _)) in queues.iter().enumerate() {
            for priority in Priority::ALL {
                lanes.insert((queue(name), priority), runs[at * 3 + priority.index()]);
            }
        }
        let there: usize = lanes.values().sum();
        let claimed: usize = claim(&shares.wish(slots), &mut lanes).values().sum();
        prop_assert_eq!(claimed, there.min(slots));
    }

    #[test]
    fn nobody_starves(
        weights in prop::collection::vec(1_u32..9, 1..4),
        slots in 1_usize..8,
    ) {
        let names = ["a", "b", "c"];
        let queues: Vec<_> = names.iter().copied().zip(weights).collect();
        let all: u32 = queues.iter().map(|(_, weight)| weight * 10).sum();
        let mut shares = Shares::new(&served(&queues), QueueOrder::Weighted);
        let mut busy = Waiting::new();
        for (name, _) in &queues {
            for priority in Priority::ALL {
                busy.insert((queue(name), priority), usize::MAX / 2);
            }
        }
        // Once round: each has what its weight says, exactly.
        let claimed = claim_often(&mut shares, slots, all as usize, &mut busy);
        for (name, weight) in &queues {
            for priority in Priority::ALL {
                let share = (weight * priority.share()) as usize * slots;
                prop_assert_eq!(claimed[&(queue(name), priority)], share);
            }
        }
    }
}

/// Claims as a store does whose queue `a` lets so many runs through at a time, for so many requests; the
/// lanes in the order in which they were claimed of. `every` says how often a request finds room at all.
fn claim_limited(
    shares: &mut Shares,
    (slots, room, every): (usize, usize, usize),
    times: usize,
    waiting: &mut Waiting,
) -> Vec<Priority> {
    let mut order = Vec::new();
    for turn in 0..times {
        let mut wish = shares.wish(slots);
        wish.limit = if turn % every == 0 { room } else { 0 };
        for ((queue, priority), runs) in claim(&wish, waiting) {
            shares.claimed(&queue, priority, runs);
            order.extend(std::iter::repeat_n(priority, runs));
        }
    }
    order
}

#[test]
fn nobody_starves_where_a_limit_lets_few_runs_through_at_a_time() {
    for slots in [1, 3, 8, 64] {
        // Half of the requests may find no room: whose turn it is does not depend on that.
        for every in [1, 2, 5, 10] {
            let mut shares = Shares::new(&served(&[("a", 1)]), QueueOrder::Weighted);
            let mut waiting = waiting(&[("a", High, 600), ("a", Low, 100)]);
            let order = claim_limited(&mut shares, (slots, 1, every), 350 * every, &mut waiting);
            let low = order.iter().filter(|priority| **priority == Low).count();
            assert_eq!(order.len(), 350);
            assert!(
                (30..=60).contains(&low),
                "{low} of 350, {slots} slots, {every}"
            );
        }
    }
}

#[test]
fn who_waited_for_nothing_has_nothing_to_catch_up_with() {
    let mut shares = Shares::new(&served(&[("a", 1)]), QueueOrder::Weighted);
    let mut waiting = waiting(&[("a", High, 10_000)]);
    claim_limited(&mut shares, (8, 1, 1), 1_000, &mut waiting);
    waiting.insert((queue("a"), Low), 500);
    let order = claim_limited(&mut shares, (8, 1, 1), 70, &mut waiting);
    let low = order.iter().filter(|priority| **priority == Low).count();
    assert!((8..=13).contains(&low), "{low} of 70");
}
