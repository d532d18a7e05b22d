//! Triggers as configuration, requests and stores write them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono_tz::Tz;
use scheduler_core::Timestamp;
use scheduler_core::trigger::{Trigger, TriggerError, TriggerSpec};
use serde_json::{Value, json};

fn resolve(spec: Value) -> Result<Trigger, TriggerError> {
    TriggerSpec::from_value(spec)?.resolve(Tz::UTC)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_trigger_survives_json_and_messagepack_with_its_zone_spelled_out() {
    for spec in [
        json!({"type": "date", "run_date": "2026-12-24 18:00:00"}),
        json!({"type": "interval", "hours": 1.5, "start_date": "2026-01-01", "jitter": 10}),
        json!({"type": "cron", "minute": "*/5", "dst": "wall"}),
        json!({"type": "cron", "day": "last fri", "hour": 9, "timezone": "UTC"}),
        json!({"type": "cron", "expression": "0 0 0 ? * 6#3", "exclude": [
            "2026-12-25", {"start_date": "2026-01-01", "end_date": "2026-01-06"}, "* 22-23 * * *"
        ]}),
        json!({"type": "calendar_interval", "months": 1, "hour": 7, "start_date": "2026-01-31"}),
        json!({"type": "or", "triggers": [
            {"type": "and", "triggers": [{"type": "interval", "days": 1}, {"type": "cron", "day": "1"}]},
            {"type": "date", "run_date": "2026-12-24T18:00:00Z"}
        ]}),
    ] {
        let spec = TriggerSpec::from_value(spec).unwrap();
        let trigger = spec.resolve(Tz::Asia__Shanghai).unwrap();
        let stored = serde_json::to_value(&trigger).unwrap();
        let zone = if spec.resolve(Tz::UTC).unwrap() == trigger {
            "UTC"
        } else {
            "Asia/Shanghai"
        };
        assert_eq!(stored["timezone"], zone);
        assert_eq!(serde_json::from_value::<Trigger>(stored).unwrap(), trigger);
        let packed = rmp_serde::to_vec_named(&trigger).unwrap();
        assert_eq!(rmp_serde::from_slice::<Trigger>(&packed).unwrap(), trigger);
    }
}

#[test]
fn a_trigger_stored_without_a_zone_means_utc() {
    let trigger: Trigger = serde_json::from_value(json!({"type": "cron", "hour": 1})).unwrap();
    assert_eq!(trigger.timezone(), Tz::UTC);
}

#[test]
fn an_unknown_field_is_refused_by_name_with_a_near_one() {
    let error = resolve(json!({"type": "interval", "minuts": 5})).unwrap_err();
    assert_eq!(error.field, "minuts");
    assert!(
        error.message.contains("did you mean \"minutes\"?"),
        "{error}"
    );
    let error = resolve(json!({"type": "crn"})).unwrap_err();
    assert_eq!(error.field, "type");
    assert!(error.message.contains("did you mean \"cron\"?"), "{error}");
}

#[test]
fn an_error_names_field_and_value_and_points_at_the_character() {
    let error = resolve(json!({"type": "cron", "minute": "0,61"})).unwrap_err();
    assert_eq!(error.field, "minute");
    assert_eq!(
        error.to_string(),
        "minute: \"0,61\", character 3: 61 is out of range. Allowed in minute are 0 to 59, \"*\", ranges \"a-b\", \
         steps \"*/n\" and \"a-b/n\", and lists with commas\n    0,61\n      ^"
    );
}

#[test]
fn an_unknown_zone_is_refused_with_near_ones() {
    let error = resolve(json!({"type": "cron", "timezone": "Europe/Berlim"})).unwrap_err();
    assert_eq!(error.field, "timezone");
    assert!(error.message.contains("\"Europe/Berlin\""), "{error}");
}

#[test]
fn a_text_is_json_an_interval_or_an_instant() {
    let first = |text: &str| {
        let trigger = TriggerSpec::from_text(text)
            .unwrap()
            .resolve(Tz::UTC)
            .unwrap();
        trigger
            .first(at("2026-01-01T00:00:00Z"))
            .unwrap()
            .to_string()
    };
    assert_eq!(first("every 1h 30m"), "2026-01-01T01:30:00Z");
    assert_eq!(
        first(r#"{"type": "cron", "hour": 7}"#),
        "2026-01-01T07:00:00Z"
    );
    assert_eq!(first("2026-12-24T18:00:00+01:00"), "2026-12-24T17:00:00Z");
}

#[test]
fn a_date_fires_once_even_if_past_and_without_a_date_now() {
    let now = at("2026-01-01T00:00:00Z");
    let past = resolve(json!({"type": "date", "run_date": "2020-01-01"})).unwrap();
    assert_eq!(past.first(now), Some(at("2020-01-01T00:00:00Z")));
    assert_eq!(past.next_after(at("2020-01-01T00:00:00Z")), None);
    assert_eq!(
        resolve(json!({"type": "date"})).unwrap().first(now),
        Some(now)
    );
}

#[test]
fn a_stretch_of_an_interval_is_counted_like_a_walked_one() {
    let trigger =
        resolve(json!({"type": "interval", "seconds": 7, "end_date": "2026-01-01 00:10:00"}))
            .unwrap();
    let first = at("2026-01-01T00:00:03Z");
    for (until, limit) in [(0, 9), (3, 9), (60, 1000), (60, 3), (10_000, 1000), (9, 0)] {
        let until = Timestamp::from_ms(at("2026-01-01T00:00:00Z").as_ms() + until * 1000);
        let stretch = trigger.stretch(first, until, limit);
        let (mut count, mut last) = (1, first);
        let mut next = trigger.next_after(first);
        while let Some(found) = next.filter(|next| *next <= until && count < limit) {
            (count, last) = (count + 1, found);
            next = trigger.next_after(found);
        }
        assert_eq!(
            (stretch.count, stretch.last, stretch.next),
            (count, last, next)
        );
    }
}

#[test]
fn a_third_of_a_second_does_not_drift() {
    let trigger =
        resolve(json!({"type": "interval", "seconds": 1.0 / 3.0, "start_date": "2026-01-01"}))
            .unwrap();
    let mut fire = trigger.first(at("2026-01-01T00:00:00Z")).unwrap();
    for _ in 0..3000 {
        fire = trigger.next_after(fire).unwrap();
    }
    // 3000 steps of 333,333 us.
    assert_eq!(fire, at("2026-01-01T00:16:39.999Z"));
}

#[test]
fn a_trigger_reads_from_toml_with_its_dates() {
    #[derive(serde::Deserialize)]
    struct Page {
        triggers: Vec<TriggerSpec>,
    }
    let page = r#"
        triggers = [
            { type = "interval", seconds = 10 },
            { type = "cron", minute = "*/5", timezone = "Asia/Shanghai" },
            { type = "cron", expression = "*/5 * * * *", exclude = 2026-01-01 },
            { type = "date", run_date = 2026-12-24T18:00:00+01:00 },
            { type = "date", run_date = 2026-12-24 18:00:00 },
            { type = "calendar_interval", days = 1, start_date = 2026-01-02 },
        ]
    "#;
    let page: Page = toml::from_str(page).unwrap();
    let now = at("2026-01-01T00:00:00Z");
    let first = |spec: &TriggerSpec| {
        spec.resolve(Tz::UTC)
            .unwrap()
            .first(now)
            .unwrap()
            .to_string()
    };
    assert_eq!(
        page.triggers.iter().map(first).collect::<Vec<_>>(),
        [
            "2026-01-01T00:00:10Z",
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
            "2026-12-24T17:00:00Z",
            "2026-12-24T18:00:00Z",
            "2026-01-02T00:00:00Z",
        ]
    );
}

#[test]
fn triggers_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug + std::fmt::Display>() {}
    shared::<Trigger>();
    shared::<TriggerSpec>();
}

#[test]
fn a_trigger_shows_itself_as_apscheduler_does() {
    for (spec, shown) in [
        (
            json!({"type": "cron", "day": 1, "minute": "20"}),
            "cron[day='1', minute='20']",
        ),
        (
            json!({"type": "cron", "expression": "@daily"}),
            "cron['@daily']",
        ),
        (
            json!({"type": "interval", "hours": 2, "seconds": 0.5}),
            "interval[hours=2, seconds=0.5]",
        ),
        (
            json!({"type": "or", "triggers": [{"type": "date", "run_date": "2026-01-01"}]}),
            "or[date[2026-01-01]]",
        ),
        (
            json!({"type": "calendar_interval", "weeks": 2, "hour": 7}),
            "calendar_interval[weeks=2, time='07:00:00']",
        ),
    ] {
        assert_eq!(resolve(spec).unwrap().to_string(), shown);
    }
}
