//! Runs that follow runs.

use std::collections::BTreeMap;

use scheduler_core::after::{After, Cursor, Follow, Follower, On, Position, Trail, TrailEntry};
use scheduler_core::history::Record;
use scheduler_core::store::{FollowAnswer, FollowUp, StoreError, StoreErrorKind, StoreResult};
use scheduler_core::{JobId, Timestamp};

use super::{Queues, RedisStore};

type Lines = BTreeMap<String, String>;

/// An entry of the history stream: its id, and its fields.
type Entry = (String, BTreeMap<String, String>);

impl RedisStore {
    pub(super) async fn read_trail(&self, limit: usize) -> StoreResult<Trail> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg(self.key("followed"));
        pipeline.cmd("HGETALL").arg(self.key("followers"));
        let (cursor, lines): (Option<String>, Lines) =
            self.shared.link.pipeline("trail", &pipeline).await?;
        let cursor: Option<Cursor> = match cursor.map(|text| text.parse()) {
            None => None,
            Some(Ok(cursor)) => Some(cursor),
            Some(Err(error)) => {
                let message = format!("the key followed: {error}");
                return Err(StoreError::new(StoreErrorKind::Corrupt, "trail", message));
            }
        };
        let known = lines
            .iter()
            .filter_map(|(job, line)| line_from_text(job, line));
        let Some(first) = known.map(|(_, since, _)| since).min() else {
            return Ok(Trail {
                cursor,
                is_all: true,
                ..Trail::default()
            });
        };
        let (from, is_open) = match &cursor {
            Some(cursor) if cursor.at > first => (cursor.at, cursor.within.is_none()),
            _ => (first, true),
        };
        let mut cmd = redis::cmd("XRANGE");
        let open = if is_open { "(" } else { "" };
        cmd.arg(self.key("history"))
            .arg(format!("{open}{from}"))
            .arg("+");
        cmd.arg("COUNT").arg(limit);
        let entries: Vec<Entry> = self.query("trail", &cmd).await?;
        Ok(Trail {
            cursor,
            is_all: entries.len() < limit,
            entries: entries.into_iter().filter_map(trail_entry).collect(),
            // Now, not before: nobody may be missing who began before one of these ends.
            followers: self.read_followers().await?,
        })
    }

    async fn read_followers(&self) -> StoreResult<Vec<Follower>> {
        let mut cmd = redis::cmd("HGETALL");
        cmd.arg(self.key("followers"));
        let lines: Lines = self.query("trail", &cmd).await?;
        let known = lines
            .iter()
            .filter_map(|(job, line)| line_from_text(job, line));
        let known: Vec<_> = known.collect();
        let mut followers = Vec::with_capacity(known.len());
        for some in known.chunks(500) {
            let found = self.read_records("trail", some.iter().map(|(job, ..)| job));
            for ((job, since, after), found) in some.iter().zip(found.await?) {
                // One that is gone, or not there yet, follows nobody.
                followers.extend(found.map(|(head, _)| Follower {
                    job: job.clone(),
                    version: head.version,
                    after: after.clone(),
                    since: *since,
                    is_paused: head.state == "paused",
                }));
            }
        }
        Ok(followers)
    }

    pub(super) async fn do_follow(&self, request: &FollowUp) -> StoreResult<FollowAnswer> {
        let mut queues = Queues::of(request.items.iter().map(|item| &item.queue));
        let keys = self.queue_keys(&queues);
        let mut call = self.call(&self.scripts().follow, None, &keys);
        let from = request.from.as_ref().map(ToString::to_string);
        call.arg(request.token.to_string())
            .arg(from.unwrap_or_default())
            .arg(request.to.to_string())
            .arg(request.items.len());
        for item in &request.items {
            let (run, skip) = match &item.follow {
                Follow::Run(run, full) => (run.to_string(), full),
                Follow::Skip(skip) => (String::new(), skip),
            };
            call.arg(item.job.as_str()).arg(item.version.0).arg(run);
            call.arg(queues.list(&item.queue, item.priority))
                .arg(item.max_instances)
                .arg(item.max_lined_up)
                .arg(Record::Skip(skip.clone()).to_line());
        }
        let answer: String = call.send().await?;
        match answer.as_str() {
            "followed" => Ok(FollowAnswer::Followed),
            "changed" => Ok(FollowAnswer::Changed),
            "lost" => Ok(FollowAnswer::LeaseLost),
            _ => Err(call.corrupt(format!("answer {answer:?}"))),
        }
    }
}

/// Whom a job follows, as scripts take it.
pub(super) fn wish_text(after: Option<&After>) -> String {
    after.map_or_else(String::new, |after| {
        format!("{} {}", after.on.as_str(), after.job)
    })
}

/// A line of `followers`: `<since> <success, failure or any> <job>`.
fn line_from_text(job: &str, line: &str) -> Option<(JobId, Position, After)> {
    let mut words = line.splitn(3, ' ');
    let since = words.next()?.parse().ok()?;
    let on: On = words.next()?.parse().ok()?;
    let after = After {
        job: words.next()?.parse().ok()?,
        on,
    };
    Some((job.parse().ok()?, since, after))
}

fn trail_entry((id, fields): Entry) -> Option<TrailEntry> {
    let position: Position = id.parse().ok()?;
    let at = fields.get("at").and_then(|at| at.parse().ok());
    let at = at.unwrap_or_else(|| i64::try_from(position.0).unwrap_or(i64::MAX));
    let lines = fields.get("records").map_or("", String::as_str).lines();
    let records =
        lines
            .enumerate()
            .filter_map(|(index, line)| match Record::from_line(line).ok()? {
                Record::Run(record) => Some((index, record)),
                Record::Skip(_) => None,
            });
    Some(TrailEntry {
        position,
        at: Timestamp::from_ms(at),
        records: records.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_with_blanks_in_their_names_follow_and_are_followed() {
        let after = After {
            job: "a b  c".parse().unwrap(),
            on: On::Any,
        };
        let line = format!("5-7 {}", wish_text(Some(&after)));
        let (job, since, read) = line_from_text("x y", &line).unwrap();
        assert_eq!((job.as_str(), since, read), ("x y", Position(5, 7), after));
    }
}
