//! What queues keep to.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::lease::LeaseToken;
use scheduler_core::queue::{Hold, HoldNote, QueueLimits, QueueState, Rate, SetBy};
use scheduler_core::store::{QueueBoard, Steer, Steered, Steering, StoreResult};
use scheduler_core::{JobId, Priority, QueueName, Timestamp};

use super::{Queues, RedisStore};
use crate::codec;

/// The field of `gates` that is the namespace's. No queue is called so.
const NAMESPACE: &str = "*";

/// A line of `gates`: `<state> <concurrency> <runs> <per ms> <set by> <since> <note>`.
#[derive(Debug, Default)]
pub(super) struct Gate {
    limits: QueueLimits,
    set_by: Option<SetBy>,
    pub(super) hold: Option<Hold>,
}

impl Gate {
    /// Reads what it can: people may have written it.
    pub(super) fn read(line: &str) -> Self {
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let rate = || {
            let per = Duration::from_millis(word(3).parse().ok()?);
            Rate::new(word(2).parse().ok()?, per).ok()
        };
        let hold = || Hold {
            since: Timestamp::from_ms(word(5).parse().unwrap_or_default()),
            note: serde_json::from_str(word(6)).unwrap_or_default(),
        };
        Self {
            limits: QueueLimits {
                concurrency: word(1).parse::<NonZeroU32>().ok(),
                rate: rate(),
            },
            set_by: match word(4) {
                "config" => Some(SetBy::Config),
                "operator" => Some(SetBy::Operator),
                _ => None,
            },
            hold: (word(0) == "paused").then(hold),
        }
    }
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl RedisStore {
    pub(super) async fn do_steer(&self, request: &Steer) -> StoreResult<Steered> {
        let queue = match &request.what {
            Steering::Limit { queue, .. } | Steering::Unlimit(queue) => Some(queue),
            Steering::Pause(queue, _) | Steering::Resume(queue) => queue.as_ref(),
        };
        let keys = self.queue_keys(&Queues::of(queue));
        let mut call = self.call(&self.scripts().steer, None, &keys);
        call.arg(request.request.as_text())
            .arg(queue.map_or(NAMESPACE, QueueName::as_str));
        match &request.what {
            Steering::Limit { limits, by, .. } => {
                call.arg("limit").arg(or_dash(limits.concurrency));
                call.arg(or_dash(limits.rate.map(Rate::runs)))
                    .arg(or_dash(limits.rate.map(Rate::per_ms)));
                call.arg(match by {
                    SetBy::Config => "config",
                    SetBy::Operator => "operator",
                })
            }
            Steering::Unlimit(_) => call.arg("unlimit"),
            Steering::Pause(_, note) => call.arg("pause").arg(note_text(note)),
            Steering::Resume(_) => call.arg("resume"),
        };
        let answer: String = call.send_change().await?;
        match answer.as_str() {
            "done" => Ok(Steered::Done),
            "already" => Ok(Steered::Already),
            "kept" => Ok(Steered::Kept),
            _ => Err(call.corrupt(format!("answer {answer:?}"))),
        }
    }

    pub(super) async fn read_queues(&self) -> StoreResult<QueueBoard> {
        type Answer = (
            Vec<String>,
            BTreeMap<String, String>,
            BTreeMap<String, String>,
        );
        let mut pipeline = redis::pipe();
        pipeline.cmd("SMEMBERS").arg(self.key("queues"));
        pipeline.cmd("HGETALL").arg(self.key("gates"));
        pipeline.cmd("HGETALL").arg(self.key("inuse"));
        let (named, gates, in_use): Answer = self.shared.link.pipeline("queues", &pipeline).await?;
        let named = named.iter().filter_map(|name| QueueName::new(name).ok());
        let gated = gates.keys().filter_map(|name| QueueName::new(name).ok());
        let names: BTreeSet<QueueName> = named.chain(gated).collect();

        let mut pipeline = redis::pipe();
        for queue in &names {
            for priority in Priority::ALL {
                let list = self.shared.keys.ready(queue, priority);
                pipeline.cmd("LLEN").arg(list);
            }
        }
        let lengths: Vec<u64> = if names.is_empty() {
            Vec::new()
        } else {
            self.shared.link.pipeline("queues", &pipeline).await?
        };
        let lined_up = self.lined_up_by_queue().await?;
        let state = |(queue, waiting): (QueueName, &[u64; 3])| {
            let gate = gates.get(queue.as_str());
            let gate = gate.map(|line| Gate::read(line)).unwrap_or_default();
            let in_use = in_use.get(queue.as_str());
            QueueState {
                limits: gate.limits,
                set_by: gate.set_by,
                hold: gate.hold,
                waiting: *waiting,
                in_use: in_use.and_then(|n| n.parse().ok()).unwrap_or_default(),
                lined_up: lined_up.get(queue.as_str()).copied().unwrap_or_default(),
                queue,
            }
        };
        let (lengths, _) = lengths.as_chunks::<3>();
        let hold = gates.get(NAMESPACE).and_then(|line| Gate::read(line).hold);
        Ok(QueueBoard {
            hold,
            queues: names.into_iter().zip(lengths).map(state).collect(),
        })
    }

    /// How many runs are lined up that go to each queue. They are in none yet: their jobs say where
    /// they would go now.
    async fn lined_up_by_queue(&self) -> StoreResult<BTreeMap<String, u64>> {
        let mut lined_up = Vec::new();
        self.each_busy(|job, runs| {
            let count = codec::count_lined_up(runs) as u64;
            if let (1.., Ok(job)) = (count, JobId::new(job)) {
                lined_up.push((job, count));
            }
        })
        .await?;
        let mut found = BTreeMap::new();
        for some in lined_up.chunks(500) {
            let records = self.read_records("queues", some.iter().map(|(job, _)| job));
            for (record, (_, count)) in records.await?.into_iter().zip(some) {
                let queue = record.map(|(head, _)| head.queue);
                *found.entry(queue.unwrap_or_default()).or_default() += count;
            }
        }
        Ok(found)
    }

    /// Counts claims anew where the count cannot be right.
    pub(crate) async fn recount(&self, token: Option<&LeaseToken>) -> StoreResult<()> {
        let mut pipeline = redis::pipe();
        for key in ["nodes", "dead"] {
            pipeline.cmd("ZRANGE").arg(self.key(key)).arg(0).arg(-1);
        }
        let (live, dead): (Vec<String>, Vec<String>) =
            self.shared.link.pipeline("recount", &pipeline).await?;
        let sessions = live.iter().chain(&dead);
        let keys: Vec<String> = sessions
            .filter_map(|session| scheduler_core::SessionId::new(session).ok())
            .map(|session| self.session_key("claims", &session))
            .collect();
        let mut call = self.call(&self.scripts().recount, None, &keys);
        call.arg(token.map(ToString::to_string).unwrap_or_default());
        call.send().await
    }
}

fn note_text(note: &HoldNote) -> String {
    serde_json::to_string(note).unwrap_or_default()
}
