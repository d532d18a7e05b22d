//! Named cron fields, dates, a zone and an exclusion: the lines of a text, in this order.
#![no_main]

mod asked;

use libfuzzer_sys::fuzz_target;
use scheduler_core::trigger::{CronSpec, ExcludeSpec, TriggerSpec};

fuzz_target!(|text: &str| {
    let mut lines = text.lines().map(|line| (!line.is_empty()).then(|| line.to_owned()));
    let mut next = || lines.next().flatten();
    let spec = CronSpec {
        expression: None,
        year: next(),
        month: next(),
        day: next(),
        week: next(),
        day_of_week: next(),
        hour: next(),
        minute: next(),
        second: next(),
        start_date: next(),
        end_date: next(),
        timezone: next(),
        exclude: next().map(ExcludeSpec::Text).into_iter().collect(),
        jitter: None,
        dst: None,
    };
    asked::resolve_and_ask(&TriggerSpec::Cron(spec));
});
