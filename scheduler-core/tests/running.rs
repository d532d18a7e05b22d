//! What becomes of a run whose attempt has ended.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use scheduler_core::policy::{Delivery, OnLost};
use scheduler_core::run::{Claim, Ending, Outcome, UNKNOWN_TASK_DELAY, Verdict, settle};
use scheduler_core::{Fence, Policy, QueueName, Timestamp, Version};

fn claim(attempt: u32, losses: u32) -> Claim {
    Claim {
        run: scheduler_core::RunId::fire("j".parse().expect("an id"), Timestamp::EPOCH),
        fence: Fence(9),
        version: Version(4),
        attempt,
        losses,
        queue: QueueName::default_queue(),
        priority: scheduler_core::Priority::Normal,
        fresh: attempt == 1,
        begun: false,
    }
}

fn policy(on_lost: OnLost, max_lost: u32) -> Policy {
    Policy {
        on_lost,
        max_lost: NonZeroU32::new(max_lost).expect("a limit"),
        ..Policy::default()
    }
}

fn lost_endings() -> [Ending; 3] {
    [Ending::Interrupted, Ending::TrustLost, Ending::NodeLost]
}

#[test]
fn each_ending_has_its_verdict_whatever_the_job_says_about_loss() {
    let text = || "text".to_owned();
    let table = [
        (Ending::Succeeded(None), Verdict::End(Outcome::Succeeded)),
        (
            Ending::Succeeded(Some(text())),
            Verdict::End(Outcome::Succeeded),
        ),
        (Ending::Failed(text()), Verdict::End(Outcome::Failed)),
        (Ending::Panicked(text()), Verdict::End(Outcome::Failed)),
        (Ending::NotBegun, Verdict::GiveBack),
        (
            Ending::UnknownTask(text()),
            Verdict::Defer {
                after: UNKNOWN_TASK_DELAY,
            },
        ),
        (Ending::DefinitionGone, Verdict::End(Outcome::Removed)),
        (
            Ending::DefinitionUnreadable(text()),
            Verdict::End(Outcome::Unreadable),
        ),
    ];
    for (ending, verdict) in table {
        for on_lost in [OnLost::Retry, OnLost::Fail] {
            let settled = settle(&policy(on_lost, 1), &claim(2, 1), &ending, 0.5);
            assert_eq!(settled, verdict, "{ending:?}, {on_lost:?}");
        }
    }
}

#[test]
fn a_lost_attempt_is_followed_by_another_until_too_many_were_lost() {
    let again = |attempt, losses| Verdict::Again {
        after: Duration::ZERO,
        attempt,
        losses,
    };
    let lost = Verdict::End(Outcome::Lost);
    // (on lost, at most, attempt, losses before): the verdict
    let table = [
        (OnLost::Retry, 3, 1, 0, again(2, 1)),
        (OnLost::Retry, 3, 2, 1, again(3, 2)),
        (OnLost::Retry, 3, 3, 2, lost),
        (OnLost::Retry, 3, 9, 8, lost),
        (OnLost::Retry, 1, 1, 0, lost),
        (OnLost::Retry, 3, 7, 0, again(8, 1)),
        (OnLost::Fail, 3, 1, 0, lost),
    ];
    for (on_lost, max_lost, attempt, losses, verdict) in table {
        for ending in lost_endings() {
            let settled = settle(
                &policy(on_lost, max_lost),
                &claim(attempt, losses),
                &ending,
                0.5,
            );
            assert_eq!(
                settled, verdict,
                "{on_lost:?} {max_lost} {attempt} {losses} {ending:?}"
            );
        }
    }
}

#[test]
fn each_ending_but_one_that_never_began_says_what_happened() {
    let told = [
        (Ending::Succeeded(None), None),
        (Ending::Succeeded(Some("42".to_owned())), Some("42")),
        (Ending::Failed("no route".to_owned()), Some("no route")),
        (
            Ending::Panicked("index 3".to_owned()),
            Some("panicked: index 3"),
        ),
        (Ending::NotBegun, None),
        (
            Ending::UnknownTask("mail".to_owned()),
            Some("this node has no task \"mail\""),
        ),
        (
            Ending::DefinitionUnreadable("bad field".to_owned()),
            Some("bad field"),
        ),
    ];
    for (ending, detail) in told {
        assert_eq!(ending.detail().as_deref(), detail, "{ending:?}");
    }
    for ending in lost_endings() {
        let detail = ending.detail().expect("a reason");
        assert!(detail.contains("node"), "{ending:?}: {detail}");
    }
}

#[test]
fn what_was_begun_at_most_once_never_begins_again() {
    let once = Policy {
        delivery: Delivery::AtMostOnce,
        ..policy(OnLost::Retry, 9)
    };
    let (failed, lost) = (Verdict::End(Outcome::Failed), Verdict::End(Outcome::Lost));
    let after = Duration::from_secs(1);
    let (error, why) = ("no".to_owned(), None);
    let begun = Claim {
        begun: true,
        ..claim(1, 0)
    };
    let after_it_began = [
        (Ending::Failed(error.clone()), failed),
        (Ending::RetryAfter { error, after }, failed),
        (Ending::Snoozed { after, why }, failed),
        (Ending::Interrupted, lost),
        (Ending::TrustLost, lost),
        (Ending::NodeLost, lost),
    ];
    for (ending, verdict) in after_it_began {
        assert_eq!(settle(&once, &begun, &ending, 0.5), verdict, "{ending:?}");
        // The mark counts also where the definition could not be read.
        let unread = settle(&Policy::default(), &begun, &ending, 0.5);
        assert_eq!(unread, verdict, "{ending:?}");
    }
    // Nobody called its handler: the node knows that it did not, and who clears up sees no mark.
    for ending in [Ending::NotBegun, Ending::NodeLost] {
        let settled = settle(&once, &claim(1, 0), &ending, 0.5);
        assert_eq!(settled, Verdict::GiveBack, "{ending:?}");
    }
    let not_begun = settle(&once, &begun, &Ending::NotBegun, 0.5);
    assert_eq!(not_begun, Verdict::GiveBack);
}

#[test]
fn at_most_once_and_more_attempts_exclude_each_other() {
    let mut once = Policy {
        delivery: Delivery::AtMostOnce,
        ..Policy::default()
    };
    assert_eq!(once.check(), Ok(()));
    once.retry.max_attempts = NonZeroU32::new(2).expect("two");
    let (field, message) = once.check().expect_err("a contradiction");
    assert_eq!(field, "retry.max_attempts");
    assert!(message.contains("at_most_once"), "{message}");
}

#[test]
fn whatever_becomes_of_a_cancelled_handler_the_run_is_cancelled() {
    let ending = Ending::Cancelled {
        reason: "cancelled by me".to_owned(),
        last_words: Some("half done".to_owned()),
    };
    let settled = settle(&policy(OnLost::Retry, 9), &claim(1, 0), &ending, 0.5);
    assert_eq!(settled, Verdict::End(Outcome::Cancelled));
    assert_eq!(
        ending.detail().as_deref(),
        Some("cancelled by me: half done")
    );
}

#[test]
fn outcomes_read_back_from_their_words() {
    use Outcome::{
        Cancelled, Failed, Lost, Removed, Rerun, Retrying, Succeeded, TimedOut, Unreadable,
    };
    let all = [
        Succeeded, Failed, TimedOut, Cancelled, Rerun, Lost, Retrying, Removed, Unreadable,
    ];
    for outcome in all {
        let word = serde_json::to_string(&outcome).expect("a word");
        assert_eq!(word, format!("\"{outcome}\""));
        assert_eq!(
            serde_json::from_str::<Outcome>(&word).expect("an outcome"),
            outcome
        );
    }
}

proptest! {
    /// However attempts are lost and tasks unknown in between: a run ends, attempts count up by one
    /// with each loss, and losses are never forgotten.
    #[test]
    fn a_run_that_kills_its_nodes_ends(
        max_lost in 1_u32..20,
        endings in prop::collection::vec(0_usize..4, 200),
    ) {
        let policy = policy(OnLost::Retry, max_lost);
        let mut now = claim(1, 0);
        for ending in endings {
            let [interrupted, trust, node] = lost_endings();
            let unknown = Ending::UnknownTask("mail".to_owned());
            let ending = [interrupted, trust, node, unknown][ending].clone();
            match settle(&policy, &now, &ending, 0.5) {
                Verdict::Again { attempt, losses, .. } => {
                    prop_assert_eq!((attempt, losses), (now.attempt + 1, now.losses + 1));
                    prop_assert!(losses < max_lost);
                    now = claim(attempt, losses);
                }
                Verdict::Defer { .. } => {
                    let waiting = now.deferred();
                    prop_assert_eq!((waiting.attempt, waiting.losses), (now.attempt, now.losses));
                    prop_assert_eq!(waiting.version.is_some(), !now.fresh, "bound before");
                }
                verdict => {
                    prop_assert_eq!(verdict, Verdict::End(Outcome::Lost));
                    prop_assert_eq!(now.losses + 1, max_lost);
                    return Ok(());
                }
            }
        }
    }

    #[test]
    fn numbers_at_their_end_break_nothing(attempt in u32::MAX - 1.., losses in u32::MAX - 1..) {
        for ending in lost_endings() {
            let verdict = settle(&policy(OnLost::Retry, u32::MAX), &claim(attempt, losses), &ending, 0.5);
            prop_assert_ne!(verdict, Verdict::GiveBack);
        }
    }
}
