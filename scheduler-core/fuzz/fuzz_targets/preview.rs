//! Lines of the preview protocol.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scheduler_core::Timestamp;
use scheduler_core::trigger::preview::answer_line;

fuzz_target!(|line: &str| {
    let answer = answer_line(line, chrono_tz::Tz::Europe__Berlin, Timestamp::from_ms(1_772_949_000_123));
    assert!(answer.starts_with('{') && !answer.contains('\n'), "{answer}");
});
