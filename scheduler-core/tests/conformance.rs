//! What APScheduler 3.11 answered, case by case, and what Carillon answers.
//!
//! `data/triggers.json` holds the calls and answers of the real package; the calls are made through
//! the preview protocol. Where Carillon answers otherwise on purpose, the difference has a row in
//! `docs/triggers.md` that names its cases. The rows are read here: a difference without a row
//! fails, and so does a row without a difference.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "how many cases pass is worth knowing")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use chrono_tz::Tz;
use scheduler_core::Timestamp;
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::trigger::preview::answer_line;
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
            return json!({"type": "cron", "expression": expression});
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

/// The question as a program would ask it.
fn request(case: &Case, dst: &str) -> Value {
    let mut trigger = written(&case.kind, &case.args);
    if matches!(case.kind.as_str(), "cron" | "crontab" | "calendarinterval") {
        trigger["dst"] = dst.into();
    }
    json!({
        "id": case.id, "trigger": trigger, "timezone": case.timezone,
        "now": case.now, "previous": case.previous,
    })
}

/// As many fire times as `count`, and whether the schedule is over after them.
fn answer(case: &Case, dst: &str, count: usize) -> Result<(Vec<Timestamp>, bool), String> {
    let mut request = request(case, dst);
    if let Some(draw) = case.draw {
        return jittered(&request, draw, count);
    }
    request["count"] = count.into();
    let line = answer_line(&request.to_string(), Tz::UTC, Timestamp::EPOCH);
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(answer["id"], *case.id);
    if answer.get("error").is_some() {
        return Err(answer["error"].to_string());
    }
    let times: Vec<String> = serde_json::from_value(answer["fire_times"].clone()).unwrap();
    Ok((
        times.iter().map(|time| time.parse().unwrap()).collect(),
        answer["exhausted"] == true,
    ))
}

/// The same with jitter, which is no part of the schedule. APScheduler goes on from the jittered
/// time; to compare, so does this loop.
fn jittered(request: &Value, draw: f64, count: usize) -> Result<(Vec<Timestamp>, bool), String> {
    let spec = TriggerSpec::from_value(request["trigger"].clone()).map_err(|e| e.to_string())?;
    let timezone = request["timezone"].as_str().unwrap().parse().unwrap();
    let trigger = spec.resolve(timezone).map_err(|e| e.to_string())?;
    let mut next = trigger.first(rounded_down(request["now"].as_str().unwrap()));
    let mut found = Vec::new();
    while let Some(nominal) = next
        && found.len() < count
    {
        let at = trigger.jittered(nominal, draw);
        found.push(at);
        next = trigger.next_after(at);
    }
    Ok((found, next.is_none()))
}

/// Carillon tells time in milliseconds, and cuts what is finer.
fn rounded_down(text: &str) -> Timestamp {
    Timestamp::from(DateTime::parse_from_rfc3339(text).unwrap())
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
    let expected: Vec<_> = expected(case, dst)
        .iter()
        .map(|text| rounded_down(text))
        .collect();
    let (found, over) = match (answer(case, dst, expected.len()), &case.error) {
        (Err(_), Some(_)) => return None,
        (Err(error), None) => return Some(format!("refused: {error}")),
        (Ok(_), Some(error)) => return Some(format!("accepted, not refused: {error}")),
        (Ok(found), None) => found,
    };
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
