//! The lease, and what its holder does.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::lease::{LeaseToken, LeaseView, Presence, Proof, Steal};
use scheduler_core::plan::Skip;
use scheduler_core::store::{
    Acquire, AcquireAnswer, Admit, DueJob, DueRetry, Opening, Park, Peek, PeekAnswer, Peeked,
    Promote, Retire, StoreError, StoreErrorKind, StoreResult, Tidy, TidyAnswer,
};
use scheduler_core::{JobId, SessionId, Timestamp, Version};

use super::queueing::Gate;
use super::{Call, Queues, RedisStore, ms, or_empty, score_to_timestamp};
use crate::attendance::Attendant;
use crate::codec;

/// The records of skipped fire times, one a line.
pub(super) fn skip_lines(job: &JobId, skips: &[Skip], detail: Option<&str>) -> String {
    let lines: Vec<_> = skips
        .iter()
        .map(|skip| SkipRecord::new(job.clone(), skip).with_detail(detail))
        .map(|record| Record::Skip(record).to_line())
        .collect();
    lines.join("\n")
}

/// The job ids among these members of a sorted set; the others are noted as strange.
fn job_ids(
    key: &'static str,
    members: Vec<String>,
    strange: &mut Vec<(&'static str, String, String)>,
) -> Vec<JobId> {
    let read = |member: String| {
        let id = JobId::new(&member).ok();
        if id.is_none() {
            strange.push((key, member, "0".to_owned()));
        }
        id
    };
    members.into_iter().filter_map(read).collect()
}

fn token_from(call: &Call<'_>, text: &str) -> Result<LeaseToken, StoreError> {
    text.parse()
        .map_err(|error| call.corrupt(format!("the lease: {error}")))
}

impl RedisStore {
    pub(super) async fn do_observe(&self, session: &SessionId) -> StoreResult<LeaseView> {
        let mut call = self.call(&self.scripts().observe, None, &[]);
        call.arg(session.as_str());
        let (token, beat, head, now, rank, there): (String, u64, String, i64, i64, String) =
            call.send().await?;
        let token = if token.is_empty() {
            None
        } else {
            Some(token_from(&call, &token)?)
        };
        Ok(LeaseView {
            token,
            beat,
            presence: match there.as_str() {
                "here" => Presence::Here,
                "gone" => Presence::Gone,
                _ => Presence::Unknown,
            },
            next_due: score_to_timestamp(&head),
            now: Timestamp::from_ms(now),
            rank: usize::try_from(rank).ok(),
        })
    }

    pub(super) async fn do_acquire(&self, request: &Acquire) -> StoreResult<AcquireAnswer> {
        let mut call = self.call(&self.scripts().acquire, None, &[]);
        call.arg(request.session.as_str())
            .arg(ms(request.ttl))
            .arg(request.floor);
        match &request.steal {
            Some(Steal {
                token,
                proof: Proof::StoodStill { beat },
            }) => call.arg(token.to_string()).arg(*beat),
            Some(Steal {
                token,
                proof: Proof::Gone,
            }) => call.arg(token.to_string()).arg("gone"),
            None => call.arg("").arg(""),
        };
        let answer: Vec<String> = call.send().await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["acquired", token] => {
                let token = token_from(&call, token)?;
                self.attend(&token);
                Ok(AcquireAnswer::Acquired(token))
            }
            ["held", token] => Ok(AcquireAnswer::Held(token_from(&call, token)?)),
            ["gone"] => Ok(AcquireAnswer::Gone),
            ["early", left] => {
                let left = left
                    .parse()
                    .map_err(|_| call.corrupt("a time that is none"))?;
                Ok(AcquireAnswer::Early(Duration::from_millis(left)))
            }
            _ => Err(call.corrupt(format!("answer {answer:?}"))),
        }
    }

    pub(super) async fn do_release(&self, token: &LeaseToken) -> StoreResult<()> {
        let mut call = self.call(&self.scripts().release, None, &[]);
        call.arg(token.to_string());
        call.send::<()>().await?;
        self.shared.attendance.end();
        Ok(())
    }

    /// Keeps a subscription for as long as this process holds the lease.
    fn attend(&self, token: &LeaseToken) {
        let shared = &self.shared;
        self.shared.attendance.begin(token, || Attendant {
            server: shared.server.clone(),
            scripts: Arc::clone(&shared.scripts),
            keys: shared.keys.clone(),
            link: shared.link.clone(),
            token: token.clone(),
        });
    }

    pub(super) async fn do_peek(&self, request: &Peek) -> StoreResult<PeekAnswer> {
        if let Some(known) = self.shared.versions.changed()
            && let Some(answer) = self.peek_knowing(request, &known).await?
        {
            return Ok(answer);
        }
        let told = self.peek_knowing(request, "").await?;
        let missing = || StoreError::new(StoreErrorKind::Corrupt, "peek", "versions are missing");
        told.ok_or_else(missing)
    }

    /// Peeks, without being told versions while `changed` is as it was; none where one would have had to be
    /// told.
    async fn peek_knowing(&self, request: &Peek, known: &str) -> StoreResult<Option<PeekAnswer>> {
        type Answer = (
            i64,
            (Vec<String>, Vec<String>),
            Vec<Option<String>>,
            Vec<usize>,
            String,
            Vec<(String, String)>,
            String,
            Vec<String>,
            Vec<String>,
            String,
            String,
            (Vec<String>, Vec<Option<u64>>, bool, bool, String),
        );

        let queues = Queues::of(&request.queues);
        let mut call = self.call(&self.scripts().peek, None, &self.queue_keys(&queues));
        call.arg(request.token.to_string()).arg(ms(request.ttl));
        call.arg(request.limit.min(500)).arg(queues.0.len());
        call.arg(known).arg(ms(request.ahead));
        let answer: Value = call.send().await?;
        if is_word(&answer, "lost") {
            self.shared.attendance.end();
            return Ok(Some(PeekAnswer::LeaseLost));
        }
        let (
            now,
            (jobs, scores),
            versions,
            in_flight,
            next_due,
            retries,
            next_retry,
            finished,
            resumes,
            next_resume,
            gate,
            (openings, open_versions, follows, is_busy, changed),
        ): Answer =
            redis::from_redis_value(answer).map_err(|error| call.corrupt(error.to_string()))?;
        let Some(versions) = self.shared.versions.of(&changed, &jobs, versions) else {
            return Ok(None);
        };

        // Entries that are none of ours must not keep the leader from the rest: set them aside.
        let mut strange = Vec::new();
        let mut due_jobs = Vec::with_capacity(jobs.len());
        for (i, ((job, version), in_flight)) in
            jobs.into_iter().zip(versions).zip(in_flight).enumerate()
        {
            let score = scores.get(i).or(scores.first());
            let score = score.cloned().unwrap_or_default();
            match (JobId::new(&job), score_to_timestamp(&score), version) {
                (Ok(job), Some(due), Some(version)) => {
                    due_jobs.push(DueJob {
                        job,
                        due,
                        version,
                        in_flight,
                    });
                }
                _ => strange.push(("due", job, score)),
            }
        }
        let mut due_retries = Vec::with_capacity(retries.len());
        for (member, score) in retries {
            match (codec::retry_from_text(&member), score_to_timestamp(&score)) {
                (Some((queue, waiting)), Some(not_before)) => {
                    due_retries.push(DueRetry {
                        queue,
                        waiting,
                        not_before,
                    });
                }
                _ => strange.push(("retry", member, score)),
            }
        }
        let mut open_jobs = Vec::with_capacity(openings.len());
        for (job, version) in openings.into_iter().zip(open_versions) {
            match JobId::new(&job) {
                Ok(job) => open_jobs.push(Opening {
                    job,
                    version: Version(version.unwrap_or_default()),
                }),
                Err(_) => strange.push(("openings", job, "0".to_owned())),
            }
        }
        let finished = job_ids("finished", finished, &mut strange);
        let resumes = job_ids("resume", resumes, &mut strange);
        self.set_aside(&strange).await?;
        Ok(Some(PeekAnswer::Peeked(Peeked {
            now: Timestamp::from_ms(now),
            due: due_jobs,
            next_due: score_to_timestamp(&next_due),
            hold: Gate::read(&gate).hold,
            retries: due_retries,
            next_retry: score_to_timestamp(&next_retry),
            openings: open_jobs,
            finished,
            resumes,
            next_resume: score_to_timestamp(&next_resume),
            follows,
            is_busy,
        })))
    }

    /// Moves members of sorted sets that nobody can read to `parked`.
    async fn set_aside(&self, strange: &[(&'static str, String, String)]) -> StoreResult<()> {
        if strange.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for (key, member, score) in strange {
            tracing::error!(key, member, "an entry that nobody can read: parked");
            pipeline.cmd("ZREM").arg(self.key(key)).arg(member);
            pipeline
                .cmd("ZADD")
                .arg(self.key("parked"))
                .arg(score)
                .arg(member);
        }
        self.shared
            .link
            .pipeline::<Value>("set_aside", &pipeline)
            .await
            .map(drop)
    }

    pub(super) async fn do_admit(&self, request: &Admit) -> StoreResult<bool> {
        let mut queues = Queues::of(request.items.iter().map(|item| &item.queue));
        let mut call = self.call(&self.scripts().admit, None, &self.queue_keys(&queues));
        call.arg(request.token.to_string()).arg(request.items.len());
        for item in &request.items {
            call.arg(item.job.as_str())
                .arg(item.version.0)
                .arg(item.max_instances)
                .arg(queues.list(&item.queue, item.priority));
        }
        call.send().await
    }

    pub(super) async fn do_promote(&self, request: &Promote) -> StoreResult<bool> {
        let mut queues = Queues::of(request.retries.iter().map(|retry| &retry.queue));
        let mut call = self.call(&self.scripts().promote, None, &self.queue_keys(&queues));
        call.arg(request.token.to_string())
            .arg(request.retries.len());
        for retry in &request.retries {
            call.arg(codec::retry_text(&retry.queue, &retry.waiting));
            call.arg(retry.not_before.as_ms())
                .arg(queues.list(&retry.queue, retry.waiting.priority));
            call.arg(codec::ready_text(&retry.waiting));
        }
        call.send().await
    }

    pub(super) async fn do_park(&self, request: &Park) -> StoreResult<bool> {
        let mut call = self.call(&self.scripts().park, None, &[]);
        call.arg(request.token.to_string()).arg(request.jobs.len());
        for item in &request.jobs {
            let version = Some(item.version).filter(|version| version.0 != 0);
            let record = SkipRecord::parked(item.job.clone(), item.due, item.reason.clone());
            call.arg(item.job.as_str())
                .arg(item.due.as_ms())
                .arg(expected(version));
            call.arg(Record::Skip(record).to_line());
        }
        call.send().await
    }

    pub(super) async fn do_retire(&self, request: &Retire) -> StoreResult<bool> {
        let keys = self.job_keys(&request.jobs);
        let mut call = self.call(&self.scripts().retire, None, &keys);
        call.arg(request.token.to_string()).arg(request.jobs.len());
        for job in &request.jobs {
            call.arg(job.as_str());
        }
        call.send().await
    }

    pub(super) async fn do_tidy(&self, request: &Tidy) -> StoreResult<TidyAnswer> {
        let mut call = self.call(&self.scripts().tidy, None, &[]);
        call.arg(request.token.to_string())
            .arg(request.keep_history);
        call.arg(ms(request.keep_requests))
            .arg(ms(request.keep_fired));
        call.arg(
            request
                .keep_history_for
                .map(|keep| ms(keep).to_string())
                .unwrap_or_default(),
        );
        call.arg(request.keep_failed)
            .arg(ms(request.keep_failed_for));
        let done = call.send::<i64>().await?;
        if done == 1 {
            self.recount(Some(&request.token)).await?;
        }
        match done {
            0 => Ok(TidyAnswer::LeaseLost),
            1 => Ok(TidyAnswer::Done),
            2 => Ok(TidyAnswer::More),
            other => Err(call.corrupt(format!("{other} is no answer"))),
        }
    }
}

/// Whether an answer is this word instead of a list.
pub(super) fn is_word(answer: &Value, word: &str) -> bool {
    match answer {
        Value::BulkString(bytes) => bytes == word.as_bytes(),
        Value::SimpleString(text) => text == word,
        _ => false,
    }
}

/// The version that must still be stored, as scripts take it.
pub(super) fn expected(version: Option<Version>) -> String {
    or_empty(version)
}
