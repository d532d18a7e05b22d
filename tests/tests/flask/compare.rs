//! Whether an answer is the one that the original gave.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use scheduler_core::Timestamp;
use scheduler_core::trigger::TriggerSpec;
use serde_json::{Map, Value};

use crate::capture::Capture;
use crate::differences::Difference;

/// How far apart times may lie that depend on when the request was made.
const TOLERANCE_MS: i64 = 40_000;

/// Headers that mean something to clients.
const HEADERS: [&str; 2] = ["content-type", "www-authenticate"];

/// What was answered here.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Map<String, Value>,
    pub(crate) body: String,
    pub(crate) now: Timestamp,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(Value::as_str)
    }
}

/// Compares an answer with that of the original. `captured` is when that was given, roughly.
pub(crate) fn compare(
    capture: &Capture,
    answer: &Answer,
    captured: Timestamp,
    difference: &Difference,
) -> Result<()> {
    status(capture, answer, difference)?;
    for name in HEADERS {
        let original = capture.headers.get(name).map(String::as_str);
        ensure!(
            difference.status.is_some() || original == answer.header(name),
            "{name}: {original:?} became {:?}",
            answer.header(name)
        );
    }
    if let Some(allow) = capture.headers.get("allow") {
        let set = |text: &str| text.split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
        let here = answer.header("allow").context("no Allow")?;
        ensure!(set(allow) == set(here), "Allow: {allow} became {here}");
    }
    let same = body(capture, answer, captured, difference);
    if difference.body {
        ensure!(
            same.is_err(),
            "the body is listed as different, and is the same"
        );
        if answer.status >= 400 {
            let error: Value = serde_json::from_str(&answer.body)?;
            ensure!(
                error["error_message"].is_string(),
                "an error without its message: {}",
                answer.body
            );
        }
        return Ok(());
    }
    same
}

fn status(capture: &Capture, answer: &Answer, difference: &Difference) -> Result<()> {
    let here = answer.status;
    match difference.status {
        Some(listed) => {
            ensure!(
                capture.status != Some(listed),
                "listed with the original's status"
            );
            ensure!(
                here == listed,
                "status: listed is {listed}, and it is {here}"
            );
        }
        None => ensure!(
            capture.status == Some(here),
            "status: {:?} became {here}",
            capture.status
        ),
    }
    Ok(())
}

fn body(
    capture: &Capture,
    answer: &Answer,
    captured: Timestamp,
    difference: &Difference,
) -> Result<()> {
    let (Ok(mut theirs), Ok(mut ours)) = (
        serde_json::from_str::<Value>(&capture.answer),
        serde_json::from_str::<Value>(&answer.body),
    ) else {
        ensure!(
            capture.answer == answer.body,
            "{:?} became {:?}",
            capture.answer,
            answer.body
        );
        return Ok(());
    };
    let times = Times {
        captured,
        now: answer.now,
        skips_next: difference.next_run_time,
    };
    times.same(&mut theirs, &mut ours)?;
    if let (Some(theirs), Some(ours)) = (theirs.get_mut("current_host"), ours.get("current_host")) {
        // The original ran on another machine.
        *theirs = ours.clone();
    }
    ensure!(theirs == ours, "{theirs} became {ours}");
    written_as_python_does(&answer.body)
}

/// Keys in order, blanks after `,` and `:`, nothing beyond ASCII.
fn written_as_python_does(text: &str) -> Result<()> {
    ensure!(text.is_ascii(), "beyond ASCII: {text}");
    let mut compact = serde_json::from_str::<Value>(text)?.to_string();
    // Quotes may hold anything; these bodies hold no such pairs in them.
    compact = compact.replace("\",\"", "\", \"").replace("\":", "\": ");
    let blanks = text.matches(", ").count();
    ensure!(blanks >= compact.matches("\", \"").count(), "{text}");
    ensure!(!text.contains("\":\"") && !text.contains("\",\""), "{text}");
    Ok(())
}

/// Jobs are listed by when they run next; those that never do come last.
fn goes_by_next_run_time(jobs: &[Value]) -> Result<()> {
    let next = |job: &Value| match job["next_run_time"].as_str() {
        Some(text) => text.parse().with_context(|| text.to_owned()),
        None => Ok(Timestamp::from_ms(i64::MAX)),
    };
    let times = jobs.iter().map(next).collect::<Result<Vec<_>>>()?;
    ensure!(times.is_sorted(), "not by next_run_time: {jobs:?}");
    Ok(())
}

struct Times {
    captured: Timestamp,
    now: Timestamp,
    skips_next: bool,
}

impl Times {
    /// Compares the times of jobs, and makes those of `ours` the same where they mean the same.
    fn same(&self, theirs: &mut Value, ours: &mut Value) -> Result<()> {
        match (theirs, ours) {
            (Value::Array(theirs), Value::Array(ours)) => {
                goes_by_next_run_time(ours)?;
                // Which of them is next depends on when it is asked.
                for jobs in [&mut *theirs, &mut *ours] {
                    jobs.sort_by_key(|job| job["id"].as_str().map(str::to_owned));
                }
                for (theirs, ours) in theirs.iter_mut().zip(ours) {
                    self.same(theirs, ours)?;
                }
                Ok(())
            }
            (Value::Object(theirs), Value::Object(ours)) => self.same_job(theirs, ours),
            _ => Ok(()),
        }
    }

    fn same_job(
        &self,
        theirs: &mut Map<String, Value>,
        ours: &mut Map<String, Value>,
    ) -> Result<()> {
        for field in ["run_date", "start_date", "end_date"] {
            self.same_time(theirs.get(field), ours.get(field))
                .with_context(|| format!("{field} of {ours:?}"))?;
            if let (Some(theirs), Some(ours)) = (theirs.get(field), ours.get_mut(field)) {
                *ours = theirs.clone();
            }
        }
        let field = "next_run_time";
        if self.skips_next {
            ensure!(
                theirs.get(field) != ours.get(field),
                "{field} is listed as different"
            );
        } else if theirs.get("trigger") == Some(&Value::from("cron")) && is_near(theirs.get(field))
        {
            let expected = self.cron(ours)?;
            ensure!(
                ours.get(field) == Some(&Value::String(expected.clone())),
                "{expected} expected: {ours:?}"
            );
        } else {
            self.same_time(theirs.get(field), ours.get(field))
                .with_context(|| format!("{field} of {ours:?}"))?;
        }
        if let (Some(theirs), Some(ours)) = (theirs.get(field), ours.get_mut(field)) {
            *ours = theirs.clone();
        }
        Ok(())
    }

    fn same_time(&self, theirs: Option<&Value>, ours: Option<&Value>) -> Result<()> {
        let (Some(Value::String(theirs)), Some(Value::String(ours))) = (theirs, ours) else {
            ensure!(theirs == ours, "{theirs:?} became {ours:?}");
            return Ok(());
        };
        ensure!(
            offset(theirs) == offset(ours),
            "offset: {theirs} became {ours}"
        );
        let (theirs_at, ours_at): (Timestamp, Timestamp) = (theirs.parse()?, ours.parse()?);
        if !is_near(Some(&Value::String(theirs.clone()))) {
            ensure!(theirs == ours, "{theirs} became {ours}");
            return Ok(());
        }
        let theirs_in = theirs_at.as_ms() - self.captured.as_ms();
        let ours_in = ours_at.as_ms() - self.now.as_ms();
        if (theirs_in - ours_in).abs() > TOLERANCE_MS {
            bail!("{theirs} was {theirs_in} ms off, {ours} is {ours_in} ms off");
        }
        Ok(())
    }

    /// When a cron trigger of these fields runs next, and how that is shown in UTC.
    fn cron(&self, job: &Map<String, Value>) -> Result<String> {
        let mut fields = Map::from_iter([("type".to_owned(), Value::from("cron"))]);
        for field in [
            "day",
            "day_of_week",
            "hour",
            "minute",
            "month",
            "second",
            "week",
            "year",
        ] {
            if let Some(value) = job.get(field) {
                fields.insert(field.to_owned(), value.clone());
            }
        }
        let spec = TriggerSpec::from_value(Value::Object(fields))?;
        let trigger = spec.resolve("UTC".parse().context("a zone")?)?;
        let next = trigger.first(self.now).context("never")?;
        Ok(next.to_string().replace('Z', "+00:00"))
    }
}

/// Whether a time depends on when the request was made.
fn is_near(time: Option<&Value>) -> bool {
    let text = time.and_then(Value::as_str).unwrap_or_default();
    text.starts_with("2026-11-2") || text.starts_with("2027-")
}

fn offset(time: &str) -> &str {
    &time[time.len().saturating_sub(6)..]
}
