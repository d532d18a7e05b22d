//! Definitions by job and version: what the leader plans with and the executor executes.
//!
//! A version never changes what it stands for, so nothing cached is ever stale; it is only no
//! longer asked for. The cache holds two generations: the young one fills, then becomes the old
//! one, and what nobody asked for meanwhile is forgotten with the generation before it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use scheduler_core::store::{Definition, StoreResult};
use scheduler_core::{Job, JobId, Shard, Version};

use crate::node::link::Link;

/// How many definitions one generation holds. Where more jobs than two of them fire in turn, each fire
/// asks for its definition anew.
const GENERATION: usize = 50_000;

/// How many definitions one call asks for.
const PER_CALL: usize = 500;

/// What was found for a job and a version.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    Found(Arc<Job>),
    Gone,
    Unreadable(String),
}

/// A cache before a store.
#[derive(Debug)]
pub(crate) struct Definitions<S> {
    link: Link<S>,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<(JobId, Version), Arc<Job>>,
    old: HashMap<(JobId, Version), Arc<Job>>,
}

impl Generations {
    fn get(&mut self, key: &(JobId, Version)) -> Option<Arc<Job>> {
        if let Some(job) = self.young.get(key) {
            return Some(Arc::clone(job));
        }
        let (key, job) = self.old.remove_entry(key)?;
        self.insert(key, Arc::clone(&job));
        Some(job)
    }

    fn insert(&mut self, key: (JobId, Version), job: Arc<Job>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, job);
    }
}

impl<S: Shard> Definitions<S> {
    pub(crate) fn new(link: Link<S>) -> Self {
        Self {
            link,
            generations: Mutex::default(),
        }
    }

    /// The definition, if it is at hand.
    pub(crate) fn cached(&self, key: &(JobId, Version)) -> Option<Arc<Job>> {
        self.lock().get(key)
    }

    /// The definitions of these versions, in order; those that are not at hand by as few calls as
    /// possible.
    pub(crate) async fn look_up(&self, wanted: &[(JobId, Version)]) -> StoreResult<Vec<Lookup>> {
        let (mut found, missing) = self.look_at_hand(wanted);
        for missing in missing.chunks(PER_CALL) {
            let keys: Vec<_> = missing.iter().map(|&at| wanted[at].clone()).collect();
            let answer = self.link.store.definitions(&keys);
            let definitions = self.link.ask("definitions", answer).await?;
            let mut generations = self.lock();
            for ((at, key), definition) in missing.iter().zip(keys).zip(definitions) {
                found[*at] = match definition {
                    Definition::Found(job) => {
                        generations.insert(key, Arc::clone(&job));
                        Lookup::Found(job)
                    }
                    Definition::Gone => Lookup::Gone,
                    Definition::Unreadable(why) => Lookup::Unreadable(why),
                };
            }
        }
        Ok(found)
    }

    /// What is at hand, and the indexes of what is not.
    fn look_at_hand(&self, wanted: &[(JobId, Version)]) -> (Vec<Lookup>, Vec<usize>) {
        let mut missing = Vec::new();
        let mut generations = self.lock();
        let found = wanted
            .iter()
            .enumerate()
            .map(|(at, key)| {
                generations.get(key).map_or_else(
                    || {
                        missing.push(at);
                        Lookup::Gone
                    },
                    Lookup::Found,
                )
            })
            .collect();
        (found, missing)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str) -> Arc<Job> {
        let job = serde_json::json!({
            "id": id, "task": "t", "trigger": { "type": "interval", "seconds": 1 },
        });
        let spec: scheduler_core::JobSpec = serde_json::from_value(job).unwrap();
        Arc::new(
            spec.resolve(&scheduler_core::JobDefaults::default())
                .unwrap(),
        )
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let mut generations = Generations::default();
        let job = job("a");
        let key = |n: usize| (JobId::new(format!("job {n}")).unwrap(), Version(1));
        for n in 0..GENERATION * 5 {
            generations.insert(key(n), Arc::clone(&job));
            assert!(generations.get(&key(0)).is_some(), "asked for at {n}");
        }
        assert!(generations.get(&key(1)).is_none());
        assert!(generations.young.len() + generations.old.len() <= GENERATION * 2);
    }
}
