//! Reading history: the stream of all jobs, and what is kept of one job beyond it.

use std::collections::HashMap;

use scheduler_core::history::Record;
use scheduler_core::store::{
    HistoryEntry, HistoryPage, HistoryQuery, StoreError, StoreErrorKind, StoreResult,
};
use scheduler_core::{JobId, Timestamp};

use super::keeping::{Bounds, Place};
use super::{RedisStore, score_to_timestamp};

/// A packed entry of the history stream: its id, and its fields.
type Entry = (String, HashMap<String, String>);

/// How many packed entries, or kept records of one job, are read at a time.
const ENTRIES: usize = 100;

/// How many records a packed entry holds where much is going on.
const PACKED: usize = 25;

/// How many packed entries, and kept records of one job, one page looks at.
const MAX_LOOKED_AT: usize = 1_000;

/// Reading back from the newest record: the page so far, and where it stands.
struct Reading<'a> {
    query: &'a HistoryQuery,
    bounds: Bounds,
    place: Place,
    page: HistoryPage,
}

impl Reading<'_> {
    /// Looks at a record, the `nth` of the entry at hand. Whether the page ends before it.
    fn ends_before(&mut self, nth: usize, entry: HistoryEntry) -> bool {
        let is_its = self.query.job.as_ref() == Some(entry.record.job());
        if is_its && !self.bounds.keep(self.place.newer, entry.at) {
            self.page.cut = Some(entry.at);
            return true;
        }
        self.place.left = nth;
        if self.page.entries.len() == self.query.limit {
            self.page.older = Some(self.place.to_string());
            return true;
        }
        self.place.left = nth - 1;
        self.place.newer += usize::from(is_its);
        if self.query.wants(&entry) {
            self.page.entries.push(entry);
        }
        false
    }
}

impl RedisStore {
    pub(super) async fn read_history(&self, query: &HistoryQuery) -> StoreResult<HistoryPage> {
        let page = HistoryPage {
            entries: Vec::new(),
            position: String::new(),
            older: None,
            cut: None,
        };
        if let Some(after) = &query.after {
            return self.history_after(query, after, page).await;
        }
        let mut reading = Reading {
            query,
            bounds: match &query.job {
                Some(job) => self.history_bounds(job).await?,
                None => Bounds::default(),
            },
            place: match &query.before {
                Some(before) => before.parse()?,
                None => Place::default(),
            },
            page,
        };
        let is_over = self.read_stream(&mut reading).await?;
        if let Some(job) = query.job.as_ref().filter(|_| !is_over)
            && reading.bounds.go_beyond()
        {
            self.read_kept(job, &mut reading).await?;
        }
        if reading.page.position.is_empty() {
            "0-0".clone_into(&mut reading.page.position);
        }
        Ok(reading.page)
    }

    /// Whole packed entries, oldest first, until there are enough records: so that the position
    /// always lies between two entries.
    async fn history_after(
        &self,
        query: &HistoryQuery,
        after: &str,
        mut page: HistoryPage,
    ) -> StoreResult<HistoryPage> {
        after.clone_into(&mut page.position);
        // Onward from a record, the rest of its entry comes first.
        let (mut begin, mut seen) = match after.split_once('/') {
            None => (format!("({after}"), None),
            Some((id, nth)) => (id.to_owned(), Some((id, nth_of(after, nth)?))),
        };
        let mut looked_at = 0;
        while page.entries.len() < query.limit && looked_at < MAX_LOOKED_AT {
            let mut cmd = redis::cmd("XRANGE");
            cmd.arg(self.key("history")).arg(&begin).arg("+");
            cmd.arg("COUNT").arg(ENTRIES);
            let entries: Vec<Entry> = self.query("history", &cmd).await?;
            let end = entries.len() < ENTRIES;
            looked_at += entries.len();
            for (id, fields) in entries {
                let seen = seen.take().filter(|(entry, _)| *entry == id);
                let seen = seen.map_or(0, |(_, nth)| nth);
                let found = records(&id, &fields).filter(|line| line.nth > seen);
                let found = found.filter_map(|line| line.read());
                page.entries
                    .extend(found.filter(|entry| query.wants(entry)));
                begin = format!("({id}");
                page.position = id;
                if page.entries.len() >= query.limit {
                    break;
                }
            }
            if end {
                break;
            }
        }
        Ok(page)
    }

    /// Reads the stream back from where the reading stands. Whether that was all of the page; if not,
    /// the stream has come to its end.
    async fn read_stream(&self, reading: &mut Reading<'_>) -> StoreResult<bool> {
        // An entry may hold hundreds of records: few are read at first, and no more of its lines than
        // the page has room for.
        let (mut count, mut looked_at) = ((reading.query.limit / PACKED).clamp(1, 4), 0);
        loop {
            let mut cmd = redis::cmd("XREVRANGE");
            cmd.arg(self.key("history"))
                .arg(reading.place.end_of_stream())
                .arg("-")
                .arg("COUNT")
                .arg(count);
            let entries: Vec<Entry> = self.query("history", &cmd).await?;
            let read = entries.len();
            looked_at += read;
            for (id, fields) in entries {
                if reading.page.position.is_empty() {
                    reading.page.position.clone_from(&id);
                }
                let packed: Vec<_> = records(&id, &fields).collect();
                if !packed.is_empty() && reading.query.is_past(written_at(&id, &fields)) {
                    return Ok(true);
                }
                reading.place.enter(&id);
                for line in packed.iter().rev() {
                    if line.nth > reading.place.left {
                        continue;
                    }
                    let Some(entry) = line.read() else {
                        continue;
                    };
                    if reading.ends_before(line.nth, entry) {
                        return Ok(true);
                    }
                }
                reading.place.left = 0;
            }
            if read < count {
                return Ok(false);
            }
            if looked_at >= MAX_LOOKED_AT {
                reading.page.older = Some(reading.place.to_string());
                return Ok(true);
            }
            count = (count * 2).min(ENTRIES);
        }
    }

    /// Reads on in what is kept of the job alone.
    async fn read_kept(&self, job: &JobId, reading: &mut Reading<'_>) -> StoreResult<()> {
        let mut looked_at = 0;
        loop {
            let mut cmd = redis::cmd("ZRANGE");
            cmd.arg(self.key("kept"))
                .arg(reading.place.end_of_kept(job))
                .arg(format!("[{job}\t"));
            cmd.arg("BYLEX").arg("REV").arg("LIMIT").arg(0).arg(ENTRIES);
            let members: Vec<String> = self.query("history", &cmd).await?;
            let read = members.len();
            looked_at += read;
            for member in members {
                let Some((id, nth, rest)) = Place::of_kept(&member) else {
                    continue;
                };
                reading.place.enter(&id);
                let Some(entry) = kept_entry(rest) else {
                    reading.place.left = nth - 1;
                    continue;
                };
                if reading.query.is_past(entry.at) || reading.ends_before(nth, entry) {
                    return Ok(());
                }
            }
            if read < ENTRIES {
                return Ok(());
            }
            if looked_at >= MAX_LOOKED_AT {
                reading.page.older = Some(reading.place.to_string());
                return Ok(());
            }
        }
    }
}

/// When an entry was written, by the scripts' clock; its id never goes back, even where the clock does.
fn written_at(id: &str, fields: &HashMap<String, String>) -> Timestamp {
    let at = fields.get("at").map_or(id, String::as_str);
    let at = at.split('-').next().and_then(score_to_timestamp);
    at.unwrap_or(Timestamp::EPOCH)
}

/// A record of a packed entry, as it stands there.
struct Line<'a> {
    id: &'a str,
    at: Timestamp,
    /// Its place in the entry, from 1.
    nth: usize,
    text: &'a str,
}

impl Line<'_> {
    /// The record; none where this version cannot read it.
    fn read(&self) -> Option<HistoryEntry> {
        entry(format!("{}/{}", self.id, self.nth), self.at, self.text)
    }
}

/// The records of a packed entry, oldest first.
fn records<'a>(
    id: &'a str,
    fields: &'a HashMap<String, String>,
) -> impl Iterator<Item = Line<'a>> + 'a {
    let at = written_at(id, fields);
    fields
        .get("records")
        .into_iter()
        .flat_map(|packed| packed.split('\n'))
        .filter(|line| !line.is_empty())
        .zip(1..)
        .map(move |(text, nth)| Line { id, at, nth, text })
}

fn entry(position: String, at: Timestamp, line: &str) -> Option<HistoryEntry> {
    let record = Record::from_line(line).ok()?;
    Some(HistoryEntry {
        position,
        at,
        record,
    })
}

/// The place of a record in its entry.
fn nth_of(position: &str, nth: &str) -> StoreResult<usize> {
    nth.parse().map_err(|_| {
        let message = format!("{position:?} is no position of this history");
        StoreError::new(StoreErrorKind::Refused, "history", message)
    })
}

/// A record that is kept of one job: `<when written> TAB <record>`.
fn kept_entry(text: &str) -> Option<HistoryEntry> {
    let (at, line) = text.split_once('\t')?;
    entry(String::new(), score_to_timestamp(at)?, line)
}
