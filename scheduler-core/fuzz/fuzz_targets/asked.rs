//! What every trigger must stand, however it was written.

use scheduler_core::Timestamp;
use scheduler_core::trigger::{Trigger, TriggerSpec};

/// Asks `trigger` for some fire times from two sides of a change of the clock.
pub fn ask(trigger: &Trigger) {
    // 2026-03-08 in New York, 2026-10-25 in Europe, the end of time.
    for start in [1_772_949_000_123, 1_792_890_000_999, 253_402_000_000_000] {
        let mut next = trigger.first(Timestamp::from_ms(start));
        for _ in 0..5 {
            let Some(at) = next else { break };
            assert!(at <= Timestamp::MAX, "{trigger:?} fires at {at}");
            next = trigger.next_after(at);
            assert!(next.is_none_or(|next| next > at), "{trigger:?} goes from {at} to {next:?}");
        }
        let now = Timestamp::from_ms(start);
        assert!(trigger.at_or_after(now).is_none_or(|at| at >= now), "{trigger:?}");
        if let Some(first) = trigger.first(now) {
            let _ = trigger.stretch(first, Timestamp::from_ms(start + 60_000), 10);
        }
    }
    assert!(!trigger.describe().is_empty());
}

/// Resolves a spec that was read, asks it, and stores and reads it once more.
pub fn resolve_and_ask(spec: &TriggerSpec) {
    let Ok(trigger) = spec.resolve(chrono_tz::Tz::America__New_York) else { return };
    ask(&trigger);
    let stored = rmp_serde::to_vec_named(&trigger).expect("a trigger can be stored");
    let read: Trigger = rmp_serde::from_slice(&stored).expect("what was stored can be read");
    assert_eq!(read, trigger);
}
