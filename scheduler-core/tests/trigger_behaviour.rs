//! What triggers do, beyond what APScheduler's answers show: expressions, exclusions, combinations,
//! clock changes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "whether a question hangs is told by a watch"
)]

use std::time::Instant;

use chrono_tz::Tz;
use scheduler_core::Timestamp;
use scheduler_core::trigger::{Trigger, TriggerSpec};
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn trigger(spec: Value, tz: Tz) -> Trigger {
    TriggerSpec::from_value(spec).unwrap().resolve(tz).unwrap()
}

fn expression(text: &str) -> Trigger {
    trigger(json!({"type": "cron", "expression": text}), Tz::UTC)
}

/// The next `count` fire times, without what they all end in.
fn fires(trigger: &Trigger, from: &str, count: usize) -> Vec<String> {
    let mut next = trigger.first(at(from));
    let mut found = Vec::new();
    while let Some(fire) = next
        && found.len() < count
    {
        found.push(fire.to_string().trim_end_matches(":00Z").to_owned());
        next = trigger.next_after(fire);
    }
    found
}

fn days(text: &str, from: &str, count: usize) -> Vec<String> {
    let fires = fires(&expression(text), from, count);
    fires
        .iter()
        .map(|fire| fire.trim_end_matches("T00:00").to_owned())
        .collect()
}

const YEAR: &str = "2026-01-01T00:00:00Z";

#[test]
fn crontab_counts_weekdays_from_sunday_twice() {
    for sunday in [
        "0 0 * * 0",
        "0 0 * * 7",
        "0 0 * * sun",
        "0 0 * * SUN",
        "@weekly",
    ] {
        assert_eq!(
            days(sunday, YEAR, 2),
            ["2026-01-04", "2026-01-11"],
            "{sunday}"
        );
    }
    for weekend in [
        "0 0 * * 6-7",
        "0 0 * * sat-sun",
        "0 0 * * 0,6",
        "0 0 * * fri-sun/1",
    ] {
        assert_eq!(
            days(weekend, "2026-01-03T00:00:00Z", 2),
            ["2026-01-03", "2026-01-04"],
            "{weekend}"
        );
    }
    assert_eq!(
        days("0 0 * * 1-5", "2026-01-02T00:00:00Z", 2),
        ["2026-01-02", "2026-01-05"]
    );
}

#[test]
fn crontab_joins_day_and_weekday_by_or_when_both_are_restricted() {
    assert_eq!(
        days("0 0 13 * 5", YEAR, 4),
        ["2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"]
    );
    // A field that begins with `*` does not count as restricted.
    assert_eq!(days("0 0 */2 * 5", YEAR, 2), ["2026-01-09", "2026-01-23"]);
    assert_eq!(days("0 0 13 * *", YEAR, 2), ["2026-01-13", "2026-02-13"]);
}

#[test]
fn six_fields_have_seconds_first_and_count_weekdays_from_sunday_1() {
    assert_eq!(days("0 0 0 * * 1", YEAR, 2), ["2026-01-04", "2026-01-11"]);
    assert_eq!(
        days("0 0 0 ? * FRI-SUN", YEAR, 3),
        ["2026-01-02", "2026-01-03", "2026-01-04"]
    );
    assert_eq!(days("0 0 0 * * Monday", YEAR, 1), ["2026-01-05"]);
    // Both must match.
    assert_eq!(
        days("0 0 0 13 * FRI", YEAR, 2),
        ["2026-02-13", "2026-03-13"]
    );
    assert_eq!(
        days("0 0 0 1 1 ? 2027-2030/2", YEAR, 3),
        ["2027-01-01", "2029-01-01"]
    );
    assert_eq!(
        fires(&expression("15/20 * * * * *"), YEAR, 4)[3],
        "2026-01-01T00:01:15Z"
    );
}

#[test]
fn quartz_signs_mean_what_quartz_says() {
    assert_eq!(days("0 0 0 L * ?", YEAR, 2), ["2026-01-31", "2026-02-28"]);
    assert_eq!(days("0 0 0 L-3 * ?", YEAR, 2), ["2026-01-28", "2026-02-25"]);
    assert_eq!(days("0 0 0 LW * ?", YEAR, 2), ["2026-01-30", "2026-02-27"]);
    assert_eq!(days("0 0 0 15W * ?", YEAR, 2), ["2026-01-15", "2026-02-16"]);
    assert_eq!(days("0 0 0 1W 8 ?", YEAR, 1), ["2026-08-03"]);
    assert_eq!(days("0 0 0 ? * 6L", YEAR, 2), ["2026-01-30", "2026-02-27"]);
    assert_eq!(days("0 0 0 ? * friL", YEAR, 1), ["2026-01-30"]);
    assert_eq!(days("0 0 0 ? * 6#3", YEAR, 2), ["2026-01-16", "2026-02-20"]);
    assert_eq!(
        days("0 0 0 ? * FRI#5", YEAR, 2),
        ["2026-01-30", "2026-05-29"]
    );
    assert_eq!(days("0 0 0 ? * L", YEAR, 1), ["2026-01-03"]);
    // In five fields the numbers are crontab's.
    assert_eq!(days("0 0 * * 5#3", YEAR, 1), ["2026-01-16"]);
    assert_eq!(days("0 0 L * *", YEAR, 1), ["2026-01-31"]);
}

#[test]
fn a_wrong_expression_is_pointed_at() {
    for (text, at) in [
        ("", 0),
        ("* * * *", 7),
        ("* * * * * * * *", 15),
        ("60 * * * *", 0),
        ("* 24 * * *", 2),
        ("* * 0 * *", 4),
        ("* * * 13 *", 6),
        ("* * * * 8", 8),
        ("* * * * mo", 8),
        ("* * * * monday", 8),
        ("5-1 * * * *", 0),
        ("*/0 * * * *", 2),
        ("*/60 * * * *", 2),
        ("1,,2 * * * *", 2),
        ("1- * * * *", 2),
        ("* * * * 5#6", 10),
        ("* * 32W * *", 4),
        ("* * L-31 * *", 6),
        ("? * * * *", 0),
        ("* * * * * 0", 10),
        ("@reboot", 0),
        ("* * * * FRI-MON", 8),
    ] {
        let spec = TriggerSpec::from_value(json!({"type": "cron", "expression": text})).unwrap();
        let error = spec.resolve(Tz::UTC).unwrap_err();
        assert_eq!(error.field, "expression", "{error}");
        assert_eq!(error.pointer.as_ref().unwrap().characters, at, "{error}");
    }
}

#[test]
fn an_impossible_schedule_is_found_impossible_at_once() {
    for text in [
        "0 0 30 2 *",
        "0 0 31 2,4,6 *",
        "0 0 0 ? 2 MON#5 2026",
        "0 0 0 1 1 ? 1999",
    ] {
        let trigger = expression(text);
        let started = Instant::now();
        assert_eq!(trigger.first(at(YEAR)), None, "{text}");
        assert!(started.elapsed().as_millis() < 10, "{text}");
    }
    let week = trigger(json!({"type": "cron", "month": 6, "week": 1}), Tz::UTC);
    assert_eq!(week.first(at(YEAR)), None);
}

#[test]
fn a_fixed_time_happens_exactly_once_when_the_clock_jumps() {
    let new_york = |spec: Value| trigger(spec, Tz::America__New_York);
    let spring = "2026-03-07T12:00:00Z";
    let autumn = "2026-10-31T12:00:00Z";
    let daily = new_york(json!({"type": "cron", "hour": 2, "minute": "0,30,59"}));
    assert_eq!(
        fires(&daily, spring, 2),
        ["2026-03-08T07:00", "2026-03-09T06:00"]
    );
    let daily = new_york(json!({"type": "cron", "hour": 1, "minute": 30}));
    assert_eq!(
        fires(&daily, autumn, 2),
        ["2026-11-01T05:30", "2026-11-02T06:30"]
    );
    // What was skipped and what comes right after the gap are one fire.
    let both = new_york(json!({"type": "cron", "hour": "2,3"}));
    assert_eq!(
        fires(&both, spring, 2),
        ["2026-03-08T07:00", "2026-03-09T06:00"]
    );
    // Ticking schedules follow the real clock.
    let ticking = new_york(json!({"type": "cron", "hour": "1-2", "minute": "*/30"}));
    assert_eq!(
        fires(&ticking, spring, 3),
        ["2026-03-08T06:00", "2026-03-08T06:30", "2026-03-09T05:00"]
    );
    assert_eq!(
        fires(&ticking, autumn, 5)[..5],
        [
            "2026-11-01T05:00",
            "2026-11-01T05:30",
            "2026-11-01T06:00",
            "2026-11-01T06:30",
            "2026-11-01T07:00"
        ]
    );
}

#[test]
fn the_second_showing_of_a_time_counts_even_if_it_is_the_last_of_all() {
    let spec = json!({"type": "cron", "year": 2026, "month": 11, "day": 1, "hour": 1, "minute": 30,
                      "dst": "wall"});
    let last = trigger(spec, Tz::America__New_York);
    assert_eq!(
        fires(&last, "2026-11-01T05:31:00Z", 2),
        ["2026-11-01T06:30"]
    );
}

#[test]
fn a_calendar_interval_keeps_its_day_and_its_wall_clock() {
    let monthly =
        json!({"type": "calendar_interval", "months": 1, "hour": 9, "start_date": "2026-01-31"});
    let berlin = trigger(monthly, Tz::Europe__Berlin);
    assert_eq!(
        fires(&berlin, YEAR, 3),
        ["2026-01-31T08:00", "2026-03-31T07:00", "2026-05-31T07:00"]
    );
    // Without a start date it begins with the next 09:00, today or tomorrow.
    let daily = trigger(
        json!({"type": "calendar_interval", "days": 2, "hour": 9}),
        Tz::UTC,
    );
    assert_eq!(
        fires(&daily, "2026-01-01T08:00:00Z", 2),
        ["2026-01-01T09:00", "2026-01-03T09:00"]
    );
    assert_eq!(
        fires(&daily, "2026-01-01T10:00:00Z", 1),
        ["2026-01-03T09:00"]
    );
}

#[test]
fn a_day_that_a_zone_never_had_does_not_fire_twice() {
    let daily =
        json!({"type": "calendar_interval", "days": 1, "hour": 2, "start_date": "2011-12-29"});
    let apia = trigger(daily, Tz::Pacific__Apia);
    // 30 December was skipped: its fire comes at the first instant of the 31st.
    assert_eq!(
        fires(&apia, YEAR, 4),
        [
            "2011-12-29T12:00",
            "2011-12-30T10:00",
            "2011-12-30T12:00",
            "2011-12-31T12:00"
        ]
    );
    let midnight = json!({"type": "calendar_interval", "days": 1, "start_date": "2011-12-29"});
    let apia = trigger(midnight, Tz::Pacific__Apia);
    assert_eq!(
        fires(&apia, YEAR, 3),
        ["2011-12-29T10:00", "2011-12-30T10:00", "2011-12-31T10:00"]
    );
}

#[test]
fn or_merges_its_parts_and_each_keeps_its_own_grid() {
    let spec = json!({"type": "or", "triggers": [
        {"type": "interval", "hours": 2, "start_date": "2026-01-01"},
        {"type": "interval", "hours": 3, "start_date": "2026-01-01"},
        {"type": "date", "run_date": "2026-01-01 03:30:00"},
    ]});
    let merged = trigger(spec, Tz::UTC);
    assert_eq!(
        fires(&merged, YEAR, 6),
        [
            "2026-01-01T00:00",
            "2026-01-01T02:00",
            "2026-01-01T03:00",
            "2026-01-01T03:30",
            "2026-01-01T04:00",
            "2026-01-01T06:00"
        ]
    );
}

#[test]
fn and_intersects_its_parts_and_never_hangs() {
    let both = |first: Value, second: Value| {
        trigger(json!({"type": "and", "triggers": [first, second]}), Tz::UTC)
    };
    let minutes = both(
        json!({"type": "cron", "minute": "*/2"}),
        json!({"type": "interval", "minutes": 3, "start_date": "2026-01-01"}),
    );
    assert_eq!(
        fires(&minutes, YEAR, 3),
        ["2026-01-01T00:00", "2026-01-01T00:06", "2026-01-01T00:12"]
    );
    let friday_13 = both(
        json!({"type": "cron", "day": 13}),
        json!({"type": "cron", "day_of_week": "fri"}),
    );
    assert_eq!(
        fires(&friday_13, YEAR, 2),
        ["2026-02-13T00:00", "2026-03-13T00:00"]
    );
    let started = Instant::now();
    let never = both(
        json!({"type": "interval", "seconds": 2, "start_date": "2026-01-01"}),
        json!({"type": "interval", "seconds": 2, "start_date": "2026-01-01 00:00:01"}),
    );
    assert_eq!(never.first(at(YEAR)), None);
    assert!(started.elapsed().as_secs() < 2);
    assert_eq!(
        trigger(json!({"type": "and", "triggers": []}), Tz::UTC).first(at(YEAR)),
        None
    );
}

#[test]
fn combined_triggers_pass_their_zone_on() {
    let spec =
        json!({"type": "or", "timezone": "Asia/Tokyo", "triggers": [{"type": "cron", "hour": 9}]});
    assert_eq!(
        fires(&trigger(spec, Tz::UTC), YEAR, 1),
        ["2026-01-01T00:00"]
    );
}

#[test]
fn nothing_fires_in_an_excluded_stretch() {
    let spec = json!({"type": "cron", "hour": "*/8", "exclude": [
        "2026-01-02", {"start_date": "2026-01-03 08:00:00", "end_date": "2026-01-04"}
    ]});
    let trigger = trigger(spec, Tz::UTC);
    assert_eq!(
        fires(&trigger, YEAR, 6),
        [
            "2026-01-01T00:00",
            "2026-01-01T08:00",
            "2026-01-01T16:00",
            "2026-01-03T00:00",
            "2026-01-05T00:00",
            "2026-01-05T08:00"
        ]
    );
}

#[test]
fn an_expression_excludes_the_minutes_that_it_matches() {
    let nights = json!({"type": "interval", "hours": 3, "start_date": "2026-01-01 00:00:30",
                        "exclude": "* 22-23,0-5 * * *"});
    let by_day = trigger(nights, Tz::UTC);
    let shown = fires(&by_day, YEAR, 6);
    assert_eq!(shown[0], "2026-01-01T06:00:30Z");
    assert_eq!(shown[5], "2026-01-01T21:00:30Z");
    // The grid goes on through the night.
    assert_eq!(
        fires(&by_day, "2026-01-01T21:01:00Z", 1),
        ["2026-01-02T06:00:30Z"]
    );
    let weekdays = json!({"type": "cron", "hour": 9, "exclude": "* * * * sat,sun"});
    assert_eq!(
        fires(&trigger(weekdays, Tz::UTC), "2026-01-02T10:00:00Z", 1),
        ["2026-01-05T09:00"]
    );
}

#[test]
fn exclusions_that_leave_nothing_do_not_hang() {
    let started = Instant::now();
    for spec in [
        json!({"type": "cron", "minute": "*/2", "exclude": "*/2 * * * *"}),
        json!({"type": "interval", "seconds": 0.001, "exclude": "* * * * *"}),
        json!({"type": "interval", "seconds": 60, "exclude": {"start_date": "1970-01-01", "end_date": "9999-12-30"}}),
        json!({"type": "date", "run_date": "2026-01-01", "exclude": "2026-01-01"}),
    ] {
        let trigger = trigger(spec, Tz::Europe__Berlin);
        assert_eq!(
            trigger
                .first(at(YEAR))
                .filter(|fire| *fire < at("9999-12-01T00:00:00Z")),
            None
        );
    }
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn an_error_inside_a_list_says_where() {
    let field = |spec: Value| {
        TriggerSpec::from_value(spec)
            .and_then(|spec| spec.resolve(Tz::UTC))
            .unwrap_err()
            .field
    };
    let cron = |minute: &str| json!({"type": "cron", "minute": minute});
    assert_eq!(
        field(json!({"type": "or", "triggers": [cron("1"), cron("61")]})),
        "triggers[1].minute"
    );
    assert_eq!(
        field(json!({"type": "or", "triggers": [{"type": "cron", "hours": 1}]})),
        "triggers[0].hours"
    );
    assert_eq!(
        field(json!({"type": "cron", "exclude": ["2026-01-01", "* 25 * * *"]})),
        "exclude[1]"
    );
    assert_eq!(
        field(json!({"type": "cron", "exclude": [{"start_date": "2026-01-01"}]})),
        "exclude[0].end_date"
    );
    assert_eq!(
        field(json!({"type": "cron", "expression": "@daily", "hour": 1})),
        "hour"
    );
    assert_eq!(field(json!({"type": "and"})), "triggers");
}

#[test]
fn jitter_never_touches_the_schedule() {
    let spec =
        json!({"type": "cron", "minute": "*", "jitter": 600, "end_date": "2026-01-01 00:05:00"});
    let trigger = trigger(spec, Tz::UTC);
    let nominal = trigger.first(at(YEAR)).unwrap();
    assert_eq!(trigger.jittered(nominal, 0.0), nominal);
    assert_eq!(trigger.jittered(nominal, 0.1), at("2026-01-01T00:01:00Z"));
    assert_eq!(trigger.jittered(nominal, 1.0), at("2026-01-01T00:05:00Z"));
    assert_eq!(
        trigger.next_after(nominal),
        Some(at("2026-01-01T00:01:00Z"))
    );
}

#[test]
fn nothing_fires_after_the_last_instant() {
    let after = Timestamp::from_ms(Timestamp::MAX.as_ms() + 1);
    for spec in [
        json!({"type": "interval", "seconds": 0.001}),
        json!({"type": "interval", "weeks": 1, "start_date": "9999-12-31"}),
        json!({"type": "cron", "second": "*"}),
        json!({"type": "calendar_interval", "days": 1, "start_date": "9999-12-31"}),
        json!({"type": "calendar_interval", "months": 1, "days": 1, "start_date": "2026-01-01"}),
    ] {
        let trigger = trigger(spec, Tz::America__New_York);
        assert_eq!(trigger.at_or_after(after), None, "{trigger}");
        assert_eq!(trigger.next_after(Timestamp::MAX), None, "{trigger}");
        assert_eq!(
            trigger.next_after(Timestamp::from_ms(i64::MAX)),
            None,
            "{trigger}"
        );
        let _ = trigger.first(Timestamp::from_ms(i64::MIN));
        let _ = trigger.next_after(Timestamp::from_ms(i64::MIN));
    }
}
