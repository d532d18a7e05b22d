//! Jobs page by page, as the store holds them: however many there are, a page reads a bounded number.
//!
//! A page ends within a batch that the store gave where that holds more than was asked for. The cursor
//! says so: `<how many of it were shown>.<length of what follows>.<the last of them><batch>`. A batch that is read again
//! may be another one by then, since the store may have moved its jobs about; where more of it stand
//! before the last one than were shown, all of it is shown again. So a job that stays throughout is seen
//! at least once, as the store promises for whole batches.

use scheduler_core::store::{JobPage, StoreError, StoreErrorKind};
use scheduler_core::{JobId, Store, StoredJob, Timestamp};

use super::retry::until_known;
use super::search::{Found, Place};
use super::{JobQuery, Jobs, JobsError};

/// How many jobs one page looks at, about: of fewer matching ones, the page is shorter.
const LOOKED_AT: usize = 5_000;

/// How many jobs are read in one step.
const STEP: usize = 200;

/// A page of jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Jobs that match, no more than were asked for.
    pub jobs: Vec<StoredJob>,
    /// Ids whose record this version cannot read, and why.
    pub unreadable: Vec<(String, String)>,
    /// Where to go on; none at the end. A page may hold fewer jobs than were asked for, or none, and not
    /// be the last.
    pub next: Option<String>,
}

/// How many jobs may be stored for a page to be sorted: all of them are looked at.
pub const MOST_SORTED: usize = 100_000;

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cursor {
    /// Which batch; none for the first.
    batch: Option<String>,
    /// How many of it were shown, and the last of them.
    shown: Option<(usize, String)>,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (count, rest) = text.split_once('.')?;
        let (length, rest) = rest.split_once('.')?;
        let (count, length) = (count.parse().ok()?, length.parse().ok()?);
        let (last, batch) = (rest.get(..length)?, &rest[length..]);
        Some(Self {
            batch: (!batch.is_empty()).then(|| batch.to_owned()),
            shown: (count > 0).then(|| (count, last.to_owned())),
        })
    }

    fn text(&self) -> String {
        let batch = self.batch.as_deref().unwrap_or_default();
        let (count, last) = match &self.shown {
            None => (0, ""),
            Some((count, last)) => (*count, last.as_str()),
        };
        format!("{count}.{}.{last}{batch}", last.len())
    }

    /// How many of a batch, by id, were shown already.
    fn skipped(&self, batch: &[StoredJob]) -> usize {
        let Some((count, last)) = &self.shown else {
            return 0;
        };
        let before = batch.partition_point(|stored| stored.job.id().as_str() <= last.as_str());
        if before > *count { 0 } else { before }
    }
}

impl<S: Store> Jobs<S> {
    /// A page of jobs that a query asks for, in no particular order, from where an earlier page ended.
    /// The query's order and limit say nothing here. However many jobs there are, a bounded number is
    /// read.
    ///
    /// A job that stays throughout is seen at least once; one may be seen twice.
    ///
    /// # Errors
    ///
    /// The store could not answer; a cursor that no page gave.
    pub async fn page(
        &self,
        query: &JobQuery,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, JobsError> {
        let mut at = match cursor {
            None => Cursor::default(),
            Some(text) => Cursor::parse(text).ok_or_else(|| {
                let message = format!("{text:?} is not where a page ended");
                StoreError::new(StoreErrorKind::Refused, "job_page", message)
            })?,
        };
        let (mut page, mut looked_at) = (Page::default(), 0);
        loop {
            let step = limit.clamp(10, STEP);
            let read = until_known(|| self.store().job_page(at.batch.as_deref(), step)).await?;
            let JobPage {
                mut jobs,
                unreadable,
                next,
            } = read;
            looked_at += jobs.len();
            jobs.sort_by(|a, b| a.job.id().cmp(b.job.id()));
            let skipped = at.skipped(&jobs);
            if skipped == 0 {
                page.unreadable.extend(unreadable);
            }
            for (number, stored) in jobs.into_iter().enumerate().skip(skipped) {
                if page.jobs.len() == limit {
                    page.next = Some(at.text());
                    return Ok(page);
                }
                at.shown = Some((number + 1, stored.job.id().to_string()));
                if query.matches(&stored) {
                    page.jobs.push(stored);
                }
            }
            let Some(next) = next else {
                return Ok(page);
            };
            at = Cursor {
                batch: Some(next),
                shown: None,
            };
            if page.jobs.len() == limit || looked_at >= LOOKED_AT {
                page.next = Some(at.text());
                return Ok(page);
            }
        }
    }
}

impl<S: Store> Jobs<S> {
    /// A page of jobs in the order that a query says, from where an earlier page ended. All jobs are
    /// looked at, no more than [`MOST_SORTED`], and no more than a page of them is held.
    ///
    /// # Errors
    ///
    /// The store could not answer, or holds more jobs; a cursor that no page gave.
    pub async fn sorted_page(
        &self,
        query: &JobQuery,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, JobsError> {
        let refused = |message: String| StoreError::new(StoreErrorKind::Refused, "jobs", message);
        let after = match cursor {
            None => None,
            Some(text) => Some(
                place_of(text)
                    .ok_or_else(|| refused(format!("{text:?} is not where a page ended")))?,
            ),
        };
        let query = JobQuery {
            limit: Some(limit + 1),
            ..query.clone()
        };
        let is_past =
            |stored: &StoredJob| after.as_ref().is_some_and(|a| query.place(stored) <= *a);
        let mut found = Found::of(&query);
        let (mut at, mut looked_at): (Option<String>, _) = (None, 0);
        loop {
            let mut page = until_known(|| self.store().job_page(at.as_deref(), 500)).await?;
            looked_at += page.jobs.len();
            if looked_at > MOST_SORTED {
                let message =
                    format!("more than {MOST_SORTED} jobs are stored, which are not sorted");
                return Err(refused(message).into());
            }
            page.jobs.retain(|stored| !is_past(stored));
            found.take_in(page.jobs, page.unreadable);
            at = page.next;
            if at.is_none() {
                break;
            }
        }
        let mut list = found.into_list();
        let is_more = list.jobs.len() > limit;
        list.jobs.truncate(limit);
        let last = list.jobs.last().filter(|_| is_more);
        Ok(Page {
            next: last.map(|stored| text_of(&query.place(stored))),
            jobs: list.jobs,
            unreadable: list.unreadable,
        })
    }
}

fn text_of((next, id): &Place) -> String {
    let next = next.map(|at| at.as_ms().to_string()).unwrap_or_default();
    format!("{next}~{id}")
}

fn place_of(text: &str) -> Option<Place> {
    let (next, id) = text.split_once('~')?;
    let next = match next {
        "" => None,
        ms => Some(Timestamp::from_ms(ms.parse().ok()?)),
    };
    Some((next, JobId::new(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        for text in ["0.0.", "0.0.17", "3.4.a.~b17", "1.1.x"] {
            assert_eq!(Cursor::parse(text).unwrap().text(), text);
        }
        for text in ["", "17", "x.1.a", "1.2.a", "1.1.\u{e4}"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
