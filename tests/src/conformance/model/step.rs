//! One step: what a node, a leader, a sweeper or a client might do next.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::change::{self, Change, JobState};
use scheduler_core::plan::Skip;
use scheduler_core::policy::{Coalesce, Grace, OnLost};
use scheduler_core::run::{Claim, Ending, Verdict};
use scheduler_core::store::{
    Acquire, AcquireAnswer, Changed, Dispatch, DispatchAnswer, Drain, ExchangeAnswer, FenceSession,
    HeartbeatAnswer, PeekAnswer, Promote, PutJob, RemoveJob, ResyncAnswer, Retire, RunNow,
    RunNowAnswer, Settled,
};
use scheduler_core::{Job, JobId, RunId, Store, StoredJob, Timestamp};

use super::walker::{Walker, Walking};
use crate::conformance::{Harness, Node, done, job, name, peek, settled_as};

/// The jobs of a walk.
pub(super) const JOBS: [&str; 3] = ["a", "b", "c"];

const MAX_NODES: usize = 4;

impl<H: Harness> Walker<H> {
    pub(super) async fn step(&mut self) {
        match self.random.u32(0..100) {
            0..15 => self.pass_time().await,
            15..20 => self.register().await,
            20..25 => self.heartbeat().await,
            25..32 => self.acquire().await,
            32..50 => self.lead().await,
            50..68 => self.exchange().await,
            68..72 => self.ask_again().await,
            72..75 => self.resync().await,
            75..80 => self.sweep().await,
            80..88 => self.put().await,
            88..91 => self.remove().await,
            91..95 => self.run_now().await,
            _ => self.arrive_late().await,
        }
    }

    async fn pass_time(&mut self) {
        let now = self.world.now();
        let to = match self.random.u64(0..10) {
            0 => now.before(Duration::from_secs(3)),
            1 => now.after(Duration::from_secs(45)),
            step => now.after(Duration::from_millis(step * 700)),
        };
        self.trace.add(format!("the clock goes from {now} to {to}"));
        self.world.set_clock(to).await;
    }

    async fn register(&mut self) {
        if self.nodes.len() == MAX_NODES {
            let leaving = self.pick(MAX_NODES);
            let walking = self.nodes.remove(leaving);
            self.trace
                .add(format!("{} leaves", walking.node.session.node()));
            done(self.world.store.leave(&walking.node.session).await);
        }
        let node = Node {
            session: self.session(),
            request: 0,
            beat: 0,
        };
        self.trace.add(format!("{} registers", node.session.node()));
        done(self.world.store.register(&node.register()).await);
        self.nodes.push(Walking {
            node,
            claims: Vec::new(),
            last: None,
            past: None,
        });
    }

    fn pick_node(&mut self) -> Option<usize> {
        let count = self.nodes.len();
        (count > 0).then(|| self.pick(count))
    }

    async fn heartbeat(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let request = self.nodes[at].node.heartbeat();
        let answer = done(self.world.store.heartbeat(&request).await);
        self.trace.add(format!("heartbeat of {at}: {answer:?}"));
        if answer == HeartbeatAnswer::Gone {
            self.nodes.remove(at);
        }
    }

    async fn acquire(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let node = self.nodes[at].node.clone();
        let view = done(self.world.store.observe(&node.session).await);
        let held = view.token.clone();
        let steal = view.token.map(|token| (token, view.beat));
        let request = Acquire {
            ttl: Duration::from_secs(30),
            steal: steal.filter(|_| self.random.bool()),
            floor: 0,
            ..node.acquire()
        };
        let answer = done(self.world.store.acquire(&request).await);
        let what = match answer {
            AcquireAnswer::Acquired(token) => {
                if held.as_ref() != Some(&token) {
                    self.oracle.rise(token.epoch.0);
                    self.tokens.push(token);
                }
                "acquired"
            }
            AcquireAnswer::Held(token) => {
                assert_eq!(Some(token), held);
                "held"
            }
            AcquireAnswer::Gone => "gone",
        };
        self.trace.add(format!(
            "{at} wants the lease, rank {:?}: {what}",
            view.rank
        ));
    }

    /// Leads with the newest token, or with one that may be long lost.
    async fn lead(&mut self) {
        let count = self.tokens.len();
        if count == 0 {
            return;
        }
        let back = if self.random.u8(0..4) == 0 {
            self.pick(count)
        } else {
            0
        };
        let token = self.tokens[count - 1 - back].clone();
        if self.random.u8(0..20) == 0 {
            self.trace.add(format!("token {back} back is released"));
            return done(self.world.store.release(&token).await);
        }
        let leader = self.world.see().await.leader;
        let PeekAnswer::Peeked(mut peeked) = done(self.world.store.peek(&peek(&token)).await)
        else {
            assert_ne!(leader, Some(token), "the holder is told that it is none");
            return self.trace.add(format!("token {back} back looks: lost"));
        };
        assert_eq!(leader.as_ref(), Some(&token), "only who holds the lease");
        // Among equals each store has an order of its own.
        peeked
            .due
            .sort_by(|a, b| (a.due, &a.job).cmp(&(b.due, &b.job)));
        peeked
            .retries
            .sort_by(|a, b| a.waiting.run.cmp(&b.waiting.run));
        peeked.finished.sort();
        let (due, retries) = (peeked.due.len(), peeked.retries.len());
        self.trace.add(format!(
            "token {back} back looks: {due} due, {retries} to retry"
        ));
        let mut items = Vec::new();
        for due in &peeked.due {
            items.push(self.world.plan(due).await);
        }
        let request = Dispatch {
            token: token.clone(),
            planned_at: self.world.now(),
            items,
        };
        if self.random.u8(0..5) == 0 {
            return self.late.dispatch.push(request);
        }
        self.dispatch(&request).await;
        if self.random.u8(0..5) == 0 {
            self.late.dispatch.push(request);
        }
        let (retries, jobs) = (peeked.retries, peeked.finished);
        let promote = Promote {
            token: token.clone(),
            retries,
        };
        assert!(done(self.world.store.promote(&promote).await));
        assert!(done(self.world.store.retire(&Retire { token, jobs }).await));
    }

    async fn dispatch(&mut self, request: &Dispatch) {
        let leader = self.world.see().await.leader;
        let mut jobs = Vec::new();
        for item in &request.items {
            let read = self.world.read(&item.job).await;
            jobs.push(read.stored.map(|stored| stored.job));
        }
        match done(self.world.store.dispatch(request).await) {
            DispatchAnswer::Dispatched { refused } => {
                assert_eq!(
                    leader.as_ref(),
                    Some(&request.token),
                    "only who holds the lease"
                );
                for (index, item) in request.items.iter().enumerate() {
                    if refused.iter().all(|refused| refused.index != index) {
                        let job = jobs[index].as_ref().expect("a dispatched job");
                        self.oracle.dispatched(item, job);
                    }
                }
                self.trace.add(format!("dispatch but for {refused:?}"));
            }
            other => self.trace.add(format!("dispatch: {other:?}")),
        }
    }

    /// What becomes of a claim, by chance.
    fn settle(&mut self, claim: &Claim) -> Settled {
        let (verdict, ending) = match self.random.u8(0..8) {
            0 => (Verdict::GiveBack, Ending::NotBegun),
            1 | 2 => {
                let again = Verdict::Again {
                    after: Duration::from_millis(self.random.u64(1..4000)),
                    attempt: claim.attempt + 1,
                    losses: claim.losses + 1,
                };
                (again, Ending::NodeLost)
            }
            _ => {
                let ending = Ending::Succeeded(None);
                (
                    scheduler_core::run::settle(&scheduler_core::Policy::default(), claim, &ending),
                    ending,
                )
            }
        };
        settled_as(claim, verdict, &ending)
    }

    async fn exchange(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let mut settled = Vec::new();
        let mut given_back = false;
        let mut kept = Vec::new();
        for claim in std::mem::take(&mut self.nodes[at].claims) {
            let how = self.settle(&claim);
            // Of several that go to the head of a queue, each store has an order of its own.
            let again = how.verdict == Verdict::GiveBack && given_back;
            if again || self.random.bool() {
                kept.push(claim);
            } else {
                given_back |= how.verdict == Verdict::GiveBack;
                settled.push(how);
            }
        }
        self.nodes[at].claims = kept;
        let past = self.nodes[at].past.take();
        let is_other = |past: &Settled| settled.iter().all(|s| s.claim.run != past.claim.run);
        self.nodes[at].past = settled.last().cloned();
        settled.extend(past.filter(is_other));
        let limit = self.pick(4);
        let request = self.nodes[at].node.exchange(settled, limit);
        let session = request.session.clone();
        match done(self.world.store.exchange(&request).await) {
            ExchangeAnswer::Exchanged(exchanged) => {
                for settled in &request.settled {
                    let stale = exchanged.stale.contains(&settled.claim.run);
                    let held = self.oracle.holds(&session, &settled.claim);
                    assert_eq!(stale, !held, "{settled:?}");
                    if held {
                        let ended = matches!(settled.verdict, Verdict::End(_));
                        self.oracle.settled(&settled.claim.run, ended);
                    }
                }
                for claim in &exchanged.claims {
                    self.oracle.claimed(&session, claim);
                }
                let runs = exchanged.claims.iter();
                let runs: Vec<_> = runs.map(|c| format!("{} #{}", c.run, c.attempt)).collect();
                let (settled, stale) = (request.settled.len(), exchanged.stale.len());
                self.trace.add(format!(
                    "{at} settles {settled} ({stale} stale), claims {runs:?}"
                ));
                self.nodes[at].claims.extend(exchanged.claims);
                self.nodes[at].last = Some(request);
            }
            ExchangeAnswer::Gone => {
                self.trace.add(format!("{at} exchanges: gone"));
                self.nodes.remove(at);
            }
            ExchangeAnswer::Superseded => panic!("a new request is superseded"),
        }
    }

    /// The last exchange arrives once more.
    async fn ask_again(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let Some(request) = self.nodes[at].last.clone() else {
            return;
        };
        let before = self.world.see().await;
        let answer = done(self.world.store.exchange(&request).await);
        let what = match &answer {
            ExchangeAnswer::Exchanged(exchanged) => format!("{} claims", exchanged.claims.len()),
            other => format!("{other:?}"),
        };
        self.trace.add(format!("{at} asks again: {what}"));
        self.world
            .expect(&before, "an exchange that was asked for again")
            .await;
    }

    async fn resync(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let request = self.nodes[at].node.resync();
        let answer = done(self.world.store.resync(&request).await);
        if let ResyncAnswer::Claims(claims) = answer {
            let sorted = |mut claims: Vec<Claim>| {
                claims.sort_by_key(|claim| claim.fence);
                claims
            };
            let walking = &mut self.nodes[at];
            let known = sorted(std::mem::take(&mut walking.claims));
            walking.claims = sorted(claims);
            assert_eq!(known, walking.claims, "what the node knows that it holds");
            self.trace
                .add(format!("{at} resyncs: {}", walking.claims.len()));
        }
    }

    /// Declares some session dead, rightly or not, and settles some of what dead ones hold.
    async fn sweep(&mut self) {
        if let Some(at) = self.pick_node() {
            let session = self.nodes[at].node.session.clone();
            let beat = self.nodes[at].node.beat + u64::from(self.random.bool());
            let request = FenceSession { session, beat };
            let answer = done(self.world.store.fence_session(&request).await);
            self.trace.add(format!("fence {at}: {answer:?}"));
        }
        let dead = self.world.see().await.dead;
        for (session, mut claims) in dead {
            self.random.shuffle(&mut claims);
            claims.truncate(2);
            let items: Vec<_> = claims.iter().map(|claim| self.settle(claim)).collect();
            for item in &items {
                assert!(self.oracle.holds(&session, &item.claim), "{item:?}");
                let ended = matches!(item.verdict, Verdict::End(_));
                self.oracle.settled(&item.claim.run, ended);
            }
            let node = session.node().to_owned();
            let left = done(self.world.store.drain(&Drain { session, items }).await).left;
            self.trace.add(format!("drain {node}: {left} left"));
        }
    }

    /// A job as somebody might want it.
    fn some_job(&mut self) -> Job {
        let which = self.pick(JOBS.len());
        let limit = NonZeroU32::MIN.saturating_add(self.random.u32(0..5));
        let coalesce = [Coalesce::Latest, Coalesce::Earliest, Coalesce::All][self.pick(3)];
        let grace = [Grace::Unlimited, Grace::Within(Duration::from_secs(12))][self.pick(2)];
        let builder = job(JOBS[which]).max_instances(limit).coalesce(coalesce);
        builder
            .misfire_grace_time(grace)
            .on_lost(OnLost::Retry)
            .build()
    }

    /// A change that somebody might want of a job as it was read.
    fn some_change(&mut self, stored: &StoredJob, job: Job) -> Option<Change> {
        let now = self.world.now();
        match self.random.u8(0..3) {
            0 => change::pause(stored).or_else(|| change::resume(stored, now)),
            1 => change::resume(stored, now),
            _ => change::replace(stored, job, now).ok(),
        }
    }

    async fn put(&mut self) {
        let job = self.some_job();
        let read = self.world.read(job.id()).await;
        let version = read.stored.as_ref().map(|stored| stored.version);
        let change = match &read.stored {
            Some(stored) => self.some_change(stored, job),
            None => change::put_new(job, read.fired, read.now).ok(),
        };
        let Some(change) = change else { return };
        let request = PutJob {
            request: self.request(),
            changes: vec![(version, change)],
        };
        if self.random.u8(0..4) == 0 {
            return self.late.put.push(request);
        }
        self.write(&request).await;
    }

    async fn write(&mut self, request: &PutJob) {
        let due = self.due(request.changes[0].1.job.id()).await;
        let answers = done(self.world.store.put(request).await);
        let again = done(self.world.store.put(request).await);
        assert_eq!(answers, again, "asked again");
        let change = &request.changes[0].1;
        let what = match answers[0] {
            Changed::Done(version) => {
                self.oracle.rise(version.0);
                let stays = match change.state {
                    JobState::Active => change.next_fire,
                    JobState::Paused { from } => from,
                };
                assert_kept(due, stays, &change.skips);
                self.oracle.skipped(change.job.id(), &change.skips);
                "done"
            }
            Changed::Conflict => "conflict",
        };
        self.trace.add(format!(
            "put {} {:?}: {what}",
            change.job.id(),
            change.state
        ));
    }

    /// The fire time of a job that is due and waits for its leader.
    async fn due(&self, id: &JobId) -> Option<Timestamp> {
        let stored = self.world.read(id).await.stored?;
        stored.next_fire.filter(|at| *at <= self.world.now())
    }

    async fn remove(&mut self) {
        let which = self.pick(JOBS.len());
        let Some(stored) = self.world.read(&name(JOBS[which])).await.stored else {
            return;
        };
        let request = RemoveJob {
            request: self.request(),
            job: stored.job.id().clone(),
            version: stored.version,
            next_fire: stored.next_fire,
            skips: change::remove(&stored, self.world.now()),
        };
        if self.random.u8(0..4) == 0 {
            return self.late.removal.push(request);
        }
        self.remove_as(&request).await;
    }

    async fn remove_as(&mut self, request: &RemoveJob) {
        let due = self.due(&request.job).await;
        let answer = done(self.world.store.remove(request).await);
        let done = matches!(answer, Changed::Done(_));
        if done {
            assert_kept(due, None, &request.skips);
            self.oracle.skipped(&request.job, &request.skips);
        }
        self.trace.add(format!("remove {}: {done}", request.job));
    }

    async fn run_now(&mut self) {
        let which = self.pick(JOBS.len());
        let Some(stored) = self.world.read(&name(JOBS[which])).await.stored else {
            return;
        };
        let request = RunNow {
            request: self.request(),
            job: stored.job,
            version: stored.version,
        };
        if self.random.u8(0..4) == 0 {
            return self.late.run.push(request);
        }
        self.run_as(&request).await;
    }

    async fn run_as(&mut self, request: &RunNow) {
        let answer = done(self.world.store.run_now(request).await);
        let again = done(self.world.store.run_now(request).await);
        assert_eq!(answer, again, "asked again");
        if answer == RunNowAnswer::Made {
            let run = RunId::request(request.job.id().clone(), request.request.0);
            self.oracle.made(&run);
        }
        self.trace
            .add(format!("run {} now: {answer:?}", request.job.id()));
    }

    /// What was sent long ago arrives.
    async fn arrive_late(&mut self) {
        if let Some(request) = self.late.dispatch.pop() {
            self.trace.add("a late dispatch arrives".to_owned());
            self.dispatch(&request).await;
        }
        if let Some(request) = self.late.put.pop() {
            self.trace.add("a late change arrives".to_owned());
            self.write(&request).await;
        }
        if let Some(request) = self.late.removal.pop() {
            self.trace.add("a late removal arrives".to_owned());
            self.remove_as(&request).await;
        }
        if let Some(request) = self.late.run.pop() {
            self.trace.add("a late wish for a run arrives".to_owned());
            self.run_as(&request).await;
        }
    }

    /// Lets all that is in flight end: nothing may be stuck.
    pub(super) async fn finish(&mut self) {
        for walking in std::mem::take(&mut self.nodes) {
            done(self.world.store.leave(&walking.node.session).await);
        }
        for (session, claims) in self.world.see().await.dead {
            let back = |claim: &Claim| settled_as(claim, Verdict::GiveBack, &Ending::NotBegun);
            let items: Vec<_> = claims.iter().map(back).collect();
            let left = done(self.world.store.drain(&Drain { session, items }).await).left;
            assert_eq!(left, 0);
        }
        let last = self.world.now().after(Duration::from_secs(7200));
        self.world.set_clock(last).await;
        let mut node = self.world.node("last").await;
        let token = self.world.lead(&node).await;
        let retries = self.world.peek(&token).await.retries;
        assert!(done(
            self.world.store.promote(&Promote { token, retries }).await
        ));
        loop {
            let claims = self.world.claim(&mut node, 50).await;
            for claim in &claims {
                self.world
                    .hand_in(&mut node, claim, &Ending::Succeeded(None))
                    .await;
            }
            if claims.is_empty() {
                break;
            }
        }
        let sight = self.world.see().await;
        let left = (sight.busy, sight.waiting(), sight.retries, sight.held);
        assert_eq!(left, (0, 0, 0, 0), "stuck: {sight:#?}");
    }
}

/// Whatever was due when a change was accepted stays pending, or is recorded by the change.
fn assert_kept(due: Option<Timestamp>, stays: Option<Timestamp>, skips: &[Skip]) {
    let recorded = skips.first().map(|skip| skip.first);
    assert!(
        due.is_none() || due == stays || due == recorded,
        "{due:?} is lost"
    );
}
