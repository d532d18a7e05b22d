//! Triggers against a slow, obvious reference.
//!
//! The reference asks `chrono-tz` what the clock shows at each second or minute of a window, and
//! whether that matches. It shares no code with the search: no bit masks, no spans, no leaps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone,
    Timelike, Utc,
};
use chrono_tz::Tz;
use proptest::prelude::*;
use scheduler_core::Timestamp;
use scheduler_core::trigger::{Trigger, TriggerSpec};
use serde_json::{Value, json};

const ZONES: [Tz; 14] = [
    Tz::UTC,
    Tz::America__New_York,
    Tz::America__Sao_Paulo,
    Tz::America__St_Johns,
    Tz::America__Havana,
    Tz::America__Nuuk,
    Tz::Europe__London,
    Tz::Europe__Berlin,
    Tz::Africa__Cairo,
    Tz::Africa__Casablanca,
    Tz::Asia__Kolkata,
    Tz::Australia__Lord_Howe,
    Tz::Antarctica__Troll,
    Tz::Pacific__Chatham,
];

/// One part of a field's list.
#[derive(Clone, Debug)]
enum Item {
    Every(u32),
    Value(u32),
    Range(u32, u32, u32),
    Nth(u32, u32),
    LastWeekday(u32),
    LastDay,
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Item {
    fn text(&self) -> String {
        match self {
            Self::Every(1) => "*".to_owned(),
            Self::Every(step) => format!("*/{step}"),
            Self::Value(value) => value.to_string(),
            Self::Range(first, last, 1) => format!("{first}-{last}"),
            Self::Range(first, last, step) => format!("{first}-{last}/{step}"),
            Self::Nth(nth, weekday) => {
                let ordinal = ["1st", "2nd", "3rd", "4th", "5th"][*nth as usize - 1];
                format!("{ordinal} {}", WEEKDAYS[*weekday as usize])
            }
            Self::LastWeekday(weekday) => format!("last {}", WEEKDAYS[*weekday as usize]),
            Self::LastDay => "last".to_owned(),
        }
    }

    /// Whether `value`, of a field that begins at `least`, matches on `date`.
    fn matches(&self, value: u32, least: u32, date: NaiveDate) -> bool {
        let month_after = |days| date.checked_add_days(Days::new(days)).unwrap().month();
        let weekday = date.weekday().num_days_from_monday();
        match *self {
            Self::Every(step) => (value - least).is_multiple_of(step),
            Self::Value(wanted) => value == wanted,
            Self::Range(first, last, step) => {
                (first..=last).contains(&value) && (value - first).is_multiple_of(step)
            }
            Self::Nth(nth, wanted) => weekday == wanted && (date.day() - 1) / 7 + 1 == nth,
            Self::LastWeekday(wanted) => weekday == wanted && month_after(7) != date.month(),
            Self::LastDay => month_after(1) != date.month(),
        }
    }
}

#[derive(Clone, Debug)]
struct Field {
    name: &'static str,
    least: u32,
    items: Vec<Item>,
}

impl Field {
    fn text(&self) -> String {
        self.items
            .iter()
            .map(Item::text)
            .collect::<Vec<_>>()
            .join(",")
    }

    fn ticking(&self) -> bool {
        self.items
            .iter()
            .any(|item| matches!(item, Item::Every(_) | Item::Range(_, _, 2..)))
    }
}

/// A list of one to three items for a field with values from `least` to `most`.
fn field(name: &'static str, least: u32, most: u32) -> BoxedStrategy<Field> {
    let width = most - least;
    let range = (least..=most, least..=most).prop_flat_map(|(a, b)| {
        let (first, last) = (a.min(b), a.max(b));
        (Just(first), Just(last), 1..=(last - first).max(1))
    });
    let range = range.prop_map(|(first, last, step)| {
        // A range of one value has no step that APScheduler takes.
        Item::Range(first, last, if first == last { 1 } else { step })
    });
    let mut items = vec![
        (3, (least..=most).prop_map(Item::Value).boxed()),
        (2, range.boxed()),
        (1, (1..=width).prop_map(Item::Every).boxed()),
    ];
    if name == "day" {
        items.push((
            1,
            (1..=5_u32, 0..7_u32)
                .prop_map(|(nth, day)| Item::Nth(nth, day))
                .boxed(),
        ));
        items.push((1, (0..7_u32).prop_map(Item::LastWeekday).boxed()));
        items.push((1, Just(Item::LastDay).boxed()));
    }
    let item = proptest::strategy::Union::new_weighted(items);
    proptest::collection::vec(item, 1..=3)
        .prop_map(move |items| Field { name, least, items })
        .boxed()
}

fn maybe(chance: f64, field: BoxedStrategy<Field>) -> BoxedStrategy<Option<Field>> {
    proptest::option::weighted(chance, field).boxed()
}

#[derive(Clone, Debug)]
struct Cron {
    fields: Vec<Field>,
    tz: Tz,
    once: bool,
}

impl Cron {
    fn trigger(&self) -> Trigger {
        let mut spec = json!({"type": "cron", "timezone": self.tz.name()});
        spec["dst"] = if self.once { "once" } else { "wall" }.into();
        for field in &self.fields {
            spec[field.name] = field.text().into();
        }
        resolve(spec)
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// What a field that was left out means is spelled out here, once more.
    fn matches(&self, wall: NaiveDateTime) -> bool {
        let date = wall.date();
        let names = [
            "year",
            "month",
            "day",
            "week",
            "day_of_week",
            "hour",
            "minute",
            "second",
        ];
        let values = [
            u32::try_from(date.year()).unwrap(),
            date.month(),
            date.day(),
            date.iso_week().week(),
            date.weekday().num_days_from_monday(),
            wall.hour(),
            wall.minute(),
            wall.second(),
        ];
        let smallest = names.iter().rposition(|name| self.field(name).is_some());
        names
            .iter()
            .zip(values)
            .enumerate()
            .all(|(index, (name, value))| match self.field(name) {
                Some(field) => field
                    .items
                    .iter()
                    .any(|item| item.matches(value, field.least, date)),
                None if smallest.is_none_or(|smallest| index < smallest) => true,
                None => match *name {
                    "week" | "day_of_week" => true,
                    "month" | "day" => value == 1,
                    _ => value == 0,
                },
            })
    }

    fn names_its_times(&self) -> bool {
        let hour = self.field("hour");
        let hour_ticks = hour.map_or(
            self.field("minute").is_some()
                || self.field("second").is_some()
                || self.fields.is_empty(),
            Field::ticking,
        );
        let minute = self.field("minute");
        let minute_ticks = minute.map_or(
            self.field("second").is_some() || self.fields.is_empty(),
            Field::ticking,
        );
        !hour_ticks && !minute_ticks
    }

    /// The fire times from `from` on, looking at each `step` seconds until `to`.
    fn reference(&self, from: i64, to: i64, step: usize) -> Vec<i64> {
        let shown = |at: i64| wall(self.tz, at);
        let mut fires = Vec::new();
        for at in (from..to).step_by(step) {
            let now = shown(at);
            let matches = self.matches(now);
            if !self.once || !self.names_its_times() {
                if matches {
                    fires.push(at);
                }
                continue;
            }
            let first = self
                .tz
                .from_local_datetime(&now)
                .earliest()
                .unwrap()
                .timestamp()
                == at;
            // All that the clock jumps over to get here.
            let mut skipped = shown(at - 1) + TimeDelta::seconds(1);
            let mut jumped = false;
            while skipped < now {
                jumped |= self.matches(skipped);
                skipped += TimeDelta::seconds(i64::try_from(step).unwrap());
            }
            if jumped || (matches && first) {
                fires.push(at);
            }
        }
        fires
    }
}

fn wall(tz: Tz, at: i64) -> NaiveDateTime {
    DateTime::from_timestamp(at, 0)
        .unwrap()
        .with_timezone(&tz)
        .naive_local()
}

fn offset(tz: Tz, at: i64) -> i32 {
    DateTime::from_timestamp(at, 0)
        .unwrap()
        .with_timezone(&tz)
        .offset()
        .fix()
        .local_minus_utc()
}

/// A change of the zone's clock soon after `at`, or `at` where there is none for a year.
fn clock_change(tz: Tz, at: i64) -> i64 {
    let day = (0..366).map(|day| at + day * 86_400);
    let Some(mut from) = day
        .into_iter()
        .find(|day| offset(tz, *day) != offset(tz, day + 86_400))
    else {
        return at;
    };
    let before = offset(tz, from);
    while offset(tz, from + 60) == before {
        from += 60;
    }
    from + 60
}

fn resolve(spec: Value) -> Trigger {
    TriggerSpec::from_value(spec)
        .unwrap()
        .resolve(Tz::UTC)
        .unwrap()
}

fn seconds(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().unwrap().timestamp()
}

fn ms(second: i64) -> Timestamp {
    Timestamp::from_ms(second * 1000)
}

/// The fire times of `trigger` in a window, asked one after the other.
fn walked(trigger: &Trigger, from: i64, to: i64) -> Vec<i64> {
    let mut next = trigger.first(ms(from));
    let mut fires = Vec::new();
    while let Some(at) = next.filter(|at| *at < ms(to)) {
        fires.push(at.as_ms() / 1000);
        next = trigger.next_after(at);
        assert!(
            next.is_none_or(|next| next > at),
            "{trigger} goes from {at} to {next:?}"
        );
    }
    fires
}

/// From any instant in between, the same series is left.
fn splits_agree(trigger: &Trigger, fires: &[i64], from: i64, to: i64) {
    let step = usize::try_from((to - from) / 40).unwrap() | 1;
    for at in (from..to).step_by(step) {
        let expected = fires.iter().find(|fire| **fire > at).map(|fire| ms(*fire));
        let found = trigger.next_after(ms(at)).filter(|next| *next < ms(to));
        assert_eq!(found, expected, "{trigger} after {}", ms(at));
        let expected = fires.iter().find(|fire| **fire >= at).map(|fire| ms(*fire));
        assert_eq!(
            trigger.at_or_after(ms(at)).filter(|next| *next < ms(to)),
            expected
        );
    }
}

/// Instants between 1971 and 2090, half of them shortly before a change of the clock.
fn moments() -> impl Strategy<Value = (Tz, i64)> {
    (
        proptest::sample::select(&ZONES[..]),
        31_536_000..3_800_000_000_i64,
        any::<bool>(),
    )
        .prop_map(|(tz, at, near_change)| {
            let at = at / 60 * 60;
            (
                tz,
                if near_change {
                    clock_change(tz, at) - 6 * 3600
                } else {
                    at
                },
            )
        })
}

/// As many cases as `PROPTEST_CASES` says. Failures print their case; none is kept in a file.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn times_of_day_are_those_of_the_reference(
        (tz, from) in moments(),
        once in any::<bool>(),
        hour in maybe(0.8, field("hour", 0, 23)),
        minute in maybe(0.8, field("minute", 0, 59)),
        weekday in maybe(0.2, field("day_of_week", 0, 6)),
    ) {
        let fields: Vec<_> = [weekday, hour, minute].into_iter().flatten().collect();
        prop_assume!(!fields.is_empty());
        let cron = Cron { fields, tz, once };
        let to = from + 40 * 3600;
        let expected = cron.reference(from, to, 60);
        let trigger = cron.trigger();
        prop_assert_eq!(walked(&trigger, from, to), &expected[..], "{:?}", cron);
        splits_agree(&trigger, &expected, from, to);
    }

    #[test]
    fn seconds_are_those_of_the_reference(
        (tz, from) in moments(),
        once in any::<bool>(),
        hour in maybe(0.5, field("hour", 0, 23)),
        minute in maybe(0.7, field("minute", 0, 59)),
        second in field("second", 0, 59),
    ) {
        let fields: Vec<_> = [hour, minute, Some(second)].into_iter().flatten().collect();
        let cron = Cron { fields, tz, once };
        // Around the change, which is 6 hours on.
        let (from, to) = (from + 5 * 3600, from + 7 * 3600);
        let expected = cron.reference(from, to, 1);
        prop_assert_eq!(walked(&cron.trigger(), from, to), expected, "{:?}", cron);
    }

    #[test]
    fn days_are_those_of_the_reference(
        year in maybe(0.2, field("year", 2020, 2040)),
        month in maybe(0.5, field("month", 1, 12)),
        day in maybe(0.7, field("day", 1, 31)),
        week in maybe(0.3, field("week", 1, 53)),
        weekday in maybe(0.5, field("day_of_week", 0, 6)),
        from in 0..3_600_i64,
    ) {
        let fields: Vec<_> = [year, month, day, week, weekday].into_iter().flatten().collect();
        // `*/n` counts from the field's own beginning, which for years is 1970.
        let fields: Vec<_> = fields.into_iter().map(|field| match field.name {
            "year" => Field { least: 1970, ..field },
            _ => field,
        }).collect();
        prop_assume!(!fields.is_empty());
        let cron = Cron { fields, tz: Tz::UTC, once: true };
        let from = seconds("2020-01-01T00:00:00Z") + from * 86_400;
        let to = from + 4000 * 86_400;
        let expected = cron.reference(from, to, 86_400);
        prop_assert_eq!(walked(&cron.trigger(), from, to), expected, "{:?}", cron);
    }

    #[test]
    fn five_fields_mean_what_crontab_says(
        minute in field("minute", 0, 59),
        hour in field("hour", 0, 23),
        day in (1..=31_u32, any::<bool>()),
        weekday in (0..=7_u32, any::<bool>()),
        from in 0..20_000_i64,
    ) {
        let mut text = format!("{} {} ", minute.text(), hour.text());
        let star = |value: u32, starred: bool| if starred { "*".to_owned() } else { value.to_string() };
        write!(text, "{} * {}", star(day.0, day.1), star(weekday.0, weekday.1)).unwrap();
        let trigger = resolve(json!({"type": "cron", "expression": text}));
        let from = from * 86_400;
        let mut expected = Vec::new();
        for at in (from..from + 10 * 86_400).step_by(60) {
            let wall = wall(Tz::UTC, at);
            let by_day = wall.day() == day.0;
            let by_weekday = wall.weekday().num_days_from_sunday() == weekday.0 % 7;
            let matches_day = match (day.1, weekday.1) {
                (true, true) => true,
                (false, true) => by_day,
                (true, false) => by_weekday,
                (false, false) => by_day || by_weekday,
            };
            let matches = |field: &Field, value| field.items.iter().any(|i| i.matches(value, 0, wall.date()));
            if matches_day && matches(&minute, wall.minute()) && matches(&hour, wall.hour()) {
                expected.push(at);
            }
        }
        prop_assert_eq!(walked(&trigger, from, from + 10 * 86_400), expected, "{}", text);
    }

    #[test]
    fn intervals_are_plain_addition(
        length in 1..100_000_i64,
        start in 0..2_000_000_000_i64,
        now in 0..2_000_000_000_i64,
        count in 1..50_u64,
    ) {
        let start_date = DateTime::from_timestamp(start, 0).unwrap().to_rfc3339();
        let trigger = resolve(json!({"type": "interval", "seconds": length, "start_date": start_date}));
        let mut expected = start;
        while expected < now {
            // In leaps that divide: adding one by one would take minutes.
            let leap = ((now - expected) / length / 2).max(1);
            expected += leap * length;
        }
        let first = trigger.first(ms(now)).unwrap();
        prop_assert_eq!(first, ms(expected));
        let until = ms(expected + i64::try_from(count).unwrap() * length - 1);
        let stretch = trigger.stretch(first, until, u64::MAX);
        prop_assert_eq!(stretch.count, count);
        prop_assert_eq!(trigger.next_after(stretch.last), stretch.next);
        prop_assert_eq!(stretch.next.unwrap().since(first).as_secs(), count * u64::try_from(length).unwrap());
    }

    #[test]
    fn calendar_intervals_step_from_date_to_date(
        (tz, near) in moments(),
        (months, days) in prop_oneof![
            (1..30_u32, Just(0_u64)),
            (Just(0_u32), 1..400_u64),
        ],
        (hour, minute) in (0..24_u32, 0..60_u32),
        once in any::<bool>(),
    ) {
        let start = wall(tz, near).date();
        let trigger = resolve(json!({
            "type": "calendar_interval", "months": months, "days": days, "hour": hour,
            "minute": minute, "start_date": start.to_string(), "timezone": tz.name(),
            "dst": if once { "once" } else { "wall" },
        }));
        let mut expected = BTreeSet::new();
        for step in 0..40_u32 {
            let date = if months == 0 {
                start + Days::new(days * u64::from(step))
            } else {
                start + Months::new(months * step)
            };
            if months > 0 && date.day() != start.day() {
                continue; // There is no such day in that month.
            }
            if date.year() > 2098 {
                break; // The tables of the reference end.
            }
            let mut wall = date.and_hms_opt(hour, minute, 0).unwrap();
            let fire = loop {
                match tz.from_local_datetime(&wall).earliest() {
                    Some(found) => break Some(found.timestamp()),
                    None if once => wall += TimeDelta::minutes(1),
                    None => break None,
                }
            };
            expected.extend(fire);
        }
        let found: Vec<_> = walked(&trigger, 0, expected.last().map_or(0, |last| last + 1));
        prop_assert_eq!(&found, &expected.iter().copied().collect::<Vec<_>>());
        for fire in &found {
            prop_assert_eq!(trigger.at_or_after(ms(*fire)), Some(ms(*fire)));
        }
    }

    #[test]
    fn a_stretch_is_what_walking_finds(
        (tz, from) in moments(),
        minute in field("minute", 0, 59),
        length in 0..200_000_i64,
        limit in 0..200_u64,
    ) {
        let cron = Cron { fields: vec![minute], tz, once: true };
        let trigger = cron.trigger();
        let first = trigger.first(ms(from)).unwrap();
        let until = Timestamp::from_ms(first.as_ms() + length * 1000);
        let fires = walked(&trigger, from, until.as_ms() / 1000 + 1);
        let stretch = trigger.stretch(first, until, limit);
        let count = fires.len().min(usize::try_from(limit.max(1)).unwrap());
        prop_assert_eq!(stretch.count, count as u64);
        prop_assert_eq!(stretch.last, ms(fires[count - 1]));
        prop_assert_eq!(stretch.next, trigger.next_after(stretch.last));
    }
}

proptest! {
    // Some never fire, and tell so only after all the leaps that a question may take.
    #![proptest_config(ProptestConfig { cases: config().cases / 4, ..config() })]

    #[test]
    fn combinations_and_exclusions_are_set_operations(
        from in 0..30_000_000_i64,
        periods in proptest::collection::vec(1..40_i64, 1..4),
        minutes in field("minute", 0, 59),
        excluded in field("hour", 0, 23),
        excluded_days in proptest::collection::btree_set(0..8_i64, 0..3),
    ) {
        let from = from * 60;
        let to = from + 5 * 86_400;
        let day_of = |day: i64| DateTime::from_timestamp(from + day * 86_400, 0).unwrap().date_naive();
        let mut exclude: Vec<_> = excluded_days.iter().map(|day| json!(day_of(*day).to_string())).collect();
        exclude.push(json!(format!("* {} * * *", excluded.text())));
        let mut parts = vec![json!({"type": "cron", "minute": minutes.text()})];
        parts.extend(periods.iter().map(|minutes| json!({
            "type": "interval", "minutes": minutes, "start_date": "1970-01-01"
        })));
        let fires_at = |at: i64| {
            let wall = wall(Tz::UTC, at);
            let cron = minutes.items.iter().any(|i| i.matches(wall.minute(), 0, wall.date()));
            let mut each = periods.iter().map(|minutes| at % (minutes * 60) == 0);
            (cron || each.clone().any(|fires| fires), cron && each.all(|fires| fires))
        };
        let is_excluded = |at: i64| {
            let wall = wall(Tz::UTC, at);
            excluded_days.iter().any(|day| day_of(*day) == wall.date())
                || excluded.items.iter().any(|i| i.matches(wall.hour(), 0, wall.date()))
        };
        let instants: Vec<_> = (from..to).step_by(60).filter(|at| !is_excluded(*at)).collect();
        let any: Vec<_> = instants.iter().copied().filter(|at| fires_at(*at).0).collect();
        let all: Vec<_> = instants.iter().copied().filter(|at| fires_at(*at).1).collect();
        let combined = |kind: &str| resolve(json!({"type": kind, "triggers": parts, "exclude": exclude}));
        let (or, and) = (combined("or"), combined("and"));
        prop_assert_eq!(walked(&or, from, to), &any[..]);
        prop_assert_eq!(walked(&and, from, to), &all[..]);
        splits_agree(&or, &any, from, to);
    }
}
