//! How often, and after which pauses, a run is tried again.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use scheduler_core::run::{Claim, Ending, LONGEST_DELAY, Outcome, Verdict, pause, settle};
use scheduler_core::{Backoff, Fence, Policy, Priority, QueueName, Retry, Timestamp, Version};

const S: fn(u64) -> Duration = Duration::from_secs;

fn claim(attempt: u32, losses: u32) -> Claim {
    Claim {
        run: scheduler_core::RunId::fire("j".parse().expect("an id"), Timestamp::EPOCH),
        fence: Fence(9),
        version: Version(4),
        attempt,
        losses,
        queue: QueueName::default_queue(),
        priority: Priority::Normal,
        fresh: false,
        begun: false,
    }
}

fn retry(max_attempts: u32, backoff: Backoff) -> Retry {
    Retry {
        max_attempts: NonZeroU32::new(max_attempts).expect("one at least"),
        backoff,
        base: S(2),
        max: S(60),
        jitter: 0.0,
    }
}

fn policy(retry: Retry) -> Policy {
    Policy {
        retry,
        ..Policy::default()
    }
}

/// Endings that count as failures, and what they end as.
fn failures() -> [(Ending, Outcome); 3] {
    let timed_out = Ending::TimedOut {
        limit: S(5),
        last_words: None,
    };
    [
        (Ending::Failed("no".to_owned()), Outcome::Failed),
        (Ending::Panicked("no".to_owned()), Outcome::Failed),
        (timed_out, Outcome::TimedOut),
    ]
}

#[test]
fn pauses_grow_as_the_job_says_and_no_longer_than_that() {
    let pauses = |backoff| {
        let retry = retry(9, backoff);
        (1..=7).map(move |n| pause(&retry, n, 0.5).as_secs())
    };
    assert!(pauses(Backoff::Fixed).eq([2; 7]));
    assert!(pauses(Backoff::Linear).eq([2, 4, 6, 8, 10, 12, 14]));
    assert!(pauses(Backoff::Exponential).eq([2, 4, 8, 16, 32, 60, 60]));
}

#[test]
fn jitter_moves_a_pause_both_ways_and_never_past_the_longest() {
    let retry = Retry {
        jitter: 0.5,
        ..retry(9, Backoff::Exponential)
    };
    let drawn = |failures, draw| pause(&retry, failures, draw).as_millis();
    assert_eq!(
        [0.0, 0.5, 1.0].map(|draw| drawn(1, draw)),
        [1000, 2000, 3000]
    );
    assert_eq!(
        [0.0, 0.5, 1.0].map(|draw| drawn(9, draw)),
        [30_000, 45_000, 60_000]
    );
}

#[test]
fn a_run_that_fails_is_tried_again_until_its_attempts_are_used_up() {
    for (ending, outcome) in failures() {
        let policy = policy(retry(3, Backoff::Exponential));
        let again = |after, attempt, losses| Verdict::Again {
            after: S(after),
            attempt,
            losses,
        };
        // (attempt, of which lost with their nodes): the verdict
        let table = [
            (1, 0, again(2, 2, 0)),
            (2, 0, again(4, 3, 0)),
            (3, 0, Verdict::End(outcome)),
            (4, 0, Verdict::End(outcome)),
            // What was lost counts apart.
            (2, 1, again(2, 3, 1)),
            (4, 2, again(4, 5, 2)),
            (5, 2, Verdict::End(outcome)),
        ];
        for (attempt, losses, verdict) in table {
            let settled = settle(&policy, &claim(attempt, losses), &ending, 0.5);
            assert_eq!(settled, verdict, "{ending:?} {attempt} {losses}");
        }
        let once = settle(&Policy::default(), &claim(1, 0), &ending, 0.5);
        assert_eq!(once, Verdict::End(outcome), "the default");
    }
}

#[test]
fn a_handler_may_know_better_than_the_policy() {
    let policy = policy(retry(3, Backoff::Exponential));
    let error = "no".to_owned();
    let final_one = Ending::FailedForGood(error.clone());
    let settled = settle(&policy, &claim(1, 0), &final_one, 0.5);
    assert_eq!(settled, Verdict::End(Outcome::Failed));

    let after = S(700);
    let later = Ending::RetryAfter { error, after };
    let verdict = |attempt| settle(&policy, &claim(attempt, 0), &later, 0.5);
    let again = Verdict::Again {
        after,
        attempt: 2,
        losses: 0,
    };
    assert_eq!(verdict(1), again);
    assert_eq!(verdict(3), Verdict::End(Outcome::Failed), "attempts count");

    let snoozed = Ending::Snoozed { after, why: None };
    for attempt in [1, 3, 30] {
        let same = Verdict::Again {
            after,
            attempt,
            losses: 0,
        };
        let settled = settle(&policy, &claim(attempt, 0), &snoozed, 0.5);
        assert_eq!(settled, same, "no attempt");
    }
}

fn any_retry() -> impl Strategy<Value = Retry> {
    let backoff = prop_oneof![
        Just(Backoff::Fixed),
        Just(Backoff::Linear),
        Just(Backoff::Exponential)
    ];
    let times = (any::<u64>(), any::<u64>());
    (1_u32.., backoff, times, 0.0..=1.0).prop_map(|(attempts, backoff, (a, b), jitter)| Retry {
        max_attempts: NonZeroU32::new(attempts).expect("one at least"),
        backoff,
        base: Duration::from_millis(a.min(b)),
        max: Duration::from_millis(a.max(b)),
        jitter,
    })
}

proptest! {
    /// Whatever the policy, no pause is out of bounds, and nothing overflows.
    #[test]
    fn pauses_stay_in_their_bounds(retry in any_retry(), failures in 1_u32.., draw in 0.0..=1.0) {
        let pause = pause(&retry, failures, draw);
        prop_assert!(pause <= retry.max.min(LONGEST_DELAY));
        let shortest = retry.base.min(LONGEST_DELAY).as_secs_f64() * (1.0 - retry.jitter);
        prop_assert!(pause.as_secs_f64() >= shortest * 0.999_999 - 0.001, "{pause:?}");
    }

    /// Whatever happens to it, a run has as many attempts as its job allows, and as many losses.
    #[test]
    fn attempts_and_losses_are_bounded(
        attempts in 1_u32..8,
        max_lost in 1_u32..8,
        endings in prop::collection::vec(0_usize..4, 40),
    ) {
        let policy = Policy {
            max_lost: NonZeroU32::new(max_lost).expect("one at least"),
            ..policy(retry(attempts, Backoff::Fixed))
        };
        let (mut now, mut failed) = (claim(1, 0), 0);
        for ending in endings {
            let ending = match ending {
                0 => Ending::NodeLost,
                1 => Ending::Snoozed { after: S(1), why: None },
                _ => Ending::Failed("no".to_owned()),
            };
            failed += u32::from(matches!(ending, Ending::Failed(_)));
            match settle(&policy, &now, &ending, 0.5) {
                Verdict::Again { attempt, losses, .. } => now = claim(attempt, losses),
                Verdict::End(Outcome::Failed) => {
                    prop_assert_eq!(failed, attempts);
                    return Ok(());
                }
                verdict => {
                    prop_assert_eq!(verdict, Verdict::End(Outcome::Lost));
                    prop_assert_eq!(now.losses + 1, max_lost);
                    return Ok(());
                }
            }
            prop_assert!(failed < attempts && now.losses < max_lost);
        }
    }
}
