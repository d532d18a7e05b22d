//! Clients that put jobs with a unique key, all with the same.

use std::time::Duration;

use scheduler_core::change::{self, Change};
use scheduler_core::store::{Changed, PutJob, Supersede};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::unique::{Holder, Unique};
use scheduler_core::{
    Job, JobDefaults, JobId, Standing, Store, StoredJob, Timestamp, UniqueKey, Version,
};

use super::walker::Walker;
use crate::conformance::{Harness, Sight, done, name};

/// Jobs that run once; the last one holds the key for a time.
pub(super) const ONCE: [&str; 3] = ["x", "y", "z"];

/// How long that is.
const HELD: Duration = Duration::from_secs(20);

fn key() -> UniqueKey {
    name("key")
}

/// Whether a run of a job that runs once is still to end.
fn is_live(stored: &StoredJob) -> bool {
    stored.in_flight > 0 || stored.standing() != Standing::Finished
}

/// Who holds the key, as answers tell.
#[derive(Debug, Default)]
pub(super) struct KeyHeld(Option<Holder>);

impl KeyHeld {
    /// Who holds it still.
    fn at(&self, sight: &Sight, now: Timestamp) -> Option<Holder> {
        let holds = |holder: &Holder| match holder.until {
            Some(until) => until > now,
            None => sight.jobs.get(&holder.job).is_some_and(is_live),
        };
        self.0.clone().filter(holds)
    }

    /// A job was put with it that was not stored before.
    fn take(&mut self, job: &Job, now: Timestamp) {
        let unique = job.unique().expect("a key");
        self.0 = Some(Holder {
            job: job.id().clone(),
            until: unique.ttl.map(|ttl| now.after(ttl)),
        });
    }

    /// A job was removed.
    pub(super) fn removed(&mut self, job: &JobId) {
        self.0.take_if(|holder| holder.job == *job);
    }
}

impl<H: Harness> Walker<H> {
    fn some_job_once(&mut self) -> Job {
        let id = ONCE[self.pick(ONCE.len())];
        let soon = Duration::from_millis(700 * self.random.u64(1..8));
        let date = self.world.now().after(soon).to_string();
        let spec = serde_json::json!({ "type": "date", "run_date": date });
        let spec: TriggerSpec = serde_json::from_value(spec).expect("a date");
        let trigger = spec.resolve(JobDefaults::default().timezone);
        let unique = Unique::new(key());
        let unique = if id == "z" {
            unique.held_for(HELD)
        } else {
            unique
        };
        let job = Job::builder(name(id), name("task"), trigger.expect("a date"));
        job.unique(Some(unique)).build()
    }

    pub(super) async fn put_once(&mut self) {
        let job = self.some_job_once();
        let read = self.world.read(job.id()).await;
        let change = match &read.stored {
            Some(stored) => change::replace(stored, job, read.now),
            None => change::put_new(job, read.fired, read.now),
        };
        let Ok(change) = change else { return };
        let expected = read.stored.map(|stored| stored.version);
        let holder = self.key_held().await.filter(|_| self.random.bool());
        match holder {
            Some(holder) => self.supersede(holder.job, expected, change).await,
            None => {
                let request = PutJob {
                    request: self.request(),
                    all_or_none: false,
                    changes: vec![(expected, change)],
                };
                if self.random.u8(0..4) == 0 {
                    return self.late.put.push(request);
                }
                self.write(&request).await;
            }
        }
    }

    /// Puts a job in the place of the one that holds its key.
    async fn supersede(&mut self, holder: JobId, expected: Option<Version>, change: Change) {
        let stored = self.world.read(&holder).await.stored;
        let removal = match stored {
            Some(_) => Some(self.world.removal(holder.as_str()).await),
            None => None,
        };
        let request = Supersede {
            request: self.request(),
            holder,
            removal,
            expected,
            change,
        };
        let answer = done(self.world.store.supersede(&request).await);
        let again = done(self.world.store.supersede(&request).await);
        assert_eq!(answer, again, "asked again");
        if let Changed::Done(version) = answer {
            self.oracle.rise(version.0);
            if let Some(removal) = &request.removal {
                let detail = removal.detail.as_deref();
                self.oracle.skipped(&removal.job, &removal.skips, detail);
            }
            self.oracle.key.removed(&request.holder);
            let change = &request.change;
            let detail = change.detail.as_deref();
            self.oracle.skipped(change.job.id(), &change.skips, detail);
            let now = self.world.now();
            self.oracle.key.take(&request.change.job, now);
        }
        self.trace.add(format!(
            "{} in the place of {}: {}",
            request.change.job.id(),
            request.holder,
            matches!(answer, Changed::Done(_))
        ));
    }

    /// A job was put, or was not, while the key was held by this one.
    pub(super) fn keyed(
        &mut self,
        (expected, change): &(Option<Version>, Change),
        held: Option<&Holder>,
        answer: Changed,
    ) {
        if change.job.unique().is_none() {
            return assert_ne!(answer, Changed::Taken);
        }
        match (answer, expected) {
            (Changed::Done(_), None) => {
                assert_eq!(held, None, "two jobs with one key");
                let now = self.world.now();
                self.oracle.key.take(&change.job, now);
            }
            (Changed::Taken, None) => assert_ne!(held, None, "a free key was refused"),
            (Changed::Taken, Some(_)) => panic!("it has the key, or had it"),
            (Changed::Done(_), Some(_)) | (Changed::Conflict, _) => {}
        }
    }

    /// Who holds the key, as answers tell; and as the store tells.
    pub(super) async fn key_held(&self) -> Option<Holder> {
        let sight = self.world.see().await;
        let held = self.oracle.key.at(&sight, self.world.now());
        let told = done(self.world.store.holders(&[key()]).await);
        assert_eq!(told, std::slice::from_ref(&held), "{sight:#?}");
        held
    }
}
