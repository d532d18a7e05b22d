//! What became of a fire time, or why nothing did, in words.

mod asked;
mod words;

use chrono_tz::Tz;
use scheduler_core::ledger::{Facts, fate, neighbours};
use scheduler_core::{JobId, Store, Timestamp};

use super::{Jobs, JobsError};
use crate::wire::{Explained, local};
use words::{Words, word};

pub use asked::Asked;

impl<S: Store> Jobs<S> {
    /// Tells what became of a fire time: of the last one that was settled, where none is asked about.
    /// `zone` is whose clock is meant where the job says nothing of it.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn explain(
        &self,
        id: &JobId,
        asked: Option<Asked>,
        zone: Tz,
    ) -> Result<Explained, JobsError> {
        let stored = self.facts(id, Timestamp::MAX).await?;
        let zone = zone_of(&stored).unwrap_or(zone);
        let (from, to) = match asked {
            Some(asked) => asked.stretch(zone, stored.now),
            None => match stored.fired {
                Some(fired) => (fired, fired),
                None => return Ok(nothing_yet(id, &stored, zone)),
            },
        };
        let facts = self.facts(id, from).await?;
        let at = meant(&facts, from, to);
        let fate = fate(&facts, at);
        let words = Words {
            facts: &facts,
            zone,
        };
        let mut lines = vec![format!("{id} at {}", local(at, zone))];
        let told = words.of(&fate, at).into_iter();
        lines.extend(told.map(|line| format!("  {line}")));
        lines.extend(words.made_up_for(at));
        lines.extend(words.of_today());
        Ok(Explained::new(id.as_str(), Some(at), word(&fate), lines))
    }
}

fn nothing_yet(id: &JobId, facts: &Facts, zone: Tz) -> Explained {
    let words = Words { facts, zone };
    let is_there = facts.stored.is_some() || facts.unreadable.is_some();
    let first = if is_there {
        format!("{id}: no fire time of it has come yet")
    } else {
        format!(
            "there is no job {:?}, and nothing is known of one",
            id.as_str()
        )
    };
    let mut lines = vec![first];
    lines.extend(words.of_today());
    let fate = if is_there { "not_due_yet" } else { "no_job" };
    Explained::new(id.as_str(), None, fate, lines)
}

fn zone_of(facts: &Facts) -> Option<Tz> {
    let stored = facts.stored.as_ref()?;
    Some(stored.job.trigger().timezone())
}

/// The fire time that is meant by a stretch: one that something is known of, or one that the trigger
/// yields, or its beginning.
fn meant(facts: &Facts, from: Timestamp, to: Timestamp) -> Timestamp {
    use scheduler_core::history::Record;
    let is_in = |at: &Timestamp| (from..=to).contains(at);
    let recorded = facts
        .records
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Run(run) => Some(run.run.scheduled_at()),
            Record::Skip(skip) => [skip.first, skip.last].into_iter().find(is_in),
        });
    let in_flight = facts.in_flight.iter().map(|run| run.run.scheduled_at());
    let known = recorded.chain(in_flight).filter(is_in).min();
    let yielded = facts.stored.as_ref().and_then(|stored| {
        let just_before = Timestamp::from_ms(from.as_ms() - 1);
        let anchor = stored.next_fire.or(stored.fired);
        neighbours(&stored.job, anchor, just_before).1.filter(is_in)
    });
    known.or(yielded).unwrap_or(from)
}
