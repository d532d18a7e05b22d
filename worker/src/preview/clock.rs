//! Where the wall clock changes near a fire time.
//!
//! ```text
//!   skips     01:00 ─── 02:00│03:00 ─── 04:00      between the two there are no times
//!   repeats   01:00 ─── 02:00│01:00 ─── 02:00      each time in between is there twice
//! ```

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDateTime};
use scheduler_core::Timestamp;
use scheduler_core::trigger::Trigger;

use crate::wire::{self, ChangeKind as Kind, Position};

/// What is no further from a skipped or repeated stretch than this lies next to it.
const NEAR: Duration = Duration::from_secs(3600);
/// How far away a change is looked for: a clock is set back by two hours at most.
const REACH: Duration = Duration::from_secs(3 * 3600);

/// A change of the clock, and where a fire time lies beside it.
#[derive(Clone, Copy, Debug)]
pub struct ClockChange {
    /// What the clock does.
    pub kind: Kind,
    /// Where the fire time lies beside it.
    pub position: Position,
    /// The first instant at the new offset.
    pub at: Timestamp,
    /// The offset before.
    pub before: FixedOffset,
    /// The offset after.
    pub after: FixedOffset,
    /// Whether the fire time is the first instant after what is skipped or repeated.
    is_adjacent: bool,
}

impl ClockChange {
    /// The change in or next to whose stretch `fire` lies, in the trigger's zone.
    #[must_use]
    pub fn near(trigger: &Trigger, fire: Timestamp) -> Option<Self> {
        let at = change_around(trigger, fire)?;
        let last_before = Timestamp::from_ms(at.as_ms() - 1);
        let offset = |at| *trigger.local(at).offset();
        let (before, after) = (offset(last_before), offset(at));
        let jump = i64::from(after.local_minus_utc()) - i64::from(before.local_minus_utc());
        let width = Duration::from_secs(jump.unsigned_abs());
        let (kind, begins, ends) = if jump > 0 {
            (Kind::Skips, at, at)
        } else {
            (Kind::Repeats, at.before(width), at.after(width))
        };
        let (position, away) = if fire < begins {
            (Position::Before, begins.since(fire))
        } else if fire >= ends {
            (Position::After, fire.since(ends))
        } else if fire < at {
            (Position::First, Duration::ZERO)
        } else {
            (Position::Second, Duration::ZERO)
        };
        (away <= NEAR).then_some(Self {
            kind,
            position,
            at,
            before,
            after,
            is_adjacent: fire == ends,
        })
    }

    pub(super) fn view(&self) -> wire::ClockChange {
        wire::ClockChange {
            kind: self.kind,
            at: self.at.to_string(),
            offset_before: self.before.to_string(),
            offset_after: self.after.to_string(),
            position: self.position,
        }
    }
}

/// The first instant at another offset than before, within reach of `fire`.
fn change_around(trigger: &Trigger, fire: Timestamp) -> Option<Timestamp> {
    let offset = |at| *trigger.local(at).offset();
    let (early, late) = (fire.before(REACH), fire.after(REACH));
    let here = offset(fire);
    let (mut before, mut after) = if offset(early) != here {
        (early.as_ms(), fire.as_ms())
    } else if offset(late) != here {
        (fire.as_ms(), late.as_ms())
    } else {
        return None;
    };
    let old = offset(Timestamp::from_ms(before));
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if offset(Timestamp::from_ms(middle)) == old {
            before = middle;
        } else {
            after = middle;
        }
    }
    Some(Timestamp::from_ms(after))
}

/// `right after the clock skipped 02:00 to 03:00`.
impl fmt::Display for ClockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, past) = match self.kind {
            Kind::Skips => ("skips", "skipped"),
            Kind::Repeats => ("repeats", "repeated"),
        };
        match self.position {
            Position::Before => write!(f, "shortly before the clock {now}")?,
            Position::First => write!(f, "first of two: the clock {now}")?,
            Position::Second => write!(f, "second of two: the clock {now}")?,
            Position::After if self.is_adjacent => write!(f, "right after the clock {past}")?,
            Position::After => write!(f, "shortly after the clock {past}")?,
        }
        let at = self.at.to_datetime();
        let shown = |offset| local(at, offset);
        let (old, new) = (shown(self.before), shown(self.after));
        let (from, to) = (old.min(new), old.max(new));
        let form = if from.date() == to.date() || to - from < chrono::TimeDelta::days(1) {
            "%H:%M"
        } else {
            "%Y-%m-%d %H:%M"
        };
        write!(f, " {} to {}", from.format(form), to.format(form))
    }
}

fn local(at: DateTime<chrono::Utc>, offset: FixedOffset) -> NaiveDateTime {
    at.with_timezone(&offset).naive_local()
}
