//! The slots of a node: how many runs it executes at once, of all shards together.
//!
//! Each shard has one slot that is always its own: with it, it hears of its runs and whether more of them
//! wait. The others go to whoever asks, and where they are scarce, one by one to the shard that holds
//! fewest. So a node whose shards are all busy shares its slots evenly, and one of which only one shard has
//! work gives that shard nearly all of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The slots of one node.
#[derive(Debug)]
pub(crate) struct Slots {
    total: usize,
    parts: Mutex<Parts>,
    freed: Vec<Notify>,
}

#[derive(Debug)]
struct Parts {
    each: Vec<Part>,
    /// How often a shard began to wait.
    tickets: u64,
}

/// What one shard has of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part {
    held: usize,
    /// Since when it waits for more, if it does: the lower, the longer.
    waits: Option<u64>,
}

impl Slots {
    pub(crate) fn new(total: usize, shards: usize) -> Self {
        let each = vec![Part::default(); shards];
        Self {
            total,
            parts: Mutex::new(Parts { each, tickets: 0 }),
            freed: (0..shards).map(|_| Notify::new()).collect(),
        }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_shared(&self) -> bool {
        self.freed.len() > 1
    }

    /// How many a shard that executes so many runs could have besides, if nobody else wanted any.
    pub(crate) fn free(&self, shard: usize, executing: usize) -> usize {
        if !self.is_shared() {
            return self.total.saturating_sub(executing);
        }
        available(self.total, &self.parts().each, shard, executing)
    }

    /// Takes as many as there are for this shard, which executes so many runs. Where there are none, and it
    /// knows of more runs, it is [told](Self::freed) of some.
    pub(crate) fn take(&self, shard: usize, executing: usize, knows_of_more: bool) -> usize {
        if !self.is_shared() {
            return self.total.saturating_sub(executing);
        }
        let mut parts = self.parts();
        let before = parts.each[shard].held;
        parts.each[shard].held = executing;
        let ticket = parts.each[shard].waits.unwrap_or_else(|| {
            parts.tickets += 1;
            parts.tickets
        });
        let taken = fair(self.total, &parts.each, shard, ticket);
        parts.each[shard] = Part {
            held: executing + taken,
            waits: Some(ticket).filter(|_| taken == 0 && knows_of_more),
        };
        if executing + taken < before {
            self.tell(&parts.each, shard);
        }
        taken
    }

    /// The shard holds just so many, and what it took besides is free. One that may not claim waits for
    /// nothing.
    pub(crate) fn holds(&self, shard: usize, executing: usize, may_claim: bool) {
        if !self.is_shared() {
            return;
        }
        let mut parts = self.parts();
        if !may_claim && parts.each[shard].waits.take().is_some() {
            // What it would have had is the others'.
            self.tell(&parts.each, shard);
        }
        let before = std::mem::replace(&mut parts.each[shard].held, executing);
        if executing < before {
            self.tell(&parts.each, shard);
        }
    }

    /// The shard has come to its end.
    pub(crate) fn leaves(&self, shard: usize) {
        self.holds(shard, 0, false);
    }

    /// Returns when a shard that waits may have some. Cancel-safe.
    pub(crate) async fn freed(&self, shard: usize) {
        self.freed[shard].notified().await;
    }

    fn tell(&self, parts: &[Part], by: usize) {
        let waiting = parts.iter().zip(&self.freed).enumerate();
        for (at, (part, freed)) in waiting {
            if at != by && part.waits.is_some() {
                freed.notify_one();
            }
        }
    }
}

/// What no shard holds, but for the one that each of the others always has.
fn available(total: usize, parts: &[Part], shard: usize, held: usize) -> usize {
    let others = parts.iter().enumerate().filter(|(at, _)| *at != shard);
    let others: usize = others.map(|(_, part)| part.held.max(1)).sum();
    total.saturating_sub(others + held)
}

/// How many of these are this shard's: each goes to the one that holds fewest of those that wait, and of
/// these to the one that waits for longest.
fn fair(total: usize, parts: &[Part], shard: usize, ticket: u64) -> usize {
    let available = available(total, parts, shard, parts[shard].held);
    let rivals = parts.iter().enumerate().filter(|(at, _)| *at != shard);
    let rivals = rivals.filter_map(|(_, part)| Some((part.held.max(1), part.waits?, false)));
    let mut line: Vec<_> = rivals.collect();
    if line.is_empty() {
        return available;
    }
    line.push((parts[shard].held, ticket, true));
    let mut mine = 0;
    for _ in 0..available {
        let next = line
            .iter_mut()
            .min_by_key(|(held, ticket, _)| (*held, *ticket));
        if let Some((held, _, is_mine)) = next {
            *held += 1;
            mine += usize::from(*is_mine);
        }
    }
    mine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_has_all_slots() {
        let slots = Slots::new(8, 1);
        assert_eq!(slots.take(0, 3, true), 5);
        assert_eq!((slots.free(0, 8), slots.take(0, 9, true)), (0, 0));
    }

    #[test]
    fn a_busy_shard_has_all_but_one_for_each_of_the_others() {
        let slots = Slots::new(10, 3);
        assert_eq!(slots.take(0, 0, true), 8);
        assert_eq!(slots.take(1, 0, true), 1, "its own");
        assert_eq!(slots.take(2, 0, true), 1, "its own");
        // Nothing came of it, and it is its own all the same.
        slots.holds(1, 0, true);
        assert_eq!(slots.take(0, 8, true), 0);
        assert_eq!(slots.take(1, 0, true), 1);
    }

    #[test]
    fn what_is_freed_goes_to_whoever_holds_fewest() {
        let slots = Slots::new(10, 2);
        assert_eq!(slots.take(0, 0, true), 9);
        assert_eq!(slots.take(1, 0, true), 1);
        assert_eq!(slots.take(1, 1, true), 0);
        // Four of the nine end: those are the other's.
        assert_eq!(slots.take(0, 5, true), 0);
        assert_eq!(slots.take(1, 1, true), 4);
        // Even, and both wait: what one frees is its own again.
        assert_eq!(slots.take(1, 5, true), 0);
        assert_eq!(slots.take(0, 3, true), 2);
    }

    #[test]
    fn nobody_is_waited_for_who_knows_of_nothing() {
        let slots = Slots::new(10, 2);
        assert_eq!(slots.take(0, 0, true), 9);
        assert_eq!(slots.take(1, 1, false), 0);
        assert_eq!(slots.take(0, 5, true), 4);
    }

    #[test]
    fn nothing_is_kept_for_a_shard_that_may_not_claim() {
        let slots = Slots::new(10, 2);
        assert_eq!(slots.take(0, 0, true), 9);
        assert_eq!(slots.take(1, 1, true), 0);
        slots.holds(1, 1, false);
        assert_eq!(slots.take(0, 5, true), 4);
    }

    #[test]
    fn no_more_is_ever_taken_than_there_is() {
        let slots = Slots::new(12, 4);
        let mut held = [0_usize; 4];
        let mut draw = 7_u64;
        for _ in 0..10_000 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let shard = usize::try_from(draw >> 62).unwrap();
            let ended = usize::try_from((draw >> 40) & 3).unwrap().min(held[shard]);
            held[shard] -= ended;
            if draw & (1 << 30) == 0 {
                slots.holds(shard, held[shard], true);
            } else {
                held[shard] += slots.take(shard, held[shard], draw & (1 << 31) == 0);
            }
            assert!(held.iter().sum::<usize>() <= 12, "{held:?}");
        }
    }

    #[tokio::test]
    async fn whoever_waits_is_told() {
        let slots = Slots::new(4, 2);
        assert_eq!(slots.take(0, 0, true), 3);
        assert_eq!(slots.take(1, 1, true), 0);
        slots.holds(0, 1, true);
        slots.freed(1).await;
        assert_eq!(slots.take(1, 1, true), 2);
        assert_eq!(slots.take(1, 3, true), 0);
        slots.leaves(0);
        slots.freed(1).await;
        // The other's own stays its own: it may live again.
        assert_eq!(slots.take(1, 3, true), 0);
    }
}
