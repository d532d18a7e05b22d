//! What was done and seen, comparable between stores.

use std::fmt;

use crate::conformance::Sight;

/// Lines of what was done and seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<String>);

impl Trace {
    pub(super) fn add(&mut self, line: String) {
        self.0.push(line);
    }

    /// How many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first line in which two traces part, with what led to it.
    #[must_use]
    pub fn parting(&self, other: &Self) -> Option<String> {
        let same = self
            .0
            .iter()
            .zip(&other.0)
            .take_while(|(a, b)| a == b)
            .count();
        if same == self.0.len() && same == other.0.len() {
            return None;
        }
        let before = self.0[same.saturating_sub(10)..same].join("\n");
        let end = "(end)".to_owned();
        let [one, two] = [self, other].map(|trace| trace.0.get(same).unwrap_or(&end));
        Some(format!("{before}\none   {one}\nother {two}"))
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.0.iter().enumerate() {
            writeln!(f, "{number:4} {line}")?;
        }
        Ok(())
    }
}

/// A sight in one line, without numbers that a store chooses.
pub(super) fn summary(sight: &Sight) -> String {
    let jobs = sight.jobs.values().map(|stored| {
        let ms = |at: Option<scheduler_core::Timestamp>| at.map_or(0, |at| at.as_ms() % 1_000_000);
        let (next, fired) = (ms(stored.next_fire), ms(stored.fired));
        let state = match stored.state {
            scheduler_core::JobState::Active => "active",
            scheduler_core::JobState::Paused { .. } => "paused",
        };
        let (id, busy) = (stored.job.id(), stored.in_flight);
        format!("{id} {state} next={next} fired={fired} busy={busy}")
    });
    let jobs: Vec<_> = jobs.collect();
    let leader = sight
        .leader
        .as_ref()
        .map_or("nobody", |token| token.session.node());
    format!(
        "[{}] busy={} ready={} lined_up={} retries={} held={} dead={} nodes={} leader={leader} history={}",
        jobs.join("; "),
        sight.busy,
        sight.waiting(),
        sight.lined_up,
        sight.retries,
        sight.held,
        sight.dead.values().map(Vec::len).sum::<usize>(),
        sight.nodes.len(),
        sight.history.len(),
    )
}
