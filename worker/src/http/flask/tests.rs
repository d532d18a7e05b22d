//! Texts as the original reads and writes them; its answers as a whole are replayed in the package
//! `tests`.

use chrono_tz::Tz;
use scheduler_core::Timestamp;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::{cron, dates, python};

#[test]
fn json_is_written_as_python_writes_it() {
    let value = json!({"b": [1, 2.5, null], "a": "grüß \"dich\"\u{1f600}\n\u{7f}", "c": {}});
    let expected =
        r#"{"a": "gr\u00fc\u00df \"dich\"\ud83d\ude00\n\u007f", "b": [1, 2.5, null], "c": {}}"#;
    assert_eq!(python::dumps(&value), expected);
}

#[test]
fn cron_fields_are_shown_as_the_original_shows_them() {
    for (field, typed, shown) in [
        ("hour", "05", "5"),
        ("hour", " 1 , 2-4 ", "1,2-4"),
        ("minute", "*/05", "*/5"),
        ("minute", "5-5", "5"),
        ("minute", "5/10", "5/10"),
        ("minute", "5-45/10", "5-45/10"),
        ("day_of_week", "MON-fri,sun", "mon-fri,sun"),
        ("month", "Jan-Mar,6", "jan-mar,6"),
        ("day", "1st  MON", "1st mon"),
        ("day", "last", "last"),
        ("day", "last sun", "last sun"),
    ] {
        assert_eq!(
            cron::normalized(field, typed).unwrap(),
            shown,
            "{field} {typed}"
        );
    }
}

#[test]
fn cron_fields_are_refused_in_the_words_of_the_original() {
    for (field, typed, said) in [
        (
            "minute",
            "*/60",
            "Error validating expression '*/60': the step value (60) is higher than the total range of the expression (59)",
        ),
        (
            "day",
            "0",
            "Error validating expression '0': the first value (0) is lower than the minimum value (1)",
        ),
        (
            "hour",
            "22-2",
            "The minimum value in a range must not be higher than the maximum",
        ),
        ("hour", "*/0", "Increment must be higher than 0"),
        (
            "hour",
            "noon",
            "Unrecognized expression \"noon\" for field \"hour\"",
        ),
        (
            "hour",
            "",
            "Unrecognized expression \"\" for field \"hour\"",
        ),
        ("day_of_week", "monday", "Invalid weekday name \"monday\""),
        ("month", "january", "Invalid month name \"january\""),
        (
            "day_of_week",
            "mon-fri/2",
            "Unrecognized expression \"mon-fri/2\" for field \"day_of_week\"",
        ),
        ("day", "1st monday", "Invalid weekday name \"monday\""),
    ] {
        assert_eq!(
            cron::normalized(field, typed).unwrap_err().message,
            said,
            "{typed}"
        );
    }
}

#[test]
fn free_dates_are_read_as_dateutil_does() {
    let now: Timestamp = "2026-11-22T07:14:17Z".parse().unwrap();
    let read = |text: &str| {
        let strict = dates::free_text(text, now).map_err(|refusal| refusal.message)?;
        let moment = dates::moment(&strict, Tz::UTC).ok_or("not strict")?;
        Ok::<_, String>(moment.isoformat())
    };
    for (typed, shown) in [
        ("Jan 5 2099 3pm", "2099-01-05T15:00:00+00:00"),
        ("05/06/2099", "2099-05-06T00:00:00+00:00"),
        ("2099-01-01", "2099-01-01T00:00:00+00:00"),
        ("2099-01-01T00:00", "2099-01-01T00:00:00+00:00"),
        ("2099-12-31T00:00:00Z", "2099-12-31T00:00:00+00:00"),
        (
            "2099-01-01 12:30:15.25+02:00",
            "2099-01-01T12:30:15.250000+02:00",
        ),
        ("1 July 2099 12:00", "2099-07-01T12:00:00+00:00"),
        ("10:30", "2026-11-22T10:30:00+00:00"),
    ] {
        assert_eq!(read(typed).as_deref(), Ok(shown), "{typed}");
    }
    let long = "1".repeat(1000);
    for typed in ["garbage", "", "2099-13-45", "Ⅻ", &long] {
        let said = read(typed).unwrap_err();
        assert!(said.starts_with("Unknown string format: "), "{said}");
    }
}

#[test]
fn strict_dates_have_one_form() {
    let strict = |value: Value| {
        let zone = Tz::America__New_York;
        let moment = dates::strict("run_date", &value, zone);
        moment
            .map(dates::Moment::isoformat)
            .map_err(|refusal| refusal.message)
    };
    assert_eq!(
        strict(json!("2099-07-01")).as_deref(),
        Ok("2099-07-01T00:00:00-04:00")
    );
    assert_eq!(
        strict(json!("2099-7-1 9:05:00+05:30")).as_deref(),
        Ok("2099-07-01T09:05:00+05:30")
    );
    for wrong in [
        "2099-01-01T00:00",
        "garbage",
        " 2099-01-01",
        "2099-01-01 00:00:00 +08:00",
    ] {
        assert_eq!(
            strict(json!(wrong)),
            Err("Invalid date string".to_owned()),
            "{wrong}"
        );
    }
    assert_eq!(
        strict(json!(5)),
        Err("Unsupported type for run_date: int".to_owned())
    );
}

#[test]
fn what_a_task_gets_can_be_taken_apart_again() {
    for (args, kwargs) in [
        (json!([]), json!({})),
        (json!([1, "a"]), json!({})),
        (json!([]), json!({"a": 1})),
        (json!([1]), json!({"a": 1})),
        (json!([]), json!({"args": [1], "kwargs": {}})),
        (json!([2]), json!({"args": [1], "kwargs": {}})),
    ] {
        let arguments = Arguments {
            args: args.as_array().unwrap().clone(),
            kwargs: kwargs.as_object().unwrap().clone(),
        };
        assert_eq!(Arguments::of(&arguments.clone().into_value()), arguments);
    }
}
