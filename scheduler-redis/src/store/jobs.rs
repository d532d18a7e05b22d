//! Jobs: reading them with all that a change needs to know, and changing them.

use scheduler_core::change::{Change, UnreadableJob};
use scheduler_core::store::{
    Changed, JobPage, JobWrite, MAX_ALL_OR_NONE, PutJob, Recall, Recalled, Recalling, RemoveJob,
    RunNow, RunNowAnswer, StoreError, StoreErrorKind, StoreResult, Supersede,
};
use scheduler_core::unique::Holder;
use scheduler_core::{JobId, JobState, Pause, RunId, StoredJob, Timestamp, UniqueKey, Version};

use super::leading::{expected, skip_lines};
use super::{
    Call, Queues, RedisStore, following, keeping, ms, optional_ms, or_empty, score_to_timestamp,
};
use crate::codec;

/// How many jobs one call of a script takes.
const BATCH: usize = 200;

/// A job's own hash: record and state, which once stood there; and of its pause: from which fire time,
/// since when, until when, by whom, and why.
type JobHash = (
    Option<Vec<u8>>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// What is stored of a job outside its hash.
struct Standing {
    version: Version,
    next_fire: Option<Timestamp>,
    parked: Option<Timestamp>,
    fired: Option<Timestamp>,
    in_flight: usize,
}

impl RedisStore {
    pub(super) async fn read_jobs(&self, ids: &[JobId]) -> StoreResult<Vec<JobWrite>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            found.extend(self.read_batch(ids).await?);
        }
        Ok(found)
    }

    async fn read_batch(&self, ids: &[JobId]) -> StoreResult<Vec<JobWrite>> {
        type Texts = Vec<Option<String>>;
        type Answer = (
            i64,
            Texts,
            Texts,
            Vec<Option<u64>>,
            Texts,
            Texts,
            Vec<Option<Vec<u8>>>,
            Vec<Option<JobHash>>,
        );
        let mut call = self.call(&self.scripts().read_jobs, None, &self.job_keys(ids));
        for id in ids {
            call.arg(id.as_str());
        }
        let (now, dues, parkeds, versions, fireds, busies, texts, hashes): Answer =
            call.send().await?;
        let now = Timestamp::from_ms(now);
        let time = |text: Option<String>| text.as_deref().and_then(score_to_timestamp);
        let times = dues.into_iter().zip(parkeds).zip(fireds);
        let records = texts.into_iter().zip(hashes);
        let jobs = times.zip(busies).zip(versions).zip(records);
        Ok(jobs
            .map(
                |(((((due, parked), fired), busy), version), (text, hash))| {
                    let fired = time(fired);
                    let read = version.map(|version| {
                        let standing = Standing {
                            version: Version(version),
                            next_fire: time(due),
                            parked: time(parked),
                            fired,
                            in_flight: codec::count_busy(busy.as_deref()),
                        };
                        stored_job(text.as_deref(), hash.unwrap_or_default(), &standing)
                    });
                    let (stored, unreadable) = match read {
                        None => (None, None),
                        Some(Ok(stored)) => (Some(stored), None),
                        Some(Err(unreadable)) => (None, Some(*unreadable)),
                    };
                    JobWrite {
                        stored,
                        unreadable,
                        fired,
                        now,
                    }
                },
            )
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
                match (job.stored, job.unreadable) {
                    (_, Some(job)) => page.unreadable.push((id.to_string(), job.why)),
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
        let step = if request.all_or_none {
            MAX_ALL_OR_NONE
        } else {
            BATCH
        };
        if request.all_or_none && request.changes.len() > step {
            let why = format!("{} jobs are more than {step}", request.changes.len());
            return Err(StoreError::new(StoreErrorKind::Refused, "put", why));
        }
        for (batch, changes) in request.changes.chunks(step).enumerate() {
            let keys = self.job_keys(changes.iter().map(|(_, change)| change.job.id()));
            let mut call = self.call(&self.scripts().put, None, &keys);
            // Each batch is a step of its own, and remembered as one.
            call.arg(format!("{}:{batch}", request.request.as_text()))
                .arg(changes.len())
                .arg(if request.all_or_none { "all" } else { "" });
            for (version, change) in changes {
                add_change(&mut call, *version, change)?;
            }
            let words: String = call.send_change().await?;
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

    pub(super) async fn do_supersede(&self, request: &Supersede) -> StoreResult<Changed> {
        let removed = request.removal.as_ref().map(|removal| &removal.job);
        let keys = self.job_keys([request.change.job.id()].into_iter().chain(removed));
        let mut call = self.call(&self.scripts().put, None, &keys);
        call.arg(request.request.as_text()).arg(1).arg("");
        add_change(&mut call, request.expected, &request.change)?;
        call.arg(request.holder.as_str());
        if let Some(removal) = &request.removal {
            add_removal(&mut call, removal);
        }
        let word: String = call.send_change().await?;
        changed(&call, &word)
    }

    pub(super) async fn read_holders(
        &self,
        keys: &[UniqueKey],
    ) -> StoreResult<Vec<Option<Holder>>> {
        let mut call = self.call(&self.scripts().holders, None, &[]);
        for key in keys {
            call.arg(key.as_str());
        }
        let found: Vec<(String, String)> = call.send().await?;
        let holders = found.into_iter().map(|(job, until)| {
            let job = JobId::new(job).ok()?;
            let until = score_to_timestamp(&until);
            Some(Holder { job, until })
        });
        Ok(holders.collect())
    }

    pub(super) async fn do_remove(&self, request: &RemoveJob) -> StoreResult<Changed> {
        let keys = self.job_keys([&request.job]);
        let mut call = self.call(&self.scripts().remove, None, &keys);
        call.arg(request.request.as_text());
        add_removal(&mut call, request);
        let word: String = call.send_change().await?;
        changed(&call, &word)
    }

    pub(super) async fn do_recall(&self, request: &Recall) -> StoreResult<Recalled> {
        let mut call = self.call(&self.scripts().recall, None, &[]);
        call.arg(request.key.as_text())
            .arg(request.by.as_text())
            .arg(&request.fingerprint);
        match &request.what {
            Recalling::Take => call.arg("take").arg(""),
            Recalling::Keep(answer) => call.arg("keep").arg(answer),
            Recalling::Free => call.arg("free").arg(""),
        };
        let words: Vec<String> = call.send().await?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let instant = |ms: &str| score_to_timestamp(ms);
        let known = match words[..] {
            ["yours", since] => instant(since).map(Recalled::Yours),
            ["pending", since] => instant(since).map(Recalled::Pending),
            ["answered", answer] => Some(Recalled::Answered(answer.to_owned())),
            ["other"] => Some(Recalled::Other),
            _ => None,
        };
        known.ok_or_else(|| call.corrupt(format!("answer {words:?}")))
    }

    pub(super) async fn do_run_now(&self, request: &RunNow) -> StoreResult<RunNowAnswer> {
        let id = request.job.id();
        let run = RunId {
            job: id.clone(),
            cause: request.cause,
        };
        let policy = request.job.policy();
        let mut queues = Queues::of([]);
        let list = queues.list(request.job.queue(), policy.priority);
        let keys = self.queue_keys(&queues);
        let mut call = self.call(&self.scripts().run_now, None, &keys);
        call.arg(request.request.as_text())
            .arg(id.as_str())
            .arg(request.version.0);
        call.arg(policy.max_instances.get())
            .arg(run.to_string())
            .arg(list);
        if request.cause.has_own_definition() {
            call.arg(codec::job_to_record(&request.job)?);
        } else {
            call.arg("");
        }
        call.arg(request.max_lined_up());
        let answer: String = call.send_change().await?;
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
        ("taken", _) => Ok(Changed::Taken),
        (_, Ok(version)) => Ok(Changed::Done(Version(version))),
        _ => Err(call.corrupt(format!("answer {word:?}"))),
    }
}

fn add_change(call: &mut Call<'_>, version: Option<Version>, change: &Change) -> StoreResult<()> {
    let job = &change.job;
    let from = match change.state {
        JobState::Active => None,
        JobState::Paused { from, .. } => from,
    };
    call.arg(job.id().as_str())
        .arg(expected(version))
        .arg(optional_ms(change.next_fire))
        .arg(codec::head_words(job, &change.state))
        .arg(codec::job_to_record(job)?)
        .arg(job.queue().as_str());
    let pause = change.state.pause();
    let kept = keeping::policy_text(&job.policy().history);
    let is_all = change.skips.is_empty() && pause.is_none() && from.is_none();
    if is_all && job.unique().is_none() && job.after().is_none() && kept.is_empty() {
        call.arg("");
        return Ok(());
    }
    call.arg("more");
    call.arg(optional_ms(change.skips.first().map(|skip| skip.first)));
    call.arg(optional_ms(change.skips.last().map(|skip| skip.last)));
    call.arg(skip_lines(
        job.id(),
        &change.skips,
        change.detail.as_deref(),
    ));
    call.arg(optional_ms(from))
        .arg(optional_ms(pause.and_then(|pause| pause.since)))
        .arg(optional_ms(pause.and_then(|pause| pause.until)));
    call.arg(
        pause
            .and_then(|pause| pause.by.as_deref())
            .unwrap_or_default(),
    );
    call.arg(
        pause
            .and_then(|pause| pause.reason.as_deref())
            .unwrap_or_default(),
    );
    match job.unique() {
        Some(unique) => call
            .arg(unique.key.as_str())
            .arg(or_empty(unique.ttl.map(ms))),
        None => call.arg("").arg(""),
    };
    call.arg(following::wish_text(job.after())).arg(kept);
    Ok(())
}

fn add_removal(call: &mut Call<'_>, request: &RemoveJob) {
    let RemoveJob { skips, detail, .. } = request;
    call.arg(request.job.as_str())
        .arg(request.version.0)
        .arg(optional_ms(request.next_fire));
    call.arg(optional_ms(skips.first().map(|skip| skip.first)));
    call.arg(optional_ms(skips.last().map(|skip| skip.last)));
    call.arg(skip_lines(&request.job, skips, detail.as_deref()));
    call.arg(optional_ms(request.next));
}

fn stored_job(
    text: Option<&[u8]>,
    (record, state, from, since, until, by, reason): JobHash,
    standing: &Standing,
) -> Result<StoredJob, Box<UnreadableJob>> {
    let (record, state) = match text.map(codec::head_and_record) {
        Some(Some((head, record))) => (Some(record), Some(head.state)),
        Some(None) => (text, None),
        None => (record.as_deref(), state),
    };
    let (state, known) = match state.as_deref() {
        Some("paused") => {
            let time = |text: Option<String>| text.as_deref().and_then(score_to_timestamp);
            let pause = Pause {
                since: time(since),
                until: time(until),
                by,
                reason,
            };
            let from = time(from);
            (JobState::Paused { from, pause }, Ok(()))
        }
        Some("active") => (JobState::Active, Ok(())),
        state => {
            let why = format!("the state {state:?} is unknown to this version");
            (JobState::Active, Err((why, state.is_some())))
        }
    };
    let job = match record {
        None => Err(("its record is gone".to_owned(), false)),
        Some(record) => known.and_then(|()| {
            codec::job_from_record(record).map_err(|why| (why, codec::is_newer(record)))
        }),
    };
    match job {
        Ok(job) => Ok(StoredJob {
            job,
            version: standing.version,
            state,
            next_fire: standing.next_fire,
            parked: standing.parked,
            fired: standing.fired,
            in_flight: standing.in_flight,
        }),
        Err((why, is_newer)) => Err(Box::new(UnreadableJob {
            version: standing.version,
            state,
            next_fire: standing.next_fire,
            why,
            is_newer,
        })),
    }
}
