//! What becomes of a run whose attempt has ended: pure, and the only place where it is decided.

use std::time::Duration;

use super::{Claim, Ending, Outcome, Verdict};
use crate::policy::{Backoff, Delivery, OnLost, Policy, Retry};

/// How long a run waits before another node is tried, where this one has no such task.
pub const UNKNOWN_TASK_DELAY: Duration = Duration::from_secs(1);

/// The longest that a run waits for its next attempt, whatever its policy or its handler says: a
/// hundred years.
pub const LONGEST_DELAY: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Decides what becomes of a claimed run whose attempt has ended so. `draw` is a random number from
/// 0 to 1, for the jitter of a pause.
#[must_use]
pub fn settle(policy: &Policy, claim: &Claim, ending: &Ending, draw: f64) -> Verdict {
    match ending {
        Ending::Succeeded(_) => Verdict::End(Outcome::Succeeded),
        Ending::Failed(_) | Ending::Panicked(_) => {
            failed(policy, claim, Outcome::Failed, None, draw)
        }
        Ending::RetryAfter { after, .. } => {
            failed(policy, claim, Outcome::Failed, Some(*after), draw)
        }
        Ending::TimedOut { .. } => failed(policy, claim, Outcome::TimedOut, None, draw),
        Ending::FailedForGood(_) => Verdict::End(Outcome::Failed),
        Ending::Cancelled { .. } => Verdict::End(Outcome::Cancelled),
        // It was begun, and must not begin again.
        Ending::Snoozed { .. } if is_once(policy, claim) => Verdict::End(Outcome::Failed),
        Ending::Snoozed { after, .. } => again(*after, claim.attempt, claim.losses),
        Ending::NotBegun => Verdict::GiveBack,
        // A mark counts also where the job's definition cannot be read. Without one, nobody has
        // called the handler of a run that is marked first.
        Ending::NodeLost if claim.begun => Verdict::End(Outcome::Lost),
        Ending::NodeLost if policy.delivery == Delivery::AtMostOnce => Verdict::GiveBack,
        Ending::Interrupted | Ending::TrustLost if is_once(policy, claim) => {
            Verdict::End(Outcome::Lost)
        }
        Ending::Interrupted | Ending::TrustLost | Ending::NodeLost => lost(policy, claim),
        Ending::UnknownTask(_) => Verdict::Defer {
            after: UNKNOWN_TASK_DELAY,
        },
        Ending::DefinitionGone => Verdict::End(Outcome::Removed),
        Ending::DefinitionUnreadable(_) => Verdict::End(Outcome::Unreadable),
    }
}

/// The pause before the next attempt of a run that has failed `failures` times, this one included.
/// `draw` is a random number from 0 to 1: the shortest to the longest pause that the jitter allows.
///
/// However long the attempts go on, no pause is longer than `max`: where jitter would make one so,
/// it is drawn from what is below.
#[must_use]
pub fn pause(retry: &Retry, failures: u32, draw: f64) -> Duration {
    let earlier = failures.saturating_sub(1);
    let factor = match retry.backoff {
        Backoff::Fixed => 1.0,
        Backoff::Linear => f64::from(earlier) + 1.0,
        Backoff::Exponential => 2_f64.powi(i32::try_from(earlier.min(1_000)).unwrap_or(1_000)),
    };
    let max = retry.max.min(LONGEST_DELAY).as_secs_f64();
    let middle = (retry.base.as_secs_f64() * factor).min(max);
    let jitter = retry.jitter.clamp(0.0, 1.0);
    let (shortest, longest) = (middle * (1.0 - jitter), (middle * (1.0 + jitter)).min(max));
    let drawn = shortest + (longest - shortest) * draw.clamp(0.0, 1.0);
    // Whole milliseconds are all that a store keeps.
    Duration::from_millis(
        Duration::from_secs_f64(drawn)
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX),
    )
}

fn is_once(policy: &Policy, claim: &Claim) -> bool {
    claim.begun || policy.delivery == Delivery::AtMostOnce
}

/// Another attempt, if the job allows one: those that were lost with their nodes do not count.
fn failed(
    policy: &Policy,
    claim: &Claim,
    outcome: Outcome,
    after: Option<Duration>,
    draw: f64,
) -> Verdict {
    if is_once(policy, claim) {
        return Verdict::End(outcome);
    }
    let failures = claim.attempt.saturating_sub(claim.losses).max(1);
    if failures >= policy.retry.max_attempts.get() {
        return Verdict::End(outcome);
    }
    let after = after.unwrap_or_else(|| pause(&policy.retry, failures, draw));
    again(after, claim.attempt.saturating_add(1), claim.losses)
}

fn lost(policy: &Policy, claim: &Claim) -> Verdict {
    let losses = claim.losses.saturating_add(1);
    match policy.on_lost {
        OnLost::Retry if losses < policy.max_lost.get() => {
            let attempt = claim.attempt.saturating_add(1);
            again(Duration::ZERO, attempt, losses)
        }
        OnLost::Retry | OnLost::Fail => Verdict::End(Outcome::Lost),
    }
}

fn again(after: Duration, attempt: u32, losses: u32) -> Verdict {
    Verdict::Again {
        after: after.min(LONGEST_DELAY),
        attempt,
        losses,
    }
}
