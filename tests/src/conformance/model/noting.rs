//! Nodes that tell of their attempts, in any order.

use std::time::Duration;

use scheduler_core::notes::{Note, NoteAnswer, Notes, RunNotes};
use scheduler_core::{Shard, Store};

use super::walker::Walker;
use crate::conformance::{Harness, START, done};

/// Longer than any walk takes.
const KEEP: Duration = Duration::from_secs(400 * 86_400);

impl<H: Harness> Walker<H> {
    /// A node tells of what it holds, and of what it held last: also what was overtaken by then.
    pub(super) async fn note(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let walking = &self.nodes[at];
        let mut claims: Vec<_> = walking.claims.iter().take(2).cloned().collect();
        let past = walking.past.iter().map(|past| past.claim.clone());
        let past: Vec<_> = past
            .filter(|past| claims.iter().all(|c| c.run != past.run))
            .collect();
        claims.extend(past);
        let session = walking.node.session.clone();
        let mut notes = Vec::new();
        for claim in &claims {
            let number = self.random.u64(1..6);
            let mut told = Notes::default();
            let fraction = f64::from(u32::try_from(number).unwrap_or(0)) / 6.0;
            told.progress(fraction, "on a walk", START)
                .expect("a fraction");
            told.log(&format!("{} {number}", claim.run), START);
            notes.push(RunNotes {
                run: claim.run.clone(),
                attempt: claim.attempt,
                fence: claim.fence,
                number,
                notes: told,
            });
        }
        let request = Note {
            session,
            notes,
            keep: KEEP,
        };
        let answer = done(self.world.store.note(&request).await);
        assert_eq!(
            answer,
            done(self.world.store.note(&request).await),
            "asked again"
        );
        let expected = if self.oracle.is_dead(&request.session) {
            NoteAnswer::Gone
        } else {
            NoteAnswer::Noted
        };
        assert_eq!(answer, expected);
        for told in &request.notes {
            if answer == NoteAnswer::Noted {
                self.oracle.noted(told);
            }
            let kept = done(self.world.store.notes(&told.run).await);
            assert_eq!(kept, self.oracle.notes_of(&told.run), "{told:?}");
        }
        self.trace
            .add(format!("{at} notes {}: {answer:?}", request.notes.len()));
    }
}
