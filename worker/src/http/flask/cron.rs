//! Fields of a cron trigger: checked, and written, as the original does.

use super::refusal::Refusal;

/// The fields, from the largest, with their least and greatest values.
pub(super) const FIELDS: [(&str, u32, u32); 8] = [
    ("year", 1970, 9999),
    ("month", 1, 12),
    ("day", 1, 31),
    ("week", 1, 53),
    ("day_of_week", 0, 6),
    ("hour", 0, 23),
    ("minute", 0, 59),
    ("second", 0, 59),
];

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const POSITIONS: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "last"];

/// The text of a field as the original shows it: `05, MON-fri` becomes `5,mon-fri`.
pub(super) fn normalized(field: &str, text: &str) -> Result<String, Refusal> {
    let Some((_, least, greatest)) = FIELDS.into_iter().find(|known| known.0 == field) else {
        return Err(Refusal::invalid(format!("Invalid field name: {field}")));
    };
    let field = Field {
        name: field,
        least,
        greatest,
    };
    let parts = text
        .trim()
        .split(',')
        .map(|part| field.part(part.trim_matches(' ')));
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join(","))
}

struct Field<'a> {
    name: &'a str,
    least: u32,
    greatest: u32,
}

impl Field<'_> {
    fn part(&self, text: &str) -> Result<String, Refusal> {
        let unknown = || {
            let name = self.name;
            let message = format!("Unrecognized expression \"{text}\" for field \"{name}\"");
            Refusal::invalid(message)
        };
        if let Some(rest) = text.strip_prefix('*') {
            return match rest.strip_prefix('/') {
                None if rest.is_empty() => Ok("*".to_owned()),
                Some(step) => self.every(text, number(step).ok_or_else(unknown)?),
                None => Err(unknown()),
            };
        }
        if text.starts_with(|c: char| c.is_ascii_digit())
            && let Some((first, last, step)) = range(text)
        {
            return self.range(text, first, last, step);
        }
        let lower = text.to_ascii_lowercase();
        match self.name {
            "day" if lower == "last" => Ok(lower),
            "day" => position(&lower).ok_or_else(unknown)?,
            "day_of_week" => names(&lower, "weekday", &WEEKDAYS).ok_or_else(unknown)?,
            "month" => names(&lower, "month", &MONTHS).ok_or_else(unknown)?,
            _ => Err(unknown()),
        }
    }

    /// `*/5`.
    fn every(&self, text: &str, step: u64) -> Result<String, Refusal> {
        self.check_step(text, step, u64::from(self.greatest - self.least))?;
        Ok(format!("*/{step}"))
    }

    /// `5`, `5-10`, `5-10/2`, `5/2`.
    fn range(
        &self,
        text: &str,
        first: u64,
        last: Option<u64>,
        step: Option<u64>,
    ) -> Result<String, Refusal> {
        let (least, greatest) = (u64::from(self.least), u64::from(self.greatest));
        let last = if step.is_none() {
            last.or(Some(first))
        } else {
            last
        };
        if last.is_some_and(|last| first > last) {
            return Err(Refusal::invalid(
                "The minimum value in a range must not be higher than the maximum",
            ));
        }
        if let Some(step) = step {
            self.check_step(text, step, greatest - least)?;
        }
        if first < least {
            let message =
                format!("the first value ({first}) is lower than the minimum value ({least})");
            return Err(invalid(text, &message));
        }
        if let Some(last) = last.filter(|last| *last > greatest) {
            let message =
                format!("the last value ({last}) is higher than the maximum value ({greatest})");
            return Err(invalid(text, &message));
        }
        if let Some(step) = step {
            self.check_step(text, step, last.unwrap_or(greatest).saturating_sub(first))?;
        }
        let mut shown = match last {
            Some(last) if last != first => format!("{first}-{last}"),
            _ => first.to_string(),
        };
        if let Some(step) = step {
            shown.push_str(&format!("/{step}"));
        }
        Ok(shown)
    }

    fn check_step(&self, text: &str, step: u64, total: u64) -> Result<(), Refusal> {
        if step == 0 {
            return Err(Refusal::invalid("Increment must be higher than 0"));
        }
        if step > total {
            let message = format!(
                "the step value ({step}) is higher than the total range of the expression ({total})"
            );
            return Err(invalid(text, &message));
        }
        Ok(())
    }
}

fn invalid(text: &str, why: &str) -> Refusal {
    Refusal::invalid(format!("Error validating expression '{text}': {why}"))
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// First value, last value and step.
type Range = (u64, Option<u64>, Option<u64>);

fn range(text: &str) -> Option<Range> {
    let (values, step) = match text.split_once('/') {
        Some((values, step)) => (values, Some(number(step)?)),
        None => (text, None),
    };
    match values.split_once('-') {
        Some((first, last)) => Some((number(first)?, Some(number(last)?), step)),
        None => Some((number(values)?, None, step)),
    }
}

/// `mon`, `mon-fri`; none for what is no such form at all.
fn names(text: &str, kind: &str, known: &[&str]) -> Option<Result<String, Refusal>> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (first, Some(last)),
        None => (text, None),
    };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
    if !is_word(first) || !last.is_none_or(is_word) {
        return None;
    }
    let place = |word: &str| {
        let unknown = || Refusal::invalid(format!("Invalid {kind} name \"{word}\""));
        known
            .iter()
            .position(|name| *name == word)
            .ok_or_else(unknown)
    };
    let places = match last {
        None => place(first).map(|first| (first, first)),
        Some(last) => place(first).and_then(|first| Ok((first, place(last)?))),
    };
    Some(places.and_then(|(first, last)| {
        if first > last {
            return Err(Refusal::invalid(
                "The minimum value in a range must not be higher than the maximum",
            ));
        }
        Ok(if first == last {
            known[first].to_owned()
        } else {
            format!("{}-{}", known[first], known[last])
        })
    }))
}

/// `2nd fri`, `last sun`.
fn position(text: &str) -> Option<Result<String, Refusal>> {
    let (which, weekday) = text.split_once(' ')?;
    let weekday = weekday.trim_start_matches(' ');
    if !POSITIONS.contains(&which) || !weekday.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    Some(if WEEKDAYS.contains(&weekday) {
        Ok(format!("{which} {weekday}"))
    } else {
        Err(Refusal::invalid(format!(
            "Invalid weekday name \"{weekday}\""
        )))
    })
}
