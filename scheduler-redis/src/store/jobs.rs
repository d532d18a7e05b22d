//! Jobs: reading them with all that a change needs to know, and changing them.

use scheduler_core::change::Change;
use scheduler_core::store::{
    Changed, JobPage, JobWrite, PutJob, RemoveJob, RunNow, RunNowAnswer, StoreError,
    StoreErrorKind, StoreResult,
};
use scheduler_core::{JobId, JobState, RunId, StoredJob, Timestamp, Version};

use super::leading::{expected, skip_lines};
use super::{Call, Queues, RedisStore, optional_ms, score_to_timestamp};
use crate::codec;

/// How many jobs one call of a script takes.
const BATCH: usize = 200;

/// A job's hash: record, version, state, where its pause began.
type JobHash = (Option<Vec<u8>>, Option<u64>, Option<String>, Option<String>);

/// What is stored of a job outside its hash.
struct Standing {
    next_fire: Option<Timestamp>,
    parked: Option<Timestamp>,
    fired: Option<Timestamp>,
    in_flight: usize,
}

/// One job as read: the job, or why it cannot be read.
struct ReadJob {
    write: JobWrite,
    unreadable: Option<String>,
}

impl RedisStore {
    pub(super) async fn read_jobs(&self, ids: &[JobId]) -> StoreResult<Vec<JobWrite>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            for (id, job) in ids.iter().zip(self.read_batch(ids).await?) {
                if let Some(why) = job.unreadable {
                    let message = format!("job {:?}: {why}", id.as_str());
                    return Err(StoreError::new(StoreErrorKind::Corrupt, "jobs", message));
                }
                found.push(job.write);
            }
        }
        Ok(found)
    }

    async fn read_batch(&self, ids: &[JobId]) -> StoreResult<Vec<ReadJob>> {
        type Answer = (
            i64,
            Vec<Option<String>>,
            Vec<Option<String>>,
            Vec<Option<String>>,
            Vec<Option<String>>,
            Vec<JobHash>,
        );
        let mut call = self.call(&self.scripts().read_jobs, None, &self.job_keys(ids));
        for id in ids {
            call.arg(id.as_str());
        }
        let (now, dues, parkeds, fireds, busies, hashes): Answer = call.send().await?;
        let now = Timestamp::from_ms(now);
        let time = |text: Option<String>| text.as_deref().and_then(score_to_timestamp);
        let jobs = dues.into_iter().zip(parkeds).zip(fireds).zip(busies);
        let jobs = jobs.zip(hashes);
        Ok(jobs
            .map(|((((due, parked), fired), busy), hash)| {
                let fired = time(fired);
                let standing = Standing {
                    next_fire: time(due),
                    parked: time(parked),
                    fired,
                    in_flight: codec::count_busy(busy.as_deref()),
                };
                let (stored, unreadable) = match stored_job(hash, &standing) {
                    Ok(stored) => (stored, None),
                    Err(why) => (None, Some(why)),
                };
                ReadJob {
                    write: JobWrite { stored, fired, now },
                    unreadable,
                }
            })
            .collect())
    }

    pub(super) async fn read_job_page(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<JobPage> {
        let mut cmd = redis::cmd("HSCAN");
        cmd.arg(self.key("versions"))
            .arg(cursor.unwrap_or("0"))
            .arg("COUNT")
            .arg(limit.max(1));
        let (next, ids): (String, Vec<(String, u64)>) = self.query("job_page", &cmd).await?;
        let mut page = JobPage {
            jobs: Vec::with_capacity(ids.len()),
            unreadable: Vec::new(),
            next: (next != "0").then_some(next),
        };
        let mut readable = Vec::with_capacity(ids.len());
        for (id, _) in ids {
            match JobId::new(&id) {
                Ok(id) => readable.push(id),
                Err(error) => page.unreadable.push((id, error.to_string())),
            }
        }
        for ids in readable.chunks(BATCH) {
            for (id, job) in ids.iter().zip(self.read_batch(ids).await?) {
                match (job.write.stored, job.unreadable) {
                    (_, Some(why)) => page.unreadable.push((id.to_string(), why)),
                    (Some(stored), None) => page.jobs.push(stored),
                    // Removed since the scan.
                    (None, None) => {}
                }
            }
        }
        Ok(page)
    }

    pub(super) async fn do_put(&self, request: &PutJob) -> StoreResult<Vec<Changed>> {
        let mut answers = Vec::with_capacity(request.changes.len());
        for (batch, changes) in request.changes.chunks(BATCH).enumerate() {
            let keys = self.job_keys(changes.iter().map(|(_, change)| change.job.id()));
            let mut call = self.call(&self.scripts().put, None, &keys);
            // Each batch is a step of its own, and remembered as one.
            call.arg(format!("{}:{batch}", request.request.as_text()))
                .arg(changes.len());
            for (version, change) in changes {
                add_change(&mut call, *version, change)?;
            }
            let words: String = call.send().await?;
            let before = answers.len();
            for word in words.split(' ') {
                answers.push(changed(&call, word)?);
            }
            if answers.len() - before != changes.len() {
                return Err(call.corrupt(format!("answer {words:?}")));
            }
        }
        Ok(answers)
    }

    pub(super) async fn do_remove(&self, request: &RemoveJob) -> StoreResult<Changed> {
        let keys = self.job_keys([&request.job]);
        let mut call = self.call(&self.scripts().remove, None, &keys);
        call.arg(request.request.as_text())
            .arg(request.job.as_str())
            .arg(request.version.0);
        call.arg(optional_ms(request.next_fire));
        call.arg(optional_ms(request.skips.first().map(|skip| skip.first)));
        call.arg(optional_ms(request.skips.last().map(|skip| skip.last)));
        call.arg(skip_lines(&request.job, &request.skips));
        let word: String = call.send().await?;
        changed(&call, &word)
    }

    pub(super) async fn do_run_now(&self, request: &RunNow) -> StoreResult<RunNowAnswer> {
        let id = request.job.id();
        let run = RunId::request(id.clone(), request.request.0);
        let keys = self.queue_keys(&Queues::of([request.job.queue()]));
        let mut call = self.call(&self.scripts().run_now, None, &keys);
        call.arg(request.request.as_text())
            .arg(id.as_str())
            .arg(request.version.0);
        call.arg(request.job.policy().max_instances.get())
            .arg(run.to_string());
        let answer: String = call.send().await?;
        match answer.split_once(' ') {
            None if answer == "made" => Ok(RunNowAnswer::Made),
            None if answer == "conflict" => Ok(RunNowAnswer::Conflict),
            Some(("full", number)) if number.parse::<usize>().is_ok() => Ok(RunNowAnswer::Full {
                in_flight: number.parse().unwrap_or_default(),
            }),
            _ => Err(call.corrupt(format!("answer {answer:?}"))),
        }
    }
}

fn changed(call: &Call<'_>, word: &str) -> StoreResult<Changed> {
    match (word, word.parse()) {
        ("conflict", _) => Ok(Changed::Conflict),
        (_, Ok(version)) => Ok(Changed::Done(Version(version))),
        _ => Err(call.corrupt(format!("answer {word:?}"))),
    }
}

fn add_change(call: &mut Call<'_>, version: Option<Version>, change: &Change) -> StoreResult<()> {
    let job = &change.job;
    let (state, from) = match change.state {
        JobState::Active => ("active", None),
        JobState::Paused { from } => ("paused", from),
    };
    call.arg(job.id().as_str())
        .arg(expected(version))
        .arg(optional_ms(change.next_fire));
    call.arg(optional_ms(change.skips.first().map(|skip| skip.first)));
    call.arg(optional_ms(change.skips.last().map(|skip| skip.last)));
    call.arg(skip_lines(job.id(), &change.skips))
        .arg(state)
        .arg(optional_ms(from));
    call.arg(codec::job_to_record(job)?)
        .arg(job.name())
        .arg(job.task().as_str());
    call.arg(job.trigger().to_string())
        .arg(job.queue().as_str());
    Ok(())
}

fn stored_job(
    (record, version, state, paused_from): JobHash,
    standing: &Standing,
) -> Result<Option<StoredJob>, String> {
    let (Some(record), Some(version)) = (record, version) else {
        return Ok(None);
    };
    let job = codec::job_from_record(&record)?;
    let state = match state.as_deref() {
        Some("active") => JobState::Active,
        Some("paused") => JobState::Paused {
            from: paused_from.as_deref().and_then(score_to_timestamp),
        },
        state => return Err(format!("the state {state:?} is unknown to this version")),
    };
    Ok(Some(StoredJob {
        job,
        version: Version(version),
        state,
        next_fire: standing.next_fire,
        parked: standing.parked,
        fired: standing.fired,
        in_flight: standing.in_flight,
    }))
}
