//! Triggers in words.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono_tz::Tz;
use scheduler_core::trigger::TriggerSpec;

fn words(text: &str) -> String {
    TriggerSpec::from_text(text)
        .unwrap()
        .resolve(Tz::Asia__Shanghai)
        .unwrap()
        .describe()
}

#[test]
fn a_trigger_describes_itself() {
    for (text, expected) in [
        (
            "30 5 * * mon-fri",
            "at 05:30, Monday to Friday, Asia/Shanghai",
        ),
        ("0 0 * * *", "at 00:00, every day, Asia/Shanghai"),
        ("*/5 * * * *", "every 5 minutes, Asia/Shanghai"),
        (
            "*/5 9-17 * * 1-5",
            "every 5 minutes from 09:00 to 17:59, Monday to Friday, Asia/Shanghai",
        ),
        ("@hourly", "every hour, Asia/Shanghai"),
        ("0 */2 * * *", "every 2 hours, Asia/Shanghai"),
        ("20 * * * *", "at minute 20, Asia/Shanghai"),
        ("* * * * * *", "every second, Asia/Shanghai"),
        ("*/10 * * * * *", "every 10 seconds, Asia/Shanghai"),
        (
            "15,45 8,20 1,15 * *",
            "at 08:15, 08:45, 20:15 and 20:45, on the 1st and 15th, Asia/Shanghai",
        ),
        (
            "0 9 13 * 5",
            "at 09:00, on the 13th or Friday, Asia/Shanghai",
        ),
        (
            "0 0 9 13 * FRI",
            "at 09:00, on the 13th if that is Friday, Asia/Shanghai",
        ),
        (
            "0 0 12 ? * 6#3 2026",
            "at 12:00, on the third Friday of the month, in 2026, Asia/Shanghai",
        ),
        (
            "0 0 12 LW 1-3,12 ?",
            "at 12:00, on the last weekday (Monday to Friday) of the month, in January to March and December, Asia/Shanghai",
        ),
        (
            r#"{"type": "cron", "day": "last fri, 1", "hour": 9}"#,
            "at 09:00, on the 1st and the last Friday of the month, Asia/Shanghai",
        ),
        (
            r#"{"type": "cron", "week": "1-4", "day_of_week": "sat,sun"}"#,
            "at 00:00, Saturday and Sunday, in ISO week 1 to 4, Asia/Shanghai",
        ),
        ("every 1h 30m", "every 1h 30m, Asia/Shanghai"),
        (
            "2026-12-24T18:00:00+01:00",
            "once, on Fri 2026-12-25 at 01:00:00, Asia/Shanghai",
        ),
        (
            r#"{"type": "calendar_interval", "months": 1, "weeks": 2, "hour": 7}"#,
            "every month and 2 weeks at 07:00, Asia/Shanghai",
        ),
        (
            r#"{"type": "cron", "hour": 7, "exclude": ["2026-12-25", "* * * * sun"], "jitter": 90, "start_date": "2026-01-01"}"#,
            "at 07:00, every day, from 2026-01-01, Asia/Shanghai, except on 2026-12-25 and while \"* * * * sun\" matches, up to 1m 30s later",
        ),
        (
            r#"{"type": "or", "triggers": [{"type": "cron", "hour": 7}, {"type": "interval", "hours": 5}]}"#,
            "(at 07:00, every day, Asia/Shanghai) or (every 5h, Asia/Shanghai)",
        ),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}
