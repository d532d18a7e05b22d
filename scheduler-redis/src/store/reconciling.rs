//! What a session tells a store that lost its latest writes, as the script takes it.

use redis::Value;
use scheduler_core::run::{Claim, WaitingRun};
use scheduler_core::store::{MAX_NAMED, Part, Reconcile, ReconcileAnswer, StoreResult};
use scheduler_core::{Cause, Generation, SessionId};

use super::{Call, Queues, RedisStore, ms, optional_ms};
use crate::codec;

/// How many attempts back a run is looked for among those that wait for their next one.
const ATTEMPTS_BACK: u32 = 3;

impl RedisStore {
    pub(super) async fn do_reconcile(&self, request: &Reconcile) -> StoreResult<ReconcileAnswer> {
        let mut others: Vec<SessionId> = Vec::new();
        loop {
            let call = self.reconciliation(request, &others);
            let corrupt = |what: &str| call.corrupt(format!("answer {what}"));
            let answer: Vec<Value> = call.send().await?;
            let mut answer = answer.into_iter();
            let word: String = redis::from_redis_value(answer.next().unwrap_or(Value::Nil))
                .map_err(|error| corrupt(&error.to_string()))?;
            let rest: Vec<Value> = answer.collect();
            match (word.as_str(), &rest[..]) {
                ("gone", []) => return Ok(ReconcileAnswer::Gone),
                ("name", [sessions]) => {
                    let sessions: Vec<String> = redis::from_redis_value_ref(sessions)
                        .map_err(|error| corrupt(&error.to_string()))?;
                    let known = others.len();
                    for session in sessions.iter().filter_map(|s| SessionId::new(s).ok()) {
                        if !others.contains(&session) {
                            others.push(session);
                        }
                    }
                    if others.len() == known {
                        return Err(corrupt("that asks for what it was given"));
                    }
                }
                ("done", [generation, over]) => {
                    let read = || -> Result<(u64, Vec<usize>), redis::ParsingError> {
                        let generation = redis::from_redis_value_ref(generation)?;
                        Ok((generation, redis::from_redis_value_ref(over)?))
                    };
                    let (generation, over) = read().map_err(|error| corrupt(&error.to_string()))?;
                    let over = over.into_iter().map(|place| request.claims.get(place));
                    let over = over.map(|claim| claim.map(|claim| claim.fence));
                    let over: Option<Vec<_>> = over.collect();
                    return Ok(ReconcileAnswer::Reconciled {
                        generation: Generation(generation),
                        over: over.ok_or_else(|| corrupt("with a place beyond the last claim"))?,
                    });
                }
                _ => return Err(corrupt(&word)),
            }
        }
    }

    fn reconciliation(&self, request: &Reconcile, others: &[SessionId]) -> Call<'_> {
        let mut queues = Queues::of(request.claims.iter().map(|claim| &claim.queue));
        let mut keys = self.queue_keys(&queues);
        keys.extend(others.iter().map(|other| self.session_key("claims", other)));
        let script = &self.scripts().reconcile;
        let mut call = self.call(script, Some(&request.session), &keys);
        call.arg(request.session.as_str())
            .arg(request.generation.0)
            .arg(request.number)
            .arg(request.floor)
            .arg(ms(request.ttl))
            .arg(serde_json::to_string(&request.info).unwrap_or_default())
            .arg(match request.part {
                Part::More => "more",
                Part::Last => "last",
            })
            .arg(queues.0.len());
        call.arg(others.len());
        for other in others {
            call.arg(other.as_str());
        }
        let claims = &request.claims[..request.claims.len().min(MAX_NAMED)];
        call.arg(claims.len());
        for claim in claims {
            let list = queues.list(&claim.queue, claim.priority);
            add_claim(&mut call, claim, list);
        }
        call
    }
}

fn add_claim(call: &mut Call<'_>, claim: &Claim, list: usize) {
    let run = claim.run.to_string();
    let job = claim.run.job.as_str();
    let word = run.strip_prefix(job).unwrap_or_default();
    let fire = match claim.run.cause {
        Cause::Fire(at) => Some(at),
        Cause::Request(_) => None,
    };
    call.arg(&run).arg(job).arg(word);
    call.arg(optional_ms(fire))
        .arg(claim.fence.0)
        .arg(codec::claim_text(claim))
        .arg(list)
        .arg(codec::ready_text(&claimed_from(claim)));
    let members = may_wait_as(claim);
    call.arg(members.len());
    for member in members {
        call.arg(codec::retry_text(&claim.queue, &member));
    }
}

/// As what the run waited that was claimed so.
fn claimed_from(claim: &Claim) -> WaitingRun {
    WaitingRun {
        version: (!claim.fresh).then_some(claim.version),
        ..claim.waiting(claim.attempt, claim.losses)
    }
}

/// As what the run may wait for its next attempt in a store that does not know of this claim.
fn may_wait_as(claim: &Claim) -> Vec<WaitingRun> {
    let mut all = Vec::new();
    let attempts = claim.attempt.saturating_sub(ATTEMPTS_BACK).max(1)..=claim.attempt;
    for attempt in attempts.rev() {
        for losses in claim.losses.saturating_sub(1)..=claim.losses {
            let bound = claim.waiting(attempt, losses);
            all.push(WaitingRun {
                version: None,
                ..bound.clone()
            });
            all.push(bound);
        }
    }
    all
}
