//! A node's session, and the runs that it claims and hands in.

use std::sync::Arc;

use redis::Value;
use scheduler_core::store::{
    Begin, BeginAnswer, Cancelled, Definition, Exchange, ExchangeAnswer, Exchanged, Heartbeat,
    HeartbeatAnswer, MAX_CLAIMED, Register, Registered, Resync, ResyncAnswer, StoreError,
    StoreErrorKind, StoreResult,
};
use scheduler_core::{Generation, JobId, RunId, SessionId, Timestamp, Version};

use super::leading::is_word;
use super::{Call, Queues, RedisStore, ms, settling};
use crate::codec;

impl RedisStore {
    pub(super) async fn do_register(&self, request: &Register) -> StoreResult<Registered> {
        let info = serde_json::to_string(&request.info).unwrap_or_default();
        let mut call = self.call(&self.scripts().register, Some(&request.session), &[]);
        call.arg(request.session.as_str())
            .arg(ms(request.ttl))
            .arg(info);
        match call.send().await? {
            Value::Array(answer) => {
                let (now, generation, number): (i64, u64, u64) =
                    redis::from_redis_value(Value::Array(answer))
                        .map_err(|error| call.corrupt(error.to_string()))?;
                Ok(Registered {
                    now: Timestamp::from_ms(now),
                    generation: Generation(generation),
                    number,
                })
            }
            _ => {
                let message = format!("session {} was used before", request.session);
                Err(StoreError::new(
                    StoreErrorKind::Refused,
                    "register",
                    message,
                ))
            }
        }
    }

    pub(super) async fn do_heartbeat(&self, request: &Heartbeat) -> StoreResult<HeartbeatAnswer> {
        let mut call = self.call(&self.scripts().heartbeat, Some(&request.session), &[]);
        call.arg(request.session.as_str())
            .arg(request.beat)
            .arg(ms(request.ttl));
        call.arg(request.running).arg(request.generation.0);
        let answer: Value = call.send().await?;
        if is_word(&answer, "behind") {
            return Ok(HeartbeatAnswer::Behind);
        }
        if is_word(&answer, "gone") {
            return Ok(HeartbeatAnswer::Gone);
        }
        let (now, claims, marks): (i64, usize, Vec<(String, String)>) =
            redis::from_redis_value(answer).map_err(|error| call.corrupt(error.to_string()))?;
        let cancelled = marks.into_iter().filter_map(|(run, reason)| {
            let run = run.parse().ok()?;
            Some(Cancelled { run, reason })
        });
        Ok(HeartbeatAnswer::Alive {
            now: Timestamp::from_ms(now),
            claims,
            cancelled: cancelled.collect(),
        })
    }

    pub(super) async fn do_leave(&self, session: &SessionId) -> StoreResult<()> {
        let mut call = self.call(&self.scripts().leave, Some(session), &[]);
        call.arg(session.as_str());
        call.send().await
    }

    pub(super) fn exchange_call(&self, request: &Exchange) -> Call<'_> {
        let (takes, limit) = match &request.wish {
            Some(wish) => (wish.takes.as_slice(), wish.limit.min(MAX_CLAIMED)),
            None => (&[][..], 0),
        };
        // The queues to claim from come first.
        let mut queues = Queues::of(takes.iter().map(|take| &take.queue));
        let claim_from = queues.0.len();
        for queue in settling::queues_of(&request.settled) {
            queues.place(queue);
        }
        let keys = self.queue_keys(&queues);
        let mut call = self.call(&self.scripts().exchange, Some(&request.session), &keys);
        call.arg(request.session.as_str())
            .arg(request.lane)
            .arg(request.request);
        call.arg(request.floor)
            .arg(claim_from)
            .arg(limit)
            .arg(takes.len())
            .arg(request.settled.len())
            .arg(request.generation.0);
        for take in takes {
            call.arg(queues.list(&take.queue, take.priority))
                .arg(take.most);
        }
        settling::add_args(
            &mut call,
            &request.settled,
            settling::Known::Fence,
            &mut queues,
        );
        call
    }

    pub(super) async fn do_exchange(&self, request: &Exchange) -> StoreResult<ExchangeAnswer> {
        let call = self.exchange_call(request);
        // What is handed in need not be waited for: at worst it is executed again.
        let brings_claims =
            |answer: &String| exchanged(answer).is_some_and(|e| !e.claims.is_empty());
        let answer: String = call
            .send_durably(|durable| &durable.claims, brings_claims)
            .await?;
        match answer.as_str() {
            "gone" => return Ok(ExchangeAnswer::Gone),
            "superseded" => return Ok(ExchangeAnswer::Superseded),
            "behind" => return Ok(ExchangeAnswer::Behind),
            _ => {}
        }
        exchanged(&answer)
            .map(ExchangeAnswer::Exchanged)
            .ok_or_else(|| call.corrupt(format!("answer {answer:?}")))
    }

    pub(super) async fn do_begin(&self, request: &Begin) -> StoreResult<BeginAnswer> {
        let mut call = self.call(&self.scripts().begin, Some(&request.session), &[]);
        call.arg(request.session.as_str()).arg(request.generation.0);
        call.arg(request.claims.len());
        for (run, fence) in &request.claims {
            call.arg(run.to_string()).arg(fence.0);
        }
        let answer: Value = call
            .send_durably(|durable| &durable.begins, |_| true)
            .await?;
        if is_word(&answer, "gone") {
            return Ok(BeginAnswer::Gone);
        }
        if is_word(&answer, "behind") {
            return Ok(BeginAnswer::Behind);
        }
        let places: Vec<usize> =
            redis::from_redis_value(answer).map_err(|error| call.corrupt(error.to_string()))?;
        let stale = places
            .into_iter()
            .map(|place| request.claims.get(place).map(|(run, _)| run.clone()))
            .collect::<Option<_>>()
            .ok_or_else(|| call.corrupt("a place beyond the last claim"))?;
        Ok(BeginAnswer::Begun { stale })
    }

    pub(super) async fn do_resync(&self, request: &Resync) -> StoreResult<ResyncAnswer> {
        let mut call = self.call(&self.scripts().resync, Some(&request.session), &[]);
        call.arg(request.session.as_str())
            .arg(request.lane)
            .arg(request.request)
            .arg(request.generation.0);
        let answer: Value = call.send().await?;
        if is_word(&answer, "gone") {
            return Ok(ResyncAnswer::Gone);
        }
        if is_word(&answer, "behind") {
            return Ok(ResyncAnswer::Behind);
        }
        if is_word(&answer, "superseded") {
            return Ok(ResyncAnswer::Superseded);
        }
        let pairs: Vec<(String, String)> =
            redis::from_redis_value(answer).map_err(|error| call.corrupt(error.to_string()))?;
        // One that nobody can read stays where it is, until the session ends and it is set aside.
        let claims = pairs
            .into_iter()
            .filter_map(|(run, value)| codec::claim_from_text(run.parse::<RunId>().ok()?, &value))
            .collect();
        Ok(ResyncAnswer::Claims(claims))
    }

    pub(super) async fn read_definitions(
        &self,
        wanted: &[(JobId, Version)],
    ) -> StoreResult<Vec<Definition>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        // A record is only ever filed under the version that stood beside it. What is kept for runs in
        // flight is read after, where it has to be: a change between the two moves the wanted
        // definition there, and never away from there.
        let ids = wanted.iter().map(|(id, _)| id);
        let found = self.read_records("definitions", ids).await?;
        let mut records = Vec::with_capacity(wanted.len());
        let mut elsewhere = redis::cmd("HMGET");
        elsewhere.arg(self.key("old"));
        for ((id, version), current) in wanted.iter().zip(found) {
            match current {
                Some((head, record)) if head.version == *version => records.push(Some(record)),
                _ => {
                    elsewhere.arg(format!("{version} {id}"));
                    records.push(None);
                }
            }
        }
        let mut old = Vec::new();
        if records.iter().any(Option::is_none) {
            old = self.query("definitions", &elsewhere).await?;
        }
        let mut old: std::vec::IntoIter<Option<Vec<u8>>> = old.into_iter();
        let records = records
            .into_iter()
            .map(|record| record.or_else(|| old.next().flatten()));
        let definitions =
            records.map(
                |record| match record.as_deref().map(codec::job_from_record) {
                    Some(Ok(job)) => Definition::Found(Arc::new(job)),
                    Some(Err(why)) => Definition::Unreadable(why),
                    None => Definition::Gone,
                },
            );
        Ok(definitions.collect())
    }
}

/// Reads the text that an exchange answers with.
pub(super) fn exchanged(text: &str) -> Option<Exchanged> {
    let mut lines = text.split('\n');
    let (stale, claims) = lines.next()?.split_once(' ')?;
    let (stale, claims) = (stale.parse::<usize>().ok()?, claims.parse::<usize>().ok()?);
    let stale = lines
        .by_ref()
        .take(stale)
        .map(|line| line.parse::<RunId>().ok())
        .collect::<Option<Vec<_>>>()?;
    let claims: Vec<_> = lines
        .take(claims)
        .map(codec::claim_from_line)
        .collect::<Option<Vec<_>>>()?;
    Some(Exchanged { claims, stale })
}
