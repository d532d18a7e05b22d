//! A preview, for people and as JSON.

use std::io;

use carillon::core::Timestamp;
use carillon::core::trigger::Trigger;
use carillon::core::trigger::preview::Upcoming;
use serde::Serialize;

use super::super::output::{self, Table, wall};
use super::clock::{ClockChange, Kind, Position};
use super::schedule::{Schedule, Total};

/// Says what the trigger is, lists its fire times, and says what is not listed.
pub(super) fn show(trigger: &Trigger, schedule: &Schedule) -> io::Result<()> {
    output::line(&trigger.describe())?;
    if !schedule.listed.is_empty() {
        output::table(&mut table(trigger, &schedule.listed), "")?;
    }
    if let Some(total) = &schedule.total {
        output::line(&total_in_words(trigger, total))?;
    } else if schedule.is_exhausted && !schedule.listed.is_empty() {
        output::line("then it is over")?;
    }
    Ok(())
}

fn table(trigger: &Trigger, listed: &[Upcoming]) -> Table {
    let notes = notes(trigger, listed);
    // Most schedules meet no change of the clock, and need no room to say so.
    let titles = ["DAY", "LOCAL", "UTC", "CLOCK"];
    let has_notes = notes.iter().any(|note| !note.is_empty());
    let mut table = Table::new(if has_notes { &titles } else { &titles[..3] });
    for (fire, note) in listed.iter().zip(notes) {
        let local = trigger.local(fire.at);
        let day = local.format("%a").to_string();
        let mut row = vec![day, wall(&local), fire.at.to_string()];
        row.extend(has_notes.then_some(note));
        table.push(&row);
    }
    table
}

/// What the clock does at each fire time; mostly nothing.
fn notes(trigger: &Trigger, listed: &[Upcoming]) -> Vec<String> {
    let mut offset_before = None;
    let note = |fire: &Upcoming| {
        let offset = *trigger.local(fire.at).offset();
        let mut notes = Vec::new();
        if let Some(before) = offset_before.replace(offset).filter(|_| fire.clock_changed) {
            notes.push(format!("{before} -> {offset}"));
        }
        notes.extend(ClockChange::near(trigger, fire.at).map(|change| change.to_string()));
        notes.join(", ")
    };
    listed.iter().map(note).collect()
}

fn total_in_words(trigger: &Trigger, total: &Total) -> String {
    let shown = |at: Timestamp| wall(&trigger.local(at));
    let count = match total.count {
        0 => "no fire times".to_owned(),
        1 => "1 fire time".to_owned(),
        count if total.is_exact => format!("{count} fire times"),
        count => format!("more than {count} fire times"),
    };
    let mut words = format!("{count} from {} to {}", shown(total.from), shown(total.to));
    if let Some(last) = total.last.filter(|_| total.is_exact && total.count > 1) {
        words += &format!(", the last at {}", shown(last));
    }
    words
}

/// A preview, as `--json` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Preview<'a> {
    description: String,
    trigger: &'a Trigger,
    timezone: &'static str,
    fire_times: Vec<FireTime<'a>>,
    exhausted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    between: Option<Between>,
}

#[derive(Debug, Serialize)]
struct FireTime<'a> {
    utc: String,
    local: &'a str,
    offset_changed: bool,
    clock_change: Option<Change>,
}

#[derive(Debug, Serialize)]
struct Change {
    kind: Kind,
    at: String,
    offset_before: String,
    offset_after: String,
    position: Position,
}

#[derive(Debug, Serialize)]
struct Between {
    from: String,
    to: String,
    count: u64,
    count_is_exact: bool,
    last: Option<String>,
}

impl<'a> Preview<'a> {
    pub(super) fn new(trigger: &'a Trigger, schedule: &'a Schedule) -> Self {
        let fire_times = schedule.listed.iter().map(|fire| FireTime {
            utc: fire.at.to_string(),
            local: &fire.local,
            offset_changed: fire.clock_changed,
            clock_change: ClockChange::near(trigger, fire.at).map(|change| Change::new(&change)),
        });
        Self {
            description: trigger.describe(),
            trigger,
            timezone: trigger.timezone().name(),
            fire_times: fire_times.collect(),
            exhausted: schedule.is_exhausted,
            between: schedule.total.as_ref().map(Between::new),
        }
    }
}

impl Change {
    fn new(change: &ClockChange) -> Self {
        Self {
            kind: change.kind,
            at: change.at.to_string(),
            offset_before: change.before.to_string(),
            offset_after: change.after.to_string(),
            position: change.position,
        }
    }
}

impl Between {
    fn new(total: &Total) -> Self {
        Self {
            from: total.from.to_string(),
            to: total.to.to_string(),
            count: total.count,
            count_is_exact: total.is_exact,
            last: total.last.map(|last| last.to_string()),
        }
    }
}
