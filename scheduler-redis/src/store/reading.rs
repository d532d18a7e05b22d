//! What people and programs read: runs in flight, nodes, numbers.

use scheduler_core::lease::LeaseToken;
use scheduler_core::store::{NodeView, Overview, QueueView, RunInFlight, RunPlace, StoreResult};
use scheduler_core::{JobId, Priority, QueueName, RunId, SessionId, Timestamp};

use super::{RedisStore, score_to_timestamp};
use crate::codec;

impl RedisStore {
    pub(super) async fn read_in_flight(&self, job: &JobId) -> StoreResult<Vec<RunInFlight>> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HGET").arg(self.key("busy")).arg(job.as_str());
        for key in ["nodes", "dead"] {
            pipeline.cmd("ZRANGE").arg(self.key(key)).arg(0).arg(-1);
        }
        type Answer = (Option<String>, Vec<String>, Vec<String>);
        let (busy, live, dead): Answer = self.shared.link.pipeline("in_flight", &pipeline).await?;
        let words = busy.unwrap_or_default();
        let named = |word: &str| format!("{job}{word}").parse().ok();
        let words = words.split_whitespace();
        let (line, runs): (Vec<&str>, Vec<&str>) =
            words.partition(|word| word.starts_with(codec::LINED_UP));
        let runs: Vec<RunId> = runs.into_iter().filter_map(named).collect();
        let line = line.iter().filter_map(|word| named(&word[1..]));
        let line = line.enumerate().map(|(before, run)| RunInFlight {
            run,
            place: RunPlace::LinedUp { before },
        });
        let sessions = live.into_iter().chain(dead);
        let sessions: Vec<SessionId> = sessions.filter_map(|s| SessionId::new(s).ok()).collect();
        if runs.is_empty() || sessions.is_empty() {
            let waiting = runs.into_iter().map(|run| RunInFlight {
                run,
                place: RunPlace::Waiting,
            });
            return Ok(waiting.chain(line).collect());
        }
        let mut pipeline = redis::pipe();
        for session in &sessions {
            pipeline
                .cmd("HMGET")
                .arg(self.session_key("claims", session))
                .arg(runs.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        let claims: Vec<Vec<Option<String>>> =
            self.shared.link.pipeline("in_flight", &pipeline).await?;
        let place = |number: usize, run: &RunId| {
            let mut held = sessions.iter().zip(&claims);
            let claim = held.find_map(|(session, claims)| {
                let text = claims.get(number)?.as_ref()?;
                Some((session, codec::claim_from_text(run.clone(), text)?))
            });
            claim.map_or(RunPlace::Waiting, |(by, claim)| RunPlace::Claimed {
                by: by.clone(),
                attempt: claim.attempt,
                fence: claim.fence,
            })
        };
        let found = runs
            .into_iter()
            .enumerate()
            .map(|(number, run)| RunInFlight {
                place: place(number, &run),
                run,
            });
        Ok(found.chain(line).collect())
    }

    pub(super) async fn read_nodes(&self) -> StoreResult<Vec<NodeView>> {
        type Scores = Vec<(String, String)>;
        let mut pipeline = redis::pipe();
        for key in ["nodes", "dead"] {
            pipeline
                .cmd("ZRANGE")
                .arg(self.key(key))
                .arg(0)
                .arg(-1)
                .arg("WITHSCORES");
        }
        let (live, dead): (Scores, Scores) = self.shared.link.pipeline("nodes", &pipeline).await?;
        let (leader, _) = self.leader_and_clock().await?;

        let sessions: Vec<(SessionId, Timestamp, bool)> = live
            .into_iter()
            .map(|node| (node, false))
            .chain(dead.into_iter().map(|node| (node, true)))
            .filter_map(|((session, score), dead)| {
                Some((
                    SessionId::new(session).ok()?,
                    score_to_timestamp(&score)?,
                    dead,
                ))
            })
            .collect();
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for (session, ..) in &sessions {
            let key = self.session_key("session", session);
            pipeline
                .cmd("HMGET")
                .arg(key)
                .arg("info")
                .arg("since")
                .arg("running");
        }
        type Told = (Option<String>, Option<String>, Option<usize>);
        let told: Vec<Told> = self.shared.link.pipeline("nodes", &pipeline).await?;
        let nodes = sessions.into_iter().zip(told).map(
            |((session, deadline, dead), (info, since, running))| NodeView {
                led: Vec::new(),
                leads: leader
                    .as_ref()
                    .is_some_and(|token| token.session == session),
                info: info.and_then(|info| serde_json::from_str(&info).ok()),
                since: since.as_deref().and_then(score_to_timestamp),
                running: running.unwrap_or(0),
                session,
                deadline,
                dead,
            },
        );
        Ok(nodes.collect())
    }

    pub(super) async fn read_overview(&self) -> StoreResult<Overview> {
        type Answer = (u64, u64, u64, u64, Vec<String>);
        let (leader, now) = self.leader_and_clock().await?;
        let mut pipeline = redis::pipe();
        pipeline.cmd("HLEN").arg(self.key("versions"));
        pipeline.cmd("ZCARD").arg(self.key("due"));
        pipeline
            .cmd("ZCOUNT")
            .arg(self.key("due"))
            .arg("-inf")
            .arg(now.as_ms());
        pipeline.cmd("ZCARD").arg(self.key("retry"));
        pipeline.cmd("SMEMBERS").arg(self.key("queues"));
        let (jobs, scheduled, due, retries, queues): Answer =
            self.shared.link.pipeline("overview", &pipeline).await?;
        let mut queues: Vec<QueueName> = queues
            .iter()
            .filter_map(|queue| QueueName::new(queue).ok())
            .collect();
        queues.sort();

        let mut pipeline = redis::pipe();
        for queue in &queues {
            for priority in Priority::ALL {
                let list = self.shared.keys.ready(queue, priority);
                pipeline.cmd("LLEN").arg(list);
            }
        }
        let lengths: Vec<u64> = if queues.is_empty() {
            Vec::new()
        } else {
            self.shared.link.pipeline("overview", &pipeline).await?
        };
        let oldest = self.oldest_waiting(&queues, &lengths).await?;
        let (mut busy, mut lined_up) = (0, 0);
        self.each_busy(|_, runs| {
            busy += codec::count_busy(Some(runs)) as u64;
            lined_up += codec::count_lined_up(runs) as u64;
        })
        .await?;
        let queues = queues
            .into_iter()
            .zip(lengths.chunks(Priority::ALL.len()))
            .zip(oldest)
            .map(|((queue, lengths), oldest)| QueueView {
                queue,
                ready: lengths.iter().sum(),
                oldest,
            })
            .collect();
        Ok(Overview {
            now,
            jobs,
            scheduled,
            due,
            busy,
            lined_up,
            retries,
            queues,
            leaders: vec![leader],
        })
    }

    /// For each queue, when the earliest of the runs should have run that are next in its lists.
    async fn oldest_waiting(
        &self,
        queues: &[QueueName],
        lengths: &[u64],
    ) -> StoreResult<Vec<Option<Timestamp>>> {
        let lists = queues.iter().enumerate().flat_map(|(place, queue)| {
            let keys = &self.shared.keys;
            Priority::ALL.map(|priority| (place, keys.ready(queue, priority)))
        });
        let waiting = lists.zip(lengths).filter(|(_, length)| **length > 0);
        let waiting: Vec<(usize, String)> = waiting.map(|(list, _)| list).collect();
        let mut oldest = vec![None; queues.len()];
        if waiting.is_empty() {
            return Ok(oldest);
        }
        let mut pipeline = redis::pipe();
        for (_, list) in &waiting {
            pipeline.cmd("LRANGE").arg(list).arg(0).arg(0);
        }
        let heads: Vec<Vec<String>> = self.shared.link.pipeline("overview", &pipeline).await?;
        for ((place, _), head) in waiting.iter().zip(heads) {
            // `<attempt> <version or -> <losses> <run>`; taken meanwhile, where there is none.
            let run = head.first().and_then(|text| text.splitn(4, ' ').nth(3));
            let run = run.and_then(|text| text.parse::<RunId>().ok());
            let at = run.map(|run| run.scheduled_at());
            let known: &mut Option<Timestamp> = &mut oldest[*place];
            *known = [*known, at].into_iter().flatten().min();
        }
        Ok(oldest)
    }

    /// Looks at the runs in flight of each job, a page of jobs at a time.
    pub(super) async fn each_busy(&self, mut look: impl FnMut(&str, &str)) -> StoreResult<()> {
        let mut cursor = 0_u64;
        loop {
            let mut cmd = redis::cmd("HSCAN");
            cmd.arg(self.key("busy"))
                .arg(cursor)
                .arg("COUNT")
                .arg(1_000);
            let (next, jobs): (u64, Vec<(String, String)>) = self.query("overview", &cmd).await?;
            jobs.iter().for_each(|(job, runs)| look(job, runs));
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Today's leader, and the clock.
    pub(super) async fn leader_and_clock(&self) -> StoreResult<(Option<LeaseToken>, Timestamp)> {
        let mut call = self.call(&self.scripts().observe, None, &[]);
        call.arg("");
        let (token, _, _, now, _, _): (String, String, String, i64, i64, String) =
            call.send().await?;
        Ok((token.parse().ok(), Timestamp::from_ms(now)))
    }
}
