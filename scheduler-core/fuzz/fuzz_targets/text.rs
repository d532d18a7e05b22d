//! Triggers as one text: JSON, cron, `every`, an instant.
#![no_main]

mod asked;

use libfuzzer_sys::fuzz_target;
use scheduler_core::trigger::TriggerSpec;

fuzz_target!(|text: &str| {
    match TriggerSpec::from_text(text) {
        Ok(spec) => asked::resolve_and_ask(&spec),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
