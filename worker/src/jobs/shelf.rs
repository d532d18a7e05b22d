//! A store that only knows jobs, on which faults can be put: lost answers, and others that come
//! first. What it promises of `put`, `remove` and `run_now` is the store contract's.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use scheduler_core::change::Change;
use scheduler_core::store::*;
use scheduler_core::{JobId, Store, StoredJob, Timestamp, Version};
use uuid::Uuid;

/// What happens to the next request that changes something.
pub(super) enum Fault {
    /// It is done, and its answer is lost.
    LoseAnswer,
    /// It is lost, and nobody knows.
    LoseRequest,
    /// The store cannot be reached: it was not sent.
    Unreachable,
    /// Somebody else comes first.
    Meanwhile(Box<dyn FnOnce(&mut World) + Send>),
}

/// The store's clock stands still: an hour after the epoch.
pub(super) const NOW: Timestamp = Timestamp::from_ms(3_600_000);

/// What is stored.
#[derive(Default)]
pub(super) struct World {
    pub(super) jobs: BTreeMap<JobId, StoredJob>,
    pub(super) fired: HashMap<JobId, Timestamp>,
    /// Requests that were done, in order.
    pub(super) done: Vec<Uuid>,
    pub(super) faults: VecDeque<Fault>,
    answers: HashMap<Uuid, Answer>,
    sequence: u64,
}

#[derive(Clone)]
enum Answer {
    Put(Vec<Changed>),
    Remove(Changed),
    RunNow(RunNowAnswer),
}

#[derive(Clone, Default)]
pub(super) struct Shelf(pub(super) Arc<Mutex<World>>);

fn error<T>(kind: StoreErrorKind) -> StoreResult<T> {
    Err(StoreError::new(kind, "shelf", "as the test wishes"))
}

impl World {
    fn is_so(&self, expected: Option<Version>, change: &Change) -> bool {
        let stored = self.jobs.get(change.job.id());
        stored.map(|stored| stored.version) == expected
    }

    pub(super) fn write(&mut self, expected: Option<Version>, change: &Change) -> Changed {
        let id = change.job.id();
        if !self.is_so(expected, change) {
            return Changed::Conflict;
        }
        self.sequence += 1;
        let stored = StoredJob {
            job: change.job.clone(),
            version: Version(self.sequence),
            state: change.state.clone(),
            next_fire: change.next_fire,
            parked: None,
            fired: self.fired.get(id).copied(),
            in_flight: 0,
        };
        self.jobs.insert(id.clone(), stored);
        Changed::Done(Version(self.sequence))
    }

    fn act(&mut self, id: Uuid, act: impl FnOnce(&mut Self) -> Answer) -> StoreResult<Answer> {
        let fault = self.faults.pop_front();
        let lost = matches!(fault, Some(Fault::LoseAnswer));
        match fault {
            Some(Fault::LoseRequest) => return error(StoreErrorKind::Unknown),
            Some(Fault::Unreachable) => return error(StoreErrorKind::Unreachable),
            Some(Fault::Meanwhile(other)) => other(self),
            Some(Fault::LoseAnswer) | None => {}
        }
        let answer = match self.answers.get(&id) {
            Some(answer) => answer.clone(),
            None => {
                let answer = act(self);
                self.answers.insert(id, answer.clone());
                self.done.push(id);
                answer
            }
        };
        if lost {
            return error(StoreErrorKind::Unknown);
        }
        Ok(answer)
    }
}

impl Store for Shelf {
    fn detached(&self) -> Self {
        self.clone()
    }

    fn describe(&self) -> String {
        "shelf".to_owned()
    }

    async fn jobs(&self, ids: &[JobId]) -> StoreResult<Vec<JobWrite>> {
        let world = self.0.lock().unwrap();
        let read = |id| JobWrite {
            stored: world.jobs.get(id).cloned(),
            unreadable: None,
            fired: world.fired.get(id).copied(),
            now: NOW,
        };
        Ok(ids.iter().map(read).collect())
    }

    async fn job_page(&self, cursor: Option<&str>, _limit: usize) -> StoreResult<JobPage> {
        // Pages of one, each shown twice.
        let world = self.0.lock().unwrap();
        let at: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let jobs = world.jobs.values().nth(at / 2).cloned();
        let next = (at + 1 < world.jobs.len() * 2).then(|| (at + 1).to_string());
        Ok(JobPage {
            jobs: jobs.into_iter().collect(),
            unreadable: vec![("bad".to_owned(), "why".to_owned())],
            next,
        })
    }

    async fn put(&self, request: &PutJob) -> StoreResult<Vec<Changed>> {
        let mut world = self.0.lock().unwrap();
        let put = |world: &mut World| {
            let changes = request.changes.iter();
            if request.all_or_none && !changes.clone().all(|(v, change)| world.is_so(*v, change)) {
                return Answer::Put(vec![Changed::Conflict; request.changes.len()]);
            }
            Answer::Put(changes.map(|(v, change)| world.write(*v, change)).collect())
        };
        match world.act(request.request.0, put)? {
            Answer::Put(answers) => Ok(answers),
            _ => error(StoreErrorKind::Corrupt),
        }
    }

    async fn supersede(&self, _: &Supersede) -> StoreResult<Changed> {
        error(StoreErrorKind::Refused)
    }

    async fn holders(
        &self,
        keys: &[scheduler_core::UniqueKey],
    ) -> StoreResult<Vec<Option<scheduler_core::unique::Holder>>> {
        Ok(vec![None; keys.len()])
    }

    async fn remove(&self, request: &RemoveJob) -> StoreResult<Changed> {
        let mut world = self.0.lock().unwrap();
        let remove = |world: &mut World| {
            let stored = world.jobs.get(&request.job);
            let is_as_read = stored.is_some_and(|stored| {
                stored.version == request.version && stored.next_fire == request.next_fire
            });
            if !is_as_read {
                return Answer::Remove(Changed::Conflict);
            }
            world.jobs.remove(&request.job);
            Answer::Remove(Changed::Done(request.version))
        };
        match world.act(request.request.0, remove)? {
            Answer::Remove(answer) => Ok(answer),
            _ => error(StoreErrorKind::Corrupt),
        }
    }

    async fn run_now(&self, request: &RunNow) -> StoreResult<RunNowAnswer> {
        let mut world = self.0.lock().unwrap();
        let run = |world: &mut World| {
            let Some(stored) = world.jobs.get_mut(request.job.id()) else {
                return Answer::RunNow(RunNowAnswer::Conflict);
            };
            if stored.version != request.version {
                return Answer::RunNow(RunNowAnswer::Conflict);
            }
            if stored.in_flight > 0 {
                return Answer::RunNow(RunNowAnswer::Full { in_flight: 1 });
            }
            stored.in_flight = 1;
            Answer::RunNow(RunNowAnswer::Made)
        };
        match world.act(request.request.0, run)? {
            Answer::RunNow(answer) => Ok(answer),
            _ => error(StoreErrorKind::Corrupt),
        }
    }

    async fn cancel(&self, _: &Cancel) -> StoreResult<CancelAnswer> {
        error(StoreErrorKind::Refused)
    }

    async fn failed(&self, _: &FailedQuery) -> StoreResult<FailedPage> {
        error(StoreErrorKind::Refused)
    }

    async fn rerun(&self, _: &Rerun) -> StoreResult<Vec<RerunAnswer>> {
        error(StoreErrorKind::Refused)
    }

    async fn purge(&self, _: &[scheduler_core::RunId]) -> StoreResult<()> {
        error(StoreErrorKind::Refused)
    }

    async fn history(&self, _: &HistoryQuery) -> StoreResult<HistoryPage> {
        error(StoreErrorKind::Refused)
    }

    async fn in_flight(&self, _: &JobId) -> StoreResult<Vec<RunInFlight>> {
        error(StoreErrorKind::Refused)
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeView>> {
        error(StoreErrorKind::Refused)
    }

    async fn steer(&self, _: &Steer) -> StoreResult<Steered> {
        error(StoreErrorKind::Refused)
    }

    async fn queues(&self) -> StoreResult<QueueBoard> {
        error(StoreErrorKind::Refused)
    }

    async fn recall(&self, _: &Recall) -> StoreResult<Recalled> {
        error(StoreErrorKind::Refused)
    }

    async fn audit(&self, _: &scheduler_core::audit::Audit) -> StoreResult<()> {
        error(StoreErrorKind::Refused)
    }

    async fn audited(
        &self,
        _: &scheduler_core::audit::AuditQuery,
    ) -> StoreResult<scheduler_core::audit::AuditPage> {
        error(StoreErrorKind::Refused)
    }

    async fn notes(
        &self,
        _: &scheduler_core::RunId,
    ) -> StoreResult<Vec<scheduler_core::notes::RunNotes>> {
        error(StoreErrorKind::Refused)
    }

    async fn announce(&self, _: &[scheduler_core::Event]) -> StoreResult<usize> {
        Ok(0)
    }

    async fn listen(&self) -> StoreResult<scheduler_core::event::Feed> {
        error(StoreErrorKind::Refused)
    }

    async fn overview(&self) -> StoreResult<Overview> {
        // Those who change jobs ask for the clock alone.
        Ok(Overview {
            lined_up: 0,
            now: NOW,
            jobs: 0,
            scheduled: 0,
            due: 0,
            busy: 0,
            retries: 0,
            queues: Vec::new(),
            leaders: vec![None],
        })
    }
}
