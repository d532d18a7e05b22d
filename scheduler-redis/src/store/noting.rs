//! Notes of attempts: a hash per run that ends by itself, with a field per attempt.

use std::collections::BTreeMap;

use redis::Value;
use scheduler_core::notes::{MAX_ATTEMPTS, Note, NoteAnswer, Notes, RunNotes};
use scheduler_core::store::StoreResult;
use scheduler_core::{Fence, RunId};

use super::leading::is_word;
use super::{RedisStore, ms, or_empty};

impl RedisStore {
    pub(super) async fn do_note(&self, request: &Note) -> StoreResult<NoteAnswer> {
        let keys = &self.shared.keys;
        let keys: Vec<_> = request
            .notes
            .iter()
            .map(|told| keys.notes(&told.run))
            .collect();
        let mut call = self.call(&self.scripts().note, None, &keys);
        call.arg(request.session.as_str())
            .arg(ms(request.keep).max(1))
            .arg(request.notes.len());
        for told in &request.notes {
            call.arg(told.attempt)
                .arg(told.fence.0)
                .arg(told.number)
                .arg(told.notes.to_line())
                .arg(or_empty(told.attempt.checked_sub(MAX_ATTEMPTS)));
        }
        let answer: Value = call.send().await?;
        Ok(if is_word(&answer, "gone") {
            NoteAnswer::Gone
        } else {
            NoteAnswer::Noted
        })
    }

    pub(super) async fn read_notes(&self, run: &RunId) -> StoreResult<Vec<RunNotes>> {
        let mut cmd = redis::cmd("HGETALL");
        cmd.arg(self.shared.keys.notes(run));
        let fields: BTreeMap<String, String> = self.query("notes", &cmd).await?;
        let read = fields.iter().filter_map(|(field, value)| {
            let attempt = field.strip_prefix("attempt:")?.parse().ok()?;
            notes_from_value(run, attempt, value)
        });
        let mut notes: Vec<_> = read.collect();
        notes.sort_by_key(|told| told.attempt);
        Ok(notes)
    }
}

/// `<fence> <number> <notes>`; none of what a newer version wrote otherwise.
fn notes_from_value(run: &RunId, attempt: u32, value: &str) -> Option<RunNotes> {
    let mut words = value.splitn(3, ' ');
    Some(RunNotes {
        run: run.clone(),
        attempt,
        fence: Fence(words.next()?.parse().ok()?),
        number: words.next()?.parse().ok()?,
        notes: Notes::from_line(words.next()?).ok()?,
    })
}
