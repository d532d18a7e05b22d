//! Cron expressions: any text.
#![no_main]

mod asked;

use libfuzzer_sys::fuzz_target;
use scheduler_core::trigger::{CronSpec, TriggerSpec};

fuzz_target!(|expression: &str| {
    let expression = Some(expression.to_owned());
    let spec = TriggerSpec::Cron(CronSpec { expression, ..CronSpec::default() });
    if let Err(error) = spec.resolve(chrono_tz::Tz::UTC) {
        assert!(!error.to_string().is_empty());
    }
    asked::resolve_and_ask(&spec);
});
