//! A program's requests, a line each, answered line by line.

use std::io::{self, BufRead as _};
use std::str;

use carillon::core::Clock;
use carillon::core::trigger::preview::answer_line;
use chrono_tz::Tz;
use serde_json::json;

use super::super::failure::Failure;
use super::super::output;

/// Answers each line of standard input at once, also a bad one, until there are no more.
pub(super) fn answer_all(default_timezone: Tz, clock: &impl Clock) -> Result<(), Failure> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = match str::from_utf8(&line) {
            Ok(line) => answer_line(line.trim_end(), default_timezone, clock.now()),
            Err(error) => {
                let message = format!("the line can't be read: {error}");
                json!({"id": null, "error": {"field": "request", "message": message}}).to_string()
            }
        };
        // Standard output passes each line on as it ends, to whatever it leads.
        output::line(&answer)?;
    }
}
