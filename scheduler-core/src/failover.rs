//! A store that lost what was written last, and how nodes make up for it.
//!
//! A server that replicates asynchronously, or writes its log to disk once a second, may come back
//! without its latest writes: the *lost tail*. What is left is a whole earlier moment of the store,
//! for its operations are atomic and were lost from the end. Nodes however remember what they did.
//!
//! ```text
//!   another server      attach                      every session has        the grace is over,
//!   is seen             generation + 1, no lease    told what it knows       or all have told
//!     |-------------------|----------------------------|----------------------|------->
//!                         |  nothing is dispatched or claimed                 |
//! ```
//!
//! The store counts *generations*. Whoever meets it on another server than before **attaches** it: a new
//! generation begins, nobody holds the lease, and numbers go on above all that may have been given out
//! in the lost tail, or in a whole generation that was lost ([`leap`]). A session takes part in a generation only after it has
//! **reconciled**: it names the claims that it holds, and those of runs that it handed in lately
//! ([`Recall`]). For each of these, [`fate`] decides.
//!
//! Which claims the tail took with it needs no guessing: fences only rise, so it is those above the
//! shard's number when the generation began.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::id::{Fence, RunId};
use crate::run::Claim;
use crate::store::Settled;
use crate::time::Timestamp;

/// How far the shard's numbers leap at least when a generation begins: further than any tail that is lost
/// in practice, whatever the server's clock says.
pub const LEAP: u64 = 1_000_000;

/// What the clock adds to the shard's numbers each millisecond: more than a shard gives out on average.
pub const LEAP_PER_MS: u64 = 50;

/// The number after which a generation goes on that begins at `now`, by the server's clock, where the store
/// stood at `number`.
///
/// No epoch, version or fence is given twice, whoever remembers the first time: the lost tail gave out
/// numbers up to [`LEAP`] above `number`; and a generation that was lost as a whole, with what it gave out,
/// began earlier, so that its numbers are below what the clock says. That asks two things: that a shard
/// gives out fewer than [`LEAP_PER_MS`] numbers a millisecond over the whole life of a generation, and that
/// the clock of the next server is not further behind than that generation lasted.
#[must_use]
pub fn leap(number: u64, now: Timestamp) -> u64 {
    let by_clock = u64::try_from(now.as_ms()).unwrap_or(0) * LEAP_PER_MS;
    (number + LEAP).max(by_clock)
}

/// How long a node remembers what it handed in.
pub const RECALL_FOR: Duration = Duration::from_secs(30);

/// How many runs it remembers at most: the oldest are forgotten first.
pub const RECALL_MOST: usize = 4_096;

/// Where a store that lost its tail has a run, as seen by a session that has a claim on it which
/// that store does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is not in flight, and nobody has named it. Where it is late, its fire time is not settled
    /// either: before, that says nothing, for a later run of the job that is restored settles it.
    Nowhere,
    /// It waits: in a queue, for its next attempt, or behind other runs of its job.
    Waits,
    /// It is in flight and waits nowhere: somebody has a claim on it.
    Claimed,
    /// It is not in flight, and has ended since, or may have: it was named before, or is late and its
    /// fire time is settled.
    Settled,
}

/// What a store knows about a claim that a session names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The fence of the claim on that run that the session has there, if any.
    pub held: Option<Fence>,
    /// The highest fence under which a session has named the run in this or an earlier generation,
    /// this one included, if any has.
    pub told: Option<Fence>,
    /// The shard's number when the generation began: higher fences are of the lost tail.
    pub lost_after: u64,
    /// Where the run is.
    pub place: Place,
    /// Whether runs may have been claimed since: the generation's grace is over, or the session has missed a
    /// whole generation in which numbers were given out, as far as the store knows, and the claim is from
    /// before that.
    pub is_late: bool,
}

/// What becomes of a claim that a session names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The store has it.
    Held,
    /// The tail took it, and it is restored: the run waits nowhere else from then on, and its fire
    /// time is settled.
    Restored,
    /// It is the session's no more, in this store's history: settled, or passed on.
    Over,
}

/// Decides what becomes of a claim with this fence.
///
/// In this order:
///
/// | the store knows | then | for |
/// |---|---|---|
/// | a higher fence for the run | over | the later claim is the right one, whoever has it |
/// | this claim | held | nothing of it was lost |
/// | that it was named before | over | it was restored then, and has been settled since |
/// | the fence is not of the lost tail | over | so it was settled before the tail began |
/// | the run is settled | over | somebody else did, or its fire time became a skip |
/// | the run is claimed by somebody else, and it is late | over | that claim was given since |
/// | anything else | restored | a claim of another, of before the tail, comes to nothing by this |
#[must_use]
pub fn fate(fence: Fence, found: &Found) -> Fate {
    let highest = found.held.max(found.told);
    if highest.is_some_and(|highest| highest > fence) {
        return Fate::Over;
    }
    if found.held == Some(fence) {
        return Fate::Held;
    }
    let was_settled = found.told == Some(fence) || fence.0 <= found.lost_after;
    match found.place {
        _ if was_settled => Fate::Over,
        Place::Settled => Fate::Over,
        Place::Claimed if found.is_late && found.held.is_none() => Fate::Over,
        Place::Nowhere | Place::Waits | Place::Claimed => Fate::Restored,
    }
}

/// What a node remembers of what it handed in: a bounded number, for a while.
#[derive(Debug, Default)]
pub struct Recall {
    runs: VecDeque<(Duration, Settled)>,
}

impl Recall {
    /// Remembers what was handed in at `now`, by a clock that only rises.
    pub fn remember(&mut self, settled: Settled, now: Duration) {
        self.forget(now);
        if self.runs.len() == RECALL_MOST {
            self.runs.pop_front();
        }
        self.runs.push_back((now, settled));
    }

    /// The claims of what it remembers at `now`, the earliest first.
    pub fn claims(&mut self, now: Duration) -> impl Iterator<Item = &Claim> {
        self.forget(now);
        self.runs.iter().map(|(_, settled)| &settled.claim)
    }

    /// What it remembers at `now` of claims that are held again, the earliest first. That is forgotten: who
    /// hands it in again remembers it again. What is over is remembered on: another failover may lose that
    /// it is, and then nobody is to begin it anew.
    pub fn take(&mut self, now: Duration, is_held: impl Fn(&Claim) -> bool) -> Vec<Settled> {
        self.forget(now);
        let (held, over): (Vec<_>, Vec<_>) = std::mem::take(&mut self.runs)
            .into_iter()
            .partition(|(_, settled)| is_held(&settled.claim));
        self.runs = over.into();
        held.into_iter().map(|(_, settled)| settled).collect()
    }

    fn forget(&mut self, now: Duration) {
        while let Some((at, _)) = self.runs.front()
            && now.saturating_sub(*at) > RECALL_FOR
        {
            self.runs.pop_front();
        }
    }
}

/// The claims that a session names, the lowest fence first: of each run the one with the highest
/// fence, for an earlier one is over by that.
#[must_use]
pub fn named(claims: impl IntoIterator<Item = Claim>) -> Vec<Claim> {
    let mut latest: HashMap<RunId, Claim> = HashMap::new();
    for claim in claims {
        let known = latest.get(&claim.run);
        if known.is_none_or(|known| known.fence < claim.fence) {
            latest.insert(claim.run.clone(), claim);
        }
    }
    let mut claims: Vec<_> = latest.into_values().collect();
    claims.sort_by_key(|claim| claim.fence);
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{QueueName, Version};
    use crate::policy::Priority;
    use crate::run::{Outcome, Verdict};

    fn claim(run: &str, fence: u64) -> Claim {
        Claim {
            run: run.parse().unwrap(),
            fence: Fence(fence),
            version: Version(1),
            attempt: 1,
            losses: 0,
            queue: QueueName::default_queue(),
            priority: Priority::Normal,
            fresh: true,
            begun: false,
        }
    }

    fn settled(run: &str, fence: u64) -> Settled {
        Settled {
            claim: claim(run, fence),
            verdict: Verdict::End(Outcome::Succeeded),
            record: None,
            definition: None,
        }
    }

    /// A claim of the lost tail, of a run that waits.
    const LOST: Found = Found {
        held: None,
        told: None,
        lost_after: 5,
        place: Place::Waits,
        is_late: false,
    };

    fn fate_of(fence: u64, found: Found) -> Fate {
        fate(Fence(fence), &found)
    }

    #[test]
    fn what_the_tail_took_is_restored_wherever_the_run_is() {
        for place in [Place::Nowhere, Place::Waits, Place::Claimed] {
            assert_eq!(fate_of(6, Found { place, ..LOST }), Fate::Restored);
        }
        let place = Place::Settled;
        assert_eq!(fate_of(6, Found { place, ..LOST }), Fate::Over);
    }

    #[test]
    fn what_was_settled_before_the_tail_stays_settled() {
        assert_eq!(fate_of(5, LOST), Fate::Over);
        let held = Some(Fence(5));
        assert_eq!(fate_of(5, Found { held, ..LOST }), Fate::Held);
    }

    #[test]
    fn the_highest_fence_has_the_run_in_whatever_order_they_come() {
        let told = Some(Fence(9));
        assert_eq!(fate_of(6, Found { told, ..LOST }), Fate::Over);
        let (held, told) = (Some(Fence(4)), Some(Fence(9)));
        let found = Found { held, told, ..LOST };
        assert_eq!(fate_of(4, found), Fate::Over);
        let told = Some(Fence(6));
        assert_eq!(fate_of(9, Found { told, ..LOST }), Fate::Restored);
        // Its own earlier claim on the run, of before the tail.
        let (held, told) = (Some(Fence(4)), Some(Fence(4)));
        let found = Found { held, told, ..LOST };
        assert_eq!(fate_of(9, found), Fate::Restored);
    }

    #[test]
    fn naming_it_twice_brings_nothing_back_that_was_settled_in_between() {
        let told = Some(Fence(6));
        assert_eq!(fate_of(6, Found { told, ..LOST }), Fate::Over);
        let held = told;
        let found = Found { held, told, ..LOST };
        assert_eq!(fate_of(6, found), Fate::Held);
    }

    #[test]
    fn who_comes_late_takes_nothing_from_who_claimed_meanwhile() {
        let (place, is_late) = (Place::Claimed, true);
        let found = Found {
            place,
            is_late,
            ..LOST
        };
        assert_eq!(fate_of(6, found), Fate::Over);
        assert_eq!(fate_of(6, Found { is_late, ..LOST }), Fate::Restored);
        // Its own, of before the tail.
        let held = Some(Fence(4));
        let found = Found { held, ..found };
        assert_eq!(fate_of(6, found), Fate::Restored);
    }

    #[test]
    fn what_was_handed_in_is_remembered_for_a_while_and_not_too_much_of_it() {
        let mut recall = Recall::default();
        recall.remember(settled("a@1", 1), Duration::ZERO);
        recall.remember(settled("a@2", 2), RECALL_FOR);
        let later = RECALL_FOR + Duration::from_millis(1);
        assert_eq!(recall.claims(later).count(), 1);
        assert_eq!(recall.take(later, |_| false), [], "over");
        assert_eq!(recall.take(later, |_| true).len(), 1);
        assert_eq!(recall.take(RECALL_FOR, |_| true), [], "taken");
        for fence in 0..RECALL_MOST as u64 + 7 {
            recall.remember(settled("a@3", fence), Duration::ZERO);
        }
        let left = recall.take(Duration::ZERO, |_| true);
        assert_eq!((left.len(), left[0].claim.fence), (RECALL_MOST, Fence(7)));
    }

    #[test]
    fn numbers_leap_above_the_tail_and_above_whatever_a_lost_generation_gave_out() {
        let at = |s: i64| Timestamp::from_ms(1_900_000_000_000 + s * 1000);
        assert_eq!(leap(7, Timestamp::from_ms(1)), LEAP + 7);
        let first = leap(7, at(0));
        // A second later it is all lost, and the store stands at 7 again.
        let given_out = first + 40_000;
        assert!(leap(7, at(1)) > given_out);
        assert!(leap(first, at(-3600)) > first, "a clock that went back");
        assert!(first < 99_999_999_999_999, "Lua prints fourteen digits");
    }

    #[test]
    fn of_each_run_the_latest_claim_is_named() {
        let claims = [claim("a@1", 9), claim("b@1", 3), claim("a@1", 4)];
        let named: Vec<_> = named(claims).iter().map(|c| c.fence.0).collect();
        assert_eq!(named, [3, 9]);
    }
}
