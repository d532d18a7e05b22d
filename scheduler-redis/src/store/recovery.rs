//! Clearing up after dead sessions.

use scheduler_core::run::Claim;
use scheduler_core::session::SessionSample;
use scheduler_core::store::{Drain, DrainAnswer, FenceAnswer, FenceSession, StoreResult};
use scheduler_core::{RunId, SessionId};

use super::{Queues, RedisStore, settling};
use crate::codec;

/// How many dead sessions are looked at together.
const MAX_DEAD: usize = 16;

impl RedisStore {
    pub(super) async fn read_sessions(&self) -> StoreResult<Vec<SessionSample>> {
        let mut cmd = redis::cmd("HGETALL");
        cmd.arg(self.key("beats"));
        let beats: Vec<(String, String)> = self.query("sessions", &cmd).await?;
        let samples = beats.into_iter().filter_map(|(session, text)| {
            let (beat, ttl) = text.split_once(' ')?;
            Some(SessionSample {
                session: SessionId::new(session).ok()?,
                beat: beat.parse().ok()?,
                ttl: std::time::Duration::from_millis(ttl.split(' ').next()?.parse().ok()?),
            })
        });
        Ok(samples.collect())
    }

    pub(super) async fn do_fence_session(
        &self,
        request: &FenceSession,
    ) -> StoreResult<FenceAnswer> {
        let mut call = self.call(&self.scripts().fence_session, Some(&request.session), &[]);
        call.arg(request.session.as_str()).arg(request.beat);
        let answer: String = call.send().await?;
        match answer.as_str() {
            "fenced" => Ok(FenceAnswer::Fenced),
            "alive" => Ok(FenceAnswer::Alive),
            "unknown" => Ok(FenceAnswer::Unknown),
            _ => Err(call.corrupt(format!("answer {answer:?}"))),
        }
    }

    pub(super) async fn read_dead_claims(
        &self,
        limit: usize,
    ) -> StoreResult<Vec<(SessionId, Vec<Claim>)>> {
        let mut cmd = redis::cmd("ZRANGE");
        cmd.arg(self.key("dead")).arg(0).arg(MAX_DEAD - 1);
        let sessions: Vec<String> = self.query("dead_claims", &cmd).await?;
        let mut dead = Vec::with_capacity(sessions.len());
        let mut left = limit;
        for session in sessions {
            let Ok(session) = SessionId::new(&session) else {
                self.set_session_aside(&session).await?;
                continue;
            };
            let mut cmd = redis::cmd("HSCAN");
            cmd.arg(self.session_key("claims", &session))
                .arg(0)
                .arg("COUNT")
                .arg(left.max(1));
            let (_, pairs): (u64, Vec<(String, String)>) = self.query("dead_claims", &cmd).await?;
            let mut claims = Vec::with_capacity(pairs.len().min(left));
            for (run, value) in pairs.into_iter().take(left) {
                let claim = run
                    .parse::<RunId>()
                    .ok()
                    .and_then(|run| codec::claim_from_text(run, &value));
                match claim {
                    Some(claim) => claims.push(claim),
                    // It must not keep the others from being settled.
                    None => self.set_claim_aside(&session, &run, &value).await?,
                }
            }
            left -= claims.len();
            dead.push((session, claims));
            if left == 0 {
                break;
            }
        }
        Ok(dead)
    }

    /// Moves a dead session with a name that none can have to `parked`: it must not stand before the
    /// others for ever.
    async fn set_session_aside(&self, session: &str) -> StoreResult<()> {
        tracing::error!(session, "a dead session that is none: parked");
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline.cmd("ZREM").arg(self.key("dead")).arg(session);
        pipeline
            .cmd("ZADD")
            .arg(self.key("parked"))
            .arg(0)
            .arg(session);
        self.shared
            .link
            .pipeline::<redis::Value>("set_aside", &pipeline)
            .await
            .map(drop)
    }

    /// Moves a claim that nobody can read to `parked`.
    async fn set_claim_aside(
        &self,
        session: &SessionId,
        run: &str,
        value: &str,
    ) -> StoreResult<()> {
        tracing::error!(%session, run, value, "a claim that nobody can read: parked");
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline
            .cmd("HDEL")
            .arg(self.session_key("claims", session))
            .arg(run);
        pipeline
            .cmd("ZADD")
            .arg(self.key("parked"))
            .arg(0)
            .arg(format!("{value} {run}"));
        self.shared
            .link
            .pipeline::<redis::Value>("set_aside", &pipeline)
            .await
            .map(drop)
    }

    pub(super) async fn do_drain(&self, request: &Drain) -> StoreResult<DrainAnswer> {
        let mut queues = Queues::of(settling::queues_of(&request.items));
        let keys = self.queue_keys(&queues);
        let mut call = self.call(&self.scripts().drain, Some(&request.session), &keys);
        call.arg(request.session.as_str()).arg(request.items.len());
        settling::add_args(
            &mut call,
            &request.items,
            settling::Known::Claim,
            &mut queues,
        );
        Ok(DrainAnswer {
            left: call.send().await?,
        })
    }
}
