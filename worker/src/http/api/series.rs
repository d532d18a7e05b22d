//! Numbers over time, counted out of history.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use scheduler_core::history::Record;
use scheduler_core::store::{HistoryEntry, HistoryQuery};
use scheduler_core::{Store, Timestamp, duration};

use super::asked::{Asked, Params};
use super::problem::Problem;
use crate::http::app::App;
use crate::wire::{Bucket, Lateness, SeriesView};

/// How many stretches one request may ask for.
const MOST_BUCKETS: i64 = 1_000;

/// How many records one request looks at, about.
const LOOKED_AT: usize = 20_000;

/// How many records are read in one step.
const STEP: usize = 1_000;

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// What may be asked for.
pub(super) const ASKED: [&str; 4] = ["since", "until", "bucket", "job"];

/// Which stretches: in milliseconds, the ends at multiples of a bucket.
struct Stretches {
    since: i64,
    until: i64,
    bucket: i64,
}

impl Stretches {
    fn read(params: &Params, now: Timestamp) -> Result<Self, Problem> {
        let bucket = match params.text("bucket")? {
            None => MINUTE,
            Some(text) => {
                let bucket =
                    duration::parse(text).map_err(|rule| Problem::field("bucket", rule))?;
                let seconds = i64::try_from(bucket.as_secs()).unwrap_or(i64::MAX);
                if !(1..=366 * 24 * 3600).contains(&seconds) || bucket.subsec_nanos() != 0 {
                    let rule = format!("{text:?} is out of range: whole seconds, 1s to 366d");
                    return Err(Problem::field("bucket", rule));
                }
                seconds * 1000
            }
        };
        let until = params.instant("until")?.unwrap_or(now).as_ms();
        let since = params.instant("since")?;
        let since = since.map_or_else(|| until.saturating_sub(HOUR.max(bucket)), Timestamp::as_ms);
        if since >= until {
            return Err(Problem::field("since", "does not lie before until"));
        }
        let since = since.div_euclid(bucket) * bucket;
        let until = (until - 1)
            .div_euclid(bucket)
            .saturating_add(1)
            .saturating_mul(bucket);
        let count = (until - since) / bucket;
        if count > MOST_BUCKETS {
            let rule = format!("{count} buckets are too many: at most {MOST_BUCKETS}");
            return Err(Problem::field("bucket", rule));
        }
        Ok(Self {
            since,
            until,
            bucket,
        })
    }

    fn index(&self, at: Timestamp) -> Option<usize> {
        let is_in = (self.since..self.until).contains(&at.as_ms());
        let index = usize::try_from((at.as_ms() - self.since) / self.bucket);
        index.ok().filter(|_| is_in)
    }

    fn count(&self) -> usize {
        usize::try_from((self.until - self.since) / self.bucket).unwrap_or(0)
    }
}

/// What is counted of one stretch.
#[derive(Clone, Default)]
struct Tally {
    runs: u64,
    skipped: u64,
    outcomes: BTreeMap<String, u64>,
    late: Vec<u64>,
    took: Vec<u64>,
}

impl Tally {
    fn add(&mut self, entry: &HistoryEntry) {
        let ms =
            |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let count = match &entry.record {
            Record::Run(run) => {
                self.runs += 1;
                self.late.extend(run.late().map(ms));
                self.took.extend(run.took().map(ms));
                1
            }
            Record::Skip(skip) => {
                self.skipped = self.skipped.saturating_add(skip.count);
                skip.count
            }
        };
        let counted = self.outcomes.entry(entry.record.word().to_owned());
        let counted = counted.or_default();
        *counted = counted.saturating_add(count);
    }

    fn bucket(mut self, at: Timestamp) -> Bucket {
        Bucket {
            at: at.to_string(),
            runs: self.runs,
            skipped: self.skipped,
            outcomes: self.outcomes,
            lateness: Lateness::of(&mut self.late),
            duration: Lateness::of(&mut self.took),
        }
    }
}

pub(super) async fn series<S: Store>(
    State(app): State<App<S>>,
    asked: Asked,
) -> Result<Json<SeriesView>, Problem> {
    let params = Params::read(asked, &ASKED)?;
    let stretches = Stretches::read(&params, app.jobs().now().await?)?;
    let mut query = HistoryQuery {
        job: params.parsed("job")?,
        since: Some(Timestamp::from_ms(stretches.since)),
        until: Some(Timestamp::from_ms(stretches.until - 1)),
        limit: STEP,
        ..HistoryQuery::default()
    };
    let mut tallies = vec![Tally::default(); stretches.count()];
    let (mut looked_at, mut steps, mut oldest) = (0, 0, stretches.until);
    loop {
        let page = app.store().history(&query).await?;
        for entry in &page.entries {
            oldest = oldest.min(entry.at.as_ms());
            if let Some(tally) = stretches.index(entry.at).and_then(|i| tallies.get_mut(i)) {
                tally.add(entry);
            }
        }
        looked_at += page.entries.len();
        steps += 1;
        query.before = page.older;
        // A step that finds nothing has looked at much, too.
        if query.before.is_none() || looked_at >= LOOKED_AT || steps >= 2 * LOOKED_AT / STEP {
            break;
        }
    }
    let complete = query.before.is_none();
    let counted_from = if complete { stretches.since } else { oldest };
    let shown = |ms: i64| Timestamp::from_ms(ms).to_string();
    let buckets = (0..).zip(tallies).map(|(index, tally): (i64, Tally)| {
        let at = stretches.since + index * stretches.bucket;
        tally.bucket(Timestamp::from_ms(at))
    });
    Ok(Json(SeriesView {
        since: shown(stretches.since),
        until: shown(stretches.until),
        bucket: u64::try_from(stretches.bucket / 1000).unwrap_or(0),
        counted_from: shown(counted_from),
        complete,
        buckets: buckets.collect(),
    }))
}
