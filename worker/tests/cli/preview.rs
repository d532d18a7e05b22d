//! What a trigger will do, for people and for programs.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::thread;

use chrono::{DateTime, SecondsFormat, SubsecRound as _};
use serde_json::{Map, Value, json};

use crate::binary::{NOWHERE, Running, Said, carillon, config, said};

fn json_of(args: &[&str], code: i32) -> Value {
    let args = [&["preview"][..], args, &["--json"]].concat();
    serde_json::from_str(&said(&args, code).out).unwrap()
}

/// What `carillon preview --jsonl` answers to these lines.
fn answers(args: &[&str], lines: &[u8]) -> Vec<Value> {
    let mut command = carillon(&[&["preview", "--jsonl"][..], args].concat());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_vec();
    // Written from aside: neither side waits for the other's pipe to empty.
    let writer = thread::spawn(move || input.write_all(&lines).unwrap());
    let said = Said::from(child.wait_with_output().unwrap()).ends_with(0);
    writer.join().unwrap();
    assert_eq!(said.err, "");
    let parsed = said.out.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_next_fire_times_are_shown_in_words_in_the_zone_and_in_utc() {
    let shown = said(
        &[
            "preview",
            "30 5 * * mon-fri",
            "--timezone",
            "Asia/Shanghai",
            "--after",
            "2026-01-01",
            "--count",
            "3",
        ],
        0,
    );
    assert_eq!(
        shown.out,
        "at 05:30, Monday to Friday, Asia/Shanghai\n\
         DAY  LOCAL                       UTC\n\
         Thu  2026-01-01 05:30:00 +08:00  2025-12-31T21:30:00Z\n\
         Fri  2026-01-02 05:30:00 +08:00  2026-01-01T21:30:00Z\n\
         Mon  2026-01-05 05:30:00 +08:00  2026-01-04T21:30:00Z\n"
    );
    let ten = said(&["preview", "@hourly"], 0);
    assert_eq!(ten.out.lines().count(), 12, "{}", ten.out);
}

#[test]
fn each_form_of_a_trigger_is_understood() {
    let after = ["--after", "2026-01-01T00:00:00Z", "--count", "1"];
    for (trigger, first) in [
        ("{\"type\": \"interval\", \"minutes\": 90}", "01:30:00Z"),
        ("every 1h 30m", "01:30:00Z"),
        ("15 2 * * *", "02:15:00Z"),
        ("30 15 2 * * *", "02:15:30Z"),
        ("@midnight", "00:00:00Z"),
        ("2026-01-01T04:00:00+01:00", "03:00:00Z"),
    ] {
        let shown = json_of(&[&[trigger][..], &after].concat(), 0);
        let expected = format!("2026-01-01T{first}");
        assert_eq!(shown["fire_times"][0]["utc"], *expected, "{trigger}");
        let is_once = trigger.starts_with("2026");
        assert_eq!(shown["exhausted"], is_once, "{trigger}");
    }
    let over = said(&["preview", "2999-01-01T00:00:00Z"], 0);
    assert!(over.out.ends_with("\nthen it is over\n"), "{}", over.out);
}

#[test]
fn changes_of_the_clock_are_marked() {
    let daily = "{\"type\": \"cron\", \"hour\": 2, \"minute\": 30}";
    let berlin = ["--timezone", "Europe/Berlin", "--count", "3", "--after"];
    let spring = said(
        &[&["preview", daily][..], &berlin, &["2026-03-28"]].concat(),
        0,
    );
    assert_eq!(
        spring.out.split_once('\n').unwrap().1,
        "DAY  LOCAL                       UTC                   CLOCK\n\
         Sat  2026-03-28 02:30:00 +01:00  2026-03-28T01:30:00Z  -\n\
         Sun  2026-03-29 03:00:00 +02:00  2026-03-29T01:00:00Z  +01:00 -> +02:00, right after the \
         clock skipped 02:00 to 03:00\n\
         Mon  2026-03-30 02:30:00 +02:00  2026-03-30T00:30:00Z  -\n"
    );
    let autumn = json_of(&[&[daily][..], &berlin, &["2026-10-25"]].concat(), 0);
    assert_eq!(
        autumn["fire_times"][0],
        json!({
            "utc": "2026-10-25T00:30:00Z", "local": "2026-10-25T02:30:00+02:00",
            "offset_changed": false,
            "clock_change": {
                "kind": "repeats", "at": "2026-10-25T01:00:00Z", "position": "first",
                "offset_before": "+02:00", "offset_after": "+01:00"
            }
        })
    );
    assert_eq!(autumn["fire_times"][1]["offset_changed"], true);
    assert_eq!(autumn["fire_times"][1]["clock_change"], Value::Null);

    let half_hourly = json_of(
        &[
            "*/30 * * * *",
            "--timezone",
            "Australia/Lord_Howe",
            "--between",
            "2026-04-05 00:00:00",
            "2026-04-05 03:00:00",
        ],
        0,
    );
    let positions: Vec<&Value> = half_hourly["fire_times"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fire| &fire["clock_change"]["position"])
        .collect();
    // 01:30 comes twice there; 00:00 is more than an hour away from it, 03:00 is one hour after.
    assert_eq!(
        json!(positions),
        json!([
            null, "before", "before", "first", "second", "after", "after", "after"
        ])
    );
}

#[test]
fn local_times_are_right_long_after_the_tables_of_zones_end() {
    let args = ["30 5 28 6 *", "--timezone", "Europe/Berlin", "--count", "1"];
    let shown = json_of(&[&args[..], &["--after", "2128-01-01"]].concat(), 0);
    assert_eq!(shown["fire_times"][0]["local"], "2128-06-28T05:30:00+02:00");
}

#[test]
fn the_fire_times_of_a_stretch_are_counted_and_the_first_listed() {
    let year = ["--between", "2026-01-01", "2026-12-31", "--count", "1"];
    let shown = said(&[&["preview", "*/5 * * * *"][..], &year].concat(), 0);
    let last = "105120 fire times from 2026-01-01 00:00:00 +00:00 to 2026-12-31 23:59:59.999 +00:00, \
                the last at 2026-12-31 23:55:00 +00:00";
    assert_eq!(shown.out.lines().count(), 4, "{}", shown.out);
    assert_eq!(shown.out.lines().last(), Some(last));

    // A schedule that begins with the year: first after one interval.
    let exact = json_of(&[&["every 500ms"][..], &year].concat(), 0);
    assert_eq!(
        exact["between"],
        json!({
            "from": "2026-01-01T00:00:00Z", "to": "2026-12-31T23:59:59.999Z",
            "count": 63_071_999, "count_is_exact": true, "last": "2026-12-31T23:59:59.500Z"
        })
    );
    assert_eq!(exact["exhausted"], false);

    let century = ["--between", "2026-01-01", "2125-12-31"];
    let seconds = json_of(&[&["every 1s"][..], &century].concat(), 0);
    assert_eq!(seconds["between"]["count"], 3_155_673_599_u64);
    assert_eq!(seconds["between"]["count_is_exact"], true);

    let none = [
        "preview",
        "0 0 29 2 *",
        "--between",
        "2026-01-01",
        "2026-12-31",
    ];
    let none = said(&none, 0);
    assert!(none.out.contains("\nno fire times from "), "{}", none.out);
    let both_ends = [
        "@daily",
        "--between",
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
    ];
    assert_eq!(json_of(&both_ends, 0)["between"]["count"], 2);
    let backwards = ["preview", "@daily", "--between", "2026-01-02", "2026-01-01"];
    let complaint = "error: --between: \"2026-01-01\" lies before \"2026-01-02\"\n";
    assert_eq!(said(&backwards, 2).err, complaint);
}

#[test]
fn a_start_date_that_is_past_does_not_bring_the_past_back() {
    let trigger = "{\"type\": \"calendar_interval\", \"days\": 2, \"start_date\": \"2020-01-01\"}";
    let shown = json_of(&[trigger, "--after", "2026-01-01", "--count", "1"], 0);
    assert_eq!(shown["fire_times"][0]["utc"], "2026-01-01T00:00:00Z");
}

#[test]
fn a_schedule_without_fire_times_says_so() {
    let never = said(&["preview", "0 0 30 2 *"], 1);
    assert_eq!(never.out, "at 00:00, on the 30th, in February, UTC\n");
    let complaint = "error: the trigger never fires: no time from 1970 to 9999 suits it\n";
    assert_eq!(never.err, complaint);
    let between = [
        "preview",
        "0 0 30 2 *",
        "--between",
        "2026-01-01",
        "2027-01-01",
    ];
    assert_eq!(said(&between, 1).err, complaint);
    assert_eq!(json_of(&["0 0 30 2 *"], 1)["fire_times"], json!([]));

    let over = said(&["preview", "2020-01-01", "--after", "2020-01-02"], 1);
    let complaint = "error: the trigger has no fire time at or after 2020-01-02 00:00:00 +00:00\n";
    assert_eq!(over.err, complaint);
}

#[test]
fn a_wrong_trigger_is_told_with_field_value_and_place() {
    for (trigger, complaint, pointed) in [
        (
            "{\"type\": \"cron\", \"hour\": \"8-61\"}",
            "hour: \"8-61\", character 3: 61 is out of range. Allowed in hour are 0 to 23",
            "    8-61\n      ^\n",
        ),
        (
            "*/5 25 * * *",
            "expression: \"*/5 25 * * *\", character 5: 25 is out of range. Allowed in hour are 0 to 23",
            "    */5 25 * * *\n        ^\n",
        ),
        (
            "every 10x",
            "every: \"10x\" is no duration: give seconds (90, 1.5) or text such as",
            "    every 10x\n            ^\n",
        ),
        (
            "{\"type\": cron}",
            "trigger: the JSON can't be read: expected value at line 1 column 10",
            "    {\"type\": cron}\n             ^\n",
        ),
        (
            "tomorrow",
            "trigger: \"tomorrow\", character 1: no trigger. Allowed are a JSON object",
            "    tomorrow\n    ^\n",
        ),
        (
            "{\"type\": \"cron\", \"huor\": 8}",
            "huor: is no field of a trigger of type \"cron\" (did you mean \"hour\"?)",
            "",
        ),
    ] {
        let said = said(&["preview", trigger], 2);
        assert!(said.out.is_empty(), "{}", said.out);
        assert!(
            said.err.starts_with(&format!("error: {complaint}")),
            "{}",
            said.err
        );
        assert!(said.err.ends_with(pointed), "{}", said.err);
    }
    let zone = said(&["preview", "@daily", "--timezone", "Europe/Berlni"], 2);
    let complaint = "error: --timezone: \"Europe/Berlni\" is no known time zone: did you mean \
                     \"Europe/Berlin\"";
    assert!(zone.err.starts_with(complaint), "{}", zone.err);
    let after = said(&["preview", "@daily", "--after", "2026-1x"], 2);
    assert!(
        after
            .err
            .starts_with("error: --after: \"2026-1x\", character 7: "),
        "{}",
        after.err
    );
    assert!(
        after.err.ends_with("\n    2026-1x\n          ^\n"),
        "{}",
        after.err
    );
}

#[test]
fn wrong_triggers_of_jobs_are_pointed_at_too() {
    let add = [
        "job",
        "add",
        "--id",
        "a",
        "--task",
        "t",
        "--cron",
        "*/5 25 * * *",
    ];
    let added = said(&[&add[..], &["--store", NOWHERE]].concat(), 2);
    let complaint = "error: job add: trigger.expression: \"*/5 25 * * *\", character 5: ";
    assert!(added.err.starts_with(complaint), "{}", added.err);
    assert!(
        added.err.ends_with("\n    */5 25 * * *\n        ^\n"),
        "{}",
        added.err
    );

    let job =
        "[[jobs]]\nid = \"a\"\ntask = \"t\"\ntrigger = { type = \"cron\", hour = \"8-61\" }\n";
    let (_directory, path) = config(&format!("{job}{}", job.replace("\"a\"", "\"b\"")));
    let run = said(&["run", "--config", &path], 2);
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!(lines.len(), 6, "{}", run.err);
    let field = format!("error: {path}:8: jobs[1].trigger.hour: \"8-61\", character 3: ");
    assert!(lines[3].starts_with(&field), "{}", run.err);
    assert_eq!(lines[4..], ["    8-61", "      ^"]);
}

#[test]
fn the_zone_comes_from_the_flag_the_trigger_or_the_file_and_from_nothing_else() {
    let (_directory, path) = config("timezone = \"Asia/Tokyo\"\n[store]\nurl = \"no url\"\n");
    let named = "{\"type\": \"cron\", \"hour\": 5, \"timezone\": \"Asia/Shanghai\"}";
    let shanghai = "--timezone=Asia/Shanghai";
    for (args, zone) in [
        (&["@daily"][..], "UTC"),
        (&["@daily", "--config", &path], "Asia/Tokyo"),
        (&[named, "--config", &path], "Asia/Shanghai"),
        (&["@daily", "--config", &path, shanghai], "Asia/Shanghai"),
        (&[named, "--timezone", "Europe/Paris"], "Europe/Paris"),
    ] {
        assert_eq!(json_of(args, 0)["timezone"], zone, "{args:?}");
    }
    // The machine's own zone and store do not matter.
    let mut command = carillon(&["preview", "@daily", "--json"]);
    command
        .env("TZ", "America/Havana")
        .env("CARILLON_STORE", "no url");
    let shown = Said::of(&mut command).ends_with(0);
    assert!(shown.out.contains("\"timezone\": \"UTC\""), "{}", shown.out);

    let (_directory, path) = config("\ntimezone = \"Asia/Tokio\"\n");
    let wrong = said(&["preview", "@daily", "--config", &path], 2);
    assert!(
        wrong
            .err
            .contains(":2: timezone: \"Asia/Tokio\" is no time zone"),
        "{}",
        wrong.err
    );
    let request = br#"{"trigger": "@daily", "now": "2026-01-01T00:00:00Z", "count": 1}"#;
    let tokyo = &answers(&["--timezone", "Asia/Tokyo"], request)[0];
    assert_eq!(tokyo["fire_times"], json!(["2026-01-01T15:00:00Z"]));
}

#[test]
fn every_line_is_answered_in_order_also_a_bad_one() {
    let lines = b"{\"id\": 1, \"trigger\": \"@daily\", \"now\": \"2026-01-01T00:00:00Z\", \"count\": 2}\r\n\
        {\"id\": \"b\", \"trigger\": {\"type\": \"cron\", \"hour\": 24}}\n\
        \n\
        not JSON\n\
        \xff\xfe\n\
        [1]\n\
        {\"id\": [3], \"trigger\": \"@daily\", \"timezone\": \"Mars\"}\n\
        {\"id\": null, \"trigger\": \"0 0 30 2 *\", \"now\": \"2026-01-01T00:00:00Z\"}\n\
        {\"id\": 9, \"trigger\": \"every 250ms\", \"timezone\": null, \"previous\": \"2026-01-01T00:00:00Z\", \
         \"count\": 1, \"now\": \"2026-01-01T00:00:00Z\"}";
    let answers = answers(&[], lines);
    let fields: Vec<&Value> = answers
        .iter()
        .map(|answer| &answer["error"]["field"])
        .collect();
    assert_eq!(
        json!(fields),
        json!([
            null, "hour", "request", "request", "request", "request", "timezone", null, null
        ])
    );
    assert_eq!(
        answers[0],
        json!({
            "id": 1, "exhausted": false,
            "fire_times": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]
        })
    );
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(
        json!(ids),
        json!([1, "b", null, null, null, null, [3], null, 9])
    );
    let error = answers[1]["error"].as_object().unwrap();
    assert!(error.keys().eq(["field", "message"]), "{error:?}");
    assert_eq!(
        answers[7],
        json!({"id": null, "fire_times": [], "exhausted": true})
    );
    assert_eq!(
        answers[8]["fire_times"],
        json!(["2026-01-01T00:00:00.250Z"])
    );
}

#[test]
fn a_program_gets_each_answer_before_it_asks_again() {
    let mut command = carillon(&["preview", "--jsonl"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running(piped.spawn().unwrap());
    let mut input = running.0.stdin.take().unwrap();
    let mut output = BufReader::new(running.0.stdout.take().unwrap());
    for id in 0..3 {
        let now = "2026-01-01T00:00:00Z";
        let request = json!({"id": id, "trigger": "@daily", "now": now, "count": 1});
        writeln!(input, "{request}").unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let expected = json!({"id": id, "fire_times": [now], "exhausted": false});
        assert_eq!(answer, expected);
    }
    drop(input);
    assert!(running.0.wait().unwrap().success());
}

/// The cases of APScheduler that need no word about clock changes, and those that are refused.
fn plain_cases() -> Vec<Value> {
    let cases = include_str!("../../../scheduler-core/tests/data/triggers.json");
    let page = include_str!("../../../docs/triggers.md");
    let (_, table) = page.split_once("<!-- differences -->").unwrap();
    let (table, _) = table.split_once("<!-- /differences -->").unwrap();
    let named = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    let different: HashSet<&str> = table.split(named).collect();
    let mut cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    cases.retain(|case| {
        let is_plain = case["class"] == "plain" || case["error"].is_object();
        // A drawn jitter is no part of the schedule.
        is_plain && case["draw"].is_null() && !different.contains(case["id"].as_str().unwrap())
    });
    cases
}

/// The trigger of a case, as Carillon's users would write it.
fn written(kind: &str, args: &Map<String, Value>) -> Value {
    let mut trigger = args.clone();
    if kind == "crontab" {
        // APScheduler spreads the text over its own fields, with its own numbers of weekdays.
        let names = ["minute", "hour", "day", "month", "day_of_week"];
        let fields: Vec<&str> = args["expr"].as_str().unwrap().split_whitespace().collect();
        if fields.len() != names.len() {
            // Other numbers of fields are other dialects here: nothing to compare.
            return json!({"type": "cron", "fields": fields.len()});
        }
        let pairs = names.into_iter().zip(fields);
        trigger = pairs
            .map(|(name, field)| (name.to_owned(), field.into()))
            .collect();
    }
    if let Some(Value::Array(parts)) = trigger.get_mut("triggers") {
        for part in parts {
            *part = written(
                part["kind"].as_str().unwrap(),
                part["args"].as_object().unwrap(),
            );
        }
    }
    let kind = match kind {
        "crontab" => "cron",
        "calendarinterval" => "calendar_interval",
        other => other,
    };
    trigger.insert("type".to_owned(), kind.into());
    Value::Object(trigger)
}

/// Carillon tells time in milliseconds.
fn in_ms(text: &Value) -> String {
    let at = DateTime::parse_from_rfc3339(text.as_str().unwrap()).unwrap();
    let at = at.to_utc().trunc_subsecs(3);
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[test]
fn the_plain_cases_of_apscheduler_are_answered_as_by_the_real_package() {
    let cases = plain_cases();
    let mut lines = String::new();
    for case in &cases {
        let request = json!({
            "id": case["id"],
            "trigger": written(case["kind"].as_str().unwrap(), case["args"].as_object().unwrap()),
            "timezone": case["timezone"], "now": case["now"], "previous": case["previous"],
            "count": case["expected_utc"].as_array().map_or(1, Vec::len),
        });
        lines += &format!("{request}\n");
    }
    let answers = answers(&[], lines.as_bytes());
    assert_eq!(answers.len(), cases.len());
    let mut passed = BTreeMap::<&str, usize>::new();
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(answer["id"], case["id"]);
        if case["error"].is_object() {
            assert!(answer["error"]["field"].is_string(), "{case}\n{answer}");
        } else {
            let expected = case["expected_utc"].as_array().unwrap();
            let expected: Vec<String> = expected.iter().map(in_ms).collect();
            assert_eq!(answer["fire_times"], json!(expected), "{case}\n{answer}");
            if case["end"] == "none" {
                assert_eq!(answer["exhausted"], true, "{case}\n{answer}");
            }
        }
        *passed.entry(case["kind"].as_str().unwrap()).or_default() += 1;
    }
    let kinds = [
        "and",
        "calendarinterval",
        "cron",
        "crontab",
        "date",
        "interval",
        "or",
    ];
    assert!(passed.keys().eq(&kinds), "{passed:?}");
    assert!(cases.len() > 400, "{passed:?}");
}
