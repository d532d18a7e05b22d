//! Who changed what: a capped stream, with an entry per deed.

use std::collections::HashMap;

use scheduler_core::Timestamp;
use scheduler_core::audit::{Audit, AuditEntry, AuditPage, AuditQuery, Deed, KEPT};
use scheduler_core::store::{StoreError, StoreErrorKind, StoreResult};

use super::RedisStore;

/// How many entries are read at a time.
const ENTRIES: usize = 100;

/// How many entries one page looks at.
const MAX_LOOKED_AT: usize = 2_000;

impl RedisStore {
    pub(super) async fn do_audit(&self, request: &Audit) -> StoreResult<()> {
        let mut call = self.call(&self.scripts().audit, None, &[]);
        call.arg(request.request.as_text()).arg(KEPT);
        for deed in &request.deeds {
            call.arg(deed.to_line());
        }
        call.send::<i64>().await.map(drop)
    }

    pub(super) async fn read_audit(&self, query: &AuditQuery) -> StoreResult<AuditPage> {
        let mut page = AuditPage::default();
        let mut end = match &query.before {
            None => "+".to_owned(),
            Some(before) => checked_place(before)?,
        };
        let mut looked_at = 0;
        loop {
            let mut cmd = redis::cmd("XREVRANGE");
            cmd.arg(self.key("audit")).arg(&end).arg("-");
            cmd.arg("COUNT").arg(ENTRIES);
            let entries: Vec<(String, HashMap<String, String>)> =
                self.query("audited", &cmd).await?;
            let read = entries.len();
            looked_at += read;
            for (id, fields) in entries {
                let entry = entry_of(&fields).filter(|entry| query.wants(&entry.deed));
                if entry.is_some() && page.entries.len() == query.limit {
                    page.older = Some(end.trim_start_matches('(').to_owned());
                    return Ok(page);
                }
                page.entries.extend(entry);
                end = format!("({id}");
            }
            if read < ENTRIES {
                return Ok(page);
            }
            if looked_at >= MAX_LOOKED_AT {
                page.older = Some(end.trim_start_matches('(').to_owned());
                return Ok(page);
            }
        }
    }
}

/// None of what a newer version wrote otherwise.
fn entry_of(fields: &HashMap<String, String>) -> Option<AuditEntry> {
    Some(AuditEntry {
        at: Timestamp::from_ms(fields.get("at")?.parse().ok()?),
        deed: Deed::from_line(fields.get("deed")?).ok()?,
    })
}

/// Where an earlier page ended, as the end of a range that leaves it out.
fn checked_place(text: &str) -> StoreResult<String> {
    let numbers = text.split_once('-');
    let is_place = numbers
        .is_some_and(|(ms, number)| ms.parse::<u64>().is_ok() && number.parse::<u64>().is_ok());
    if is_place {
        return Ok(format!("({text}"));
    }
    let message = format!("{text:?} is no place among deeds");
    Err(StoreError::new(StoreErrorKind::Refused, "audited", message))
}
