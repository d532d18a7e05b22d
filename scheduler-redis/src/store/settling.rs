//! Claimed runs that are handed in, as scripts take them.

use scheduler_core::QueueName;
use scheduler_core::run::Verdict;
use scheduler_core::store::Settled;

use super::{Call, Queues, ms};
use crate::codec;

/// The queues that settled runs came from, and go back to.
pub(super) fn queues_of(settled: &[Settled]) -> impl Iterator<Item = &QueueName> {
    settled.iter().map(|s| &s.claim.queue)
}

/// What must be the same of a stored claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The fence: no two claims have the same.
    Fence,
    /// All that was read of it.
    Claim,
}

/// Adds the columns of these items, if there are any; `_settle.lua` says what they mean.
pub(super) fn add_args<'a>(
    call: &mut Call<'_>,
    settled: &'a [Settled],
    known: Known,
    queues: &mut Queues<'a>,
) {
    if settled.is_empty() {
        return;
    }
    for item in settled {
        call.text(format_args!("{}", item.claim.run));
    }
    for item in settled {
        let claim = &item.claim;
        match known {
            Known::Fence => call.text(format_args!("{} ", claim.fence)),
            Known::Claim => call.text(format_args!("{} ", codec::claim_start(claim))),
        };
    }
    for item in settled {
        call.arg(item.claim.run.job.as_str());
    }
    add_lists(call, settled, queues);
    call.arg(record_lines(settled));
    let is_complete = settled.iter().all(|item| item.record.is_some());
    call.arg(i32::from(is_complete));
    let moves: Vec<_> = settled
        .iter()
        .zip(1_u64..)
        .filter_map(|(item, place)| Some((place, Move::of(item, queues)?)))
        .collect();
    call.arg(moves.len());
    for (place, Move { kind, list, text }) in moves {
        call.arg(place).arg(kind).arg(list).arg(text);
    }
}

/// Adds the lists that the claims are of, in stretches: those of one list are mostly together.
fn add_lists<'a>(call: &mut Call<'_>, settled: &'a [Settled], queues: &mut Queues<'a>) {
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for Settled { claim, .. } in settled {
        let list = queues.list(&claim.queue, claim.priority);
        match stretches.last_mut() {
            Some((last, runs)) if *last == list => *runs += 1,
            _ => stretches.push((list, 1)),
        }
    }
    call.arg(stretches.len());
    for (list, runs) in stretches {
        call.arg(list).arg(runs);
    }
}

/// A line for each item: its record, or nothing.
fn record_lines(settled: &[Settled]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (at, item) in settled.iter().enumerate() {
        if at > 0 {
            lines.push(b'\n');
        }
        if let Some(record) = &item.record {
            // A record has no map with other keys than texts, and memory takes all that is written.
            let _ = serde_json::to_writer(&mut lines, record);
        }
    }
    lines
}

/// What becomes of a run that does not just end.
struct Move {
    kind: String,
    list: usize,
    text: Vec<u8>,
}

impl Move {
    fn of<'a>(item: &'a Settled, queues: &mut Queues<'a>) -> Option<Self> {
        let claim = &item.claim;
        let (kind, text) = match item.verdict {
            Verdict::End(_) => ("F".to_owned(), failed_text(item)?),
            Verdict::GiveBack => {
                let text = codec::ready_text(&claim.waiting(claim.attempt, claim.losses));
                ("G".to_owned(), text.into_bytes())
            }
            Verdict::Again {
                after,
                attempt,
                losses,
            } if after.is_zero() => {
                let text = codec::ready_text(&claim.waiting(attempt, losses));
                ("R".to_owned(), text.into_bytes())
            }
            Verdict::Again {
                after,
                attempt,
                losses,
            } => {
                let text = codec::retry_text(&claim.queue, &claim.waiting(attempt, losses));
                (format!("A{}", ms(after)), text.into_bytes())
            }
            Verdict::Defer { after } => {
                let text = codec::retry_text(&claim.queue, &claim.deferred());
                (format!("A{}", ms(after)), text.into_bytes())
            }
        };
        let list = queues.list(&claim.queue, claim.priority);
        Some(Self { kind, list, text })
    }
}

/// How a run is kept among the failed ones: its record, and in the next line its definition. One that
/// cannot be written is not kept: the run has ended all the same.
fn failed_text(item: &Settled) -> Option<Vec<u8>> {
    let definition = codec::job_to_record(item.definition.as_ref()?).ok()?;
    let record = item
        .record
        .as_ref()
        .map_or_else(String::new, |record| record.to_line());
    Some([record.as_bytes(), b"\n", &definition].concat())
}
