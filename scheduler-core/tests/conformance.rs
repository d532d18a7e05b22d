//! What APScheduler 3.11 answered, case by case, and what Carillon answers.
//!
//! `data/triggers.json` holds the calls and answers of the real package. Where Carillon answers
//! otherwise on purpose, the difference has a row in `docs/triggers.md`, which names its cases; the
//! rows are read here, so a difference without a row fails, and so does a row without a difference.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "how many cases pass is worth knowing")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use scheduler_core::Timestamp;
use scheduler_core::trigger::{Trigger, TriggerSpec};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Case {
    id: String,
    kind: String,
    args: Map<String, Value>,
    timezone: String,
    now: Option<String>,
    previous: Option<String>,
    #[serde(default)]
    expected_utc: Vec<String>,
    documented_utc: Option<Vec<String>>,
    vixie_utc: Option<Vec<String>>,
    end: Option<String>,
    class: Option<String>,
    draw: Option<f64>,
    error: Option<Value>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("data/triggers.json")).unwrap()
}

/// The trigger of a case, as Carillon's users would write it.
fn written(kind: &str, args: &Map<String, Value>) -> Value {
    let mut spec = args.clone();
    if kind == "crontab" {
        // APScheduler's `from_crontab` only spreads the text over its own fields.
        let expression = args["expr"].as_str().unwrap();
        let fields: Vec<_> = expression.split_whitespace().collect();
        if fields.len() != 5 {
            // Carillon reads other numbers of fields in other dialects: nothing to compare.
            return json!({"type": "cron", "fields": fields.len()});
        }
        let names = ["minute", "hour", "day", "month", "day_of_week"];
        spec = names
            .iter()
            .zip(fields)
            .map(|(n, f)| ((*n).to_owned(), f.into()))
            .collect();
    }
    if let Some(Value::Array(children)) = spec.get_mut("triggers") {
        for child in children {
            let kind = child["kind"].as_str().unwrap();
            *child = written(kind, child["args"].as_object().unwrap());
        }
    }
    let name = match kind {
        "crontab" => "cron",
        "calendarinterval" => "calendar_interval",
        other => other,
    };
    spec.insert("type".to_owned(), name.into());
    Value::Object(spec)
}

fn resolve(case: &Case, dst: &str) -> Result<Trigger, String> {
    let mut spec = written(&case.kind, &case.args);
    if matches!(case.kind.as_str(), "cron" | "crontab" | "calendarinterval") {
        spec["dst"] = dst.into();
    }
    spec["timezone"] = case.timezone.clone().into();
    let spec = TriggerSpec::from_value(spec).map_err(|error| error.to_string())?;
    spec.resolve(Tz::UTC).map_err(|error| error.to_string())
}

fn instant(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// Carillon tells time in milliseconds. A `now` between two of them begins with the next one; a
/// previous fire time was stored as the one before.
fn rounded_up(text: &str) -> Timestamp {
    let exact = instant(text);
    let ms = Timestamp::from(exact.trunc_subsecs(3));
    if ms.to_datetime() < exact {
        Timestamp::from_ms(ms.as_ms() + 1)
    } else {
        ms
    }
}

fn rounded_down(text: &str) -> Timestamp {
    Timestamp::from(instant(text))
}

/// As many fire times as `count`, and whether the schedule is over after them.
fn fire_times(case: &Case, trigger: &Trigger, count: usize) -> (Vec<Timestamp>, bool) {
    let now = rounded_up(case.now.as_ref().unwrap());
    let mut next = match &case.previous {
        Some(previous) => trigger.next_after(rounded_down(previous)),
        None => trigger.first(now),
    };
    let mut found = Vec::new();
    while let Some(mut at) = next {
        if found.len() == count {
            return (found, false);
        }
        if let Some(draw) = case.draw {
            at = trigger.jittered(at, draw);
        }
        found.push(at);
        // APScheduler goes on from the jittered time; to compare, so does this loop.
        next = trigger.next_after(at);
    }
    (found, true)
}

/// What is expected under a rule for clock changes.
///
/// The file leaves `documented_utc` and `vixie_utc` out where they equal `expected_utc`. For
/// `dst-quirk` cases of schedules that name their times, 3.x's accident (a time that does not exist,
/// which is the first instant after the gap) then is cron(8)'s answer.
fn expected<'a>(case: &'a Case, dst: &str) -> &'a [String] {
    let documented = case.documented_utc.as_ref().unwrap_or(&case.expected_utc);
    match (dst, &case.vixie_utc) {
        ("once", Some(vixie)) => vixie,
        ("once", None) => &case.expected_utc,
        _ => documented,
    }
}

fn differs(case: &Case, dst: &str) -> Option<String> {
    let trigger = match (resolve(case, dst), &case.error) {
        (Err(_), Some(_)) => return None,
        (Err(error), None) => return Some(format!("refused: {error}")),
        (Ok(_), Some(error)) => return Some(format!("accepted, not refused: {error}")),
        (Ok(trigger), None) => trigger,
    };
    let expected: Vec<_> = expected(case, dst)
        .iter()
        .map(|text| rounded_down(text))
        .collect();
    let (found, over) = fire_times(case, &trigger, expected.len());
    if found != expected {
        let show = |list: &[Timestamp]| {
            list.iter()
                .take(4)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        return Some(format!(
            "expected {} found {}",
            show(&expected),
            show(&found)
        ));
    }
    if case.end.as_deref() == Some("none") && !over {
        return Some("goes on, but should be over".to_owned());
    }
    None
}

/// The cases that `docs/triggers.md` names as answered otherwise on purpose, each with its rule for
/// clock changes; one that is named without a rule differs under both.
fn documented_differences() -> BTreeSet<(String, &'static str)> {
    let page = include_str!("../../docs/triggers.md");
    let (_, table) = page.split_once("<!-- differences -->").unwrap();
    let (table, _) = table.split_once("<!-- /differences -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let cases = rows
        .filter_map(|row| row.split('|').nth_back(1))
        .flat_map(|cases| cases.split(','));
    let mut documented = BTreeSet::new();
    for case in cases.map(str::trim).filter(|case| !case.is_empty()) {
        let (id, rule) = case.split_once(' ').unwrap_or((case, ""));
        for dst in ["wall", "once"]
            .into_iter()
            .filter(|dst| rule.is_empty() || rule == *dst)
        {
            documented.insert((id.to_owned(), dst));
        }
    }
    documented
}

#[test]
fn every_case_of_apscheduler_is_answered_as_expected() {
    let documented = documented_differences();
    let mut different = BTreeSet::new();
    let mut passed = BTreeMap::<(String, &str), usize>::new();
    let mut surprises = String::new();
    for case in cases() {
        for dst in ["wall", "once"] {
            let Some(why) = differs(&case, dst) else {
                let class = case.class.clone().unwrap_or_else(|| "error".to_owned());
                *passed.entry((class, dst)).or_default() += 1;
                continue;
            };
            if !documented.contains(&(case.id.clone(), dst)) {
                let args = Value::Object(case.args.clone());
                surprises += &format!("{} ({args}, {dst}): {why}\n", case.id);
            }
            different.insert((case.id.clone(), dst));
        }
    }
    println!(
        "as expected: {passed:?}; different on purpose: {}",
        different.len()
    );
    assert!(surprises.is_empty(), "\n{surprises}");
    assert_eq!(
        documented, different,
        "the page names cases that are not different"
    );
}
