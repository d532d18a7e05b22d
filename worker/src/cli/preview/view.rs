//! A preview, for people.

use std::io;

use carillon::core::Timestamp;
use carillon::core::trigger::Trigger;
use carillon::core::trigger::preview::Upcoming;
use carillon::preview::{ClockChange, Schedule, Total};

use super::super::output::{self, Table, wall};

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
