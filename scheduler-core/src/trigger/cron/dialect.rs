//! The fields of a cron trigger, and what each dialect allows in them.

/// A field, from the largest unit to the smallest: APScheduler's order, which decides what a field
/// that is left out means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    Year,
    Month,
    Day,
    Week,
    DayOfWeek,
    Hour,
    Minute,
    Second,
}

pub(super) const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
pub(super) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl FieldKind {
    pub(super) const ALL: [Self; 8] = [
        Self::Year,
        Self::Month,
        Self::Day,
        Self::Week,
        Self::DayOfWeek,
        Self::Hour,
        Self::Minute,
        Self::Second,
    ];

    /// The name, as typed.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Week => "week",
            Self::DayOfWeek => "day_of_week",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }
}

/// Who wrote the field, which decides its numbers and its signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// APScheduler's named fields: weekdays 0 to 6 from Monday, `last fri`, `3rd mon`.
    Fields,
    /// Five fields: crontab's. Weekdays 0 to 7 from Sunday to Sunday.
    Crontab,
    /// Six or seven fields, seconds first: the `cron` crate's and Quartz's. Weekdays 1 to 7 from
    /// Sunday.
    Seconds,
}

impl Dialect {
    /// The values that `*` stands for.
    pub(super) const fn range(self, kind: FieldKind) -> (u16, u16) {
        match kind {
            FieldKind::Year => (1970, 9999),
            FieldKind::Month => (1, 12),
            FieldKind::Day => (1, 31),
            FieldKind::Week => (1, 53),
            FieldKind::DayOfWeek => match self {
                Self::Fields | Self::Crontab => (0, 6),
                Self::Seconds => (1, 7),
            },
            FieldKind::Hour => (0, 23),
            FieldKind::Minute | FieldKind::Second => (0, 59),
        }
    }

    /// The values that may be written.
    pub(super) const fn values(self, kind: FieldKind) -> (u16, u16) {
        match (self, kind) {
            (Self::Crontab, FieldKind::DayOfWeek) => (0, 7),
            _ => self.range(kind),
        }
    }

    /// The weekday, from Monday = 0, that `number` stands for. `number` may run past the week's end.
    pub(super) const fn weekday(self, number: u16) -> u8 {
        let from_monday = match self {
            Self::Fields => number % 7,
            Self::Crontab => (number + 6) % 7,
            Self::Seconds => (number + 5) % 7,
        };
        from_monday.to_le_bytes()[0]
    }

    /// The number of a weekday that is counted from Monday = 0.
    pub(super) const fn weekday_number(self, from_monday: u16) -> u16 {
        match self {
            Self::Fields => from_monday,
            Self::Crontab => (from_monday + 1) % 7,
            Self::Seconds => (from_monday + 1) % 7 + 1,
        }
    }

    /// The forms of a field, in words.
    pub(super) fn allowed(self, kind: FieldKind) -> String {
        let (least, most) = self.values(kind);
        let mut allowed = format!("{least} to {most}");
        match (self, kind) {
            (_, FieldKind::Month) => allowed.push_str(", jan to dec"),
            (Self::Fields, FieldKind::DayOfWeek) => allowed.push_str(" (0 = Monday), mon to sun"),
            (Self::Crontab, FieldKind::DayOfWeek) => {
                allowed.push_str(" (0 and 7 = Sunday), sun to sat, \"5L\", \"5#3\"");
            }
            (Self::Seconds, FieldKind::DayOfWeek) => {
                allowed.push_str(" (1 = Sunday), sun to sat, \"6L\", \"6#3\"");
            }
            (Self::Fields, FieldKind::Day) => {
                allowed.push_str(", \"last\", \"last fri\", \"3rd fri\"");
            }
            (_, FieldKind::Day) => allowed.push_str(", \"L\", \"L-3\", \"LW\", \"15W\""),
            _ => {}
        }
        allowed.push_str(
            ", \"*\", ranges \"a-b\", steps \"*/n\" and \"a-b/n\", and lists with commas",
        );
        allowed
    }
}

/// The whole word for a three-letter name.
pub(super) fn full_name(short: &str) -> &'static str {
    match short {
        "jan" => "january",
        "feb" => "february",
        "mar" => "march",
        "apr" => "april",
        "may" => "may",
        "jun" => "june",
        "jul" => "july",
        "aug" => "august",
        "sep" => "september",
        "oct" => "october",
        "nov" => "november",
        "dec" => "december",
        "mon" => "monday",
        "tue" => "tuesday",
        "wed" => "wednesday",
        "thu" => "thursday",
        "fri" => "friday",
        "sat" => "saturday",
        _ => "sunday",
    }
}
