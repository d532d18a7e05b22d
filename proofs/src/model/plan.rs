//! What core decides, as small as it can be: when a job fires next, and what becomes of what is due.

use super::state::Tick;

/// A schedule: every so many ticks, up to the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Rule(pub(super) u8);

impl Rule {
    /// The first fire time at or after `from`.
    pub(super) fn first(self, from: Tick, last: Tick) -> Option<Tick> {
        let fire = from.max(1).div_ceil(self.0) * self.0;
        (fire <= last).then_some(fire)
    }

    /// The first fire time after `at`.
    pub(super) fn following(self, at: Tick, last: Tick) -> Option<Tick> {
        self.first(at + 1, last)
    }

    /// The fire times from `first` to `now`, one bit each.
    pub(super) fn between(self, first: Tick, now: Tick, last: Tick) -> u16 {
        let mut fires = 1 << first;
        let mut at = first;
        while let Some(next) = self.following(at, last).filter(|next| *next <= now) {
            fires |= 1 << next;
            at = next;
        }
        fires
    }
}

/// What becomes of a due job's fire times: the latest runs, if there is room and it is in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Plan {
    pub(super) run: Option<Tick>,
    pub(super) skips: u16,
    /// The lowest and the highest fire time that it settles, or what was settled before.
    pub(super) first: Tick,
    pub(super) settled: Tick,
    pub(super) next: Option<Tick>,
}

/// How a plan is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) last: Tick,
    pub(super) max_instances: u8,
    pub(super) grace: Option<u8>,
}

pub(super) fn plan(rule: Rule, due: Tick, now: Tick, in_flight: u8, policy: Policy) -> Plan {
    let fires = rule.between(due, now, policy.last);
    let latest = highest(fires);
    let in_time = policy.grace.is_none_or(|grace| now - latest <= grace);
    let runs = in_time && in_flight < policy.max_instances;
    Plan {
        run: runs.then_some(latest),
        skips: if runs { fires & !(1 << latest) } else { fires },
        first: due,
        settled: latest,
        next: rule.following(latest, policy.last),
    }
}

/// The plan for a job whose due time has been settled already, up to `fired`.
pub(super) fn move_past(rule: Rule, fired: Tick, last: Tick) -> Plan {
    Plan {
        run: None,
        skips: 0,
        first: fired,
        settled: fired,
        next: rule.following(fired, last),
    }
}

/// The highest of these fire times.
pub(super) fn highest(fires: u16) -> Tick {
    u8::try_from(fires.ilog2()).unwrap_or(0)
}
