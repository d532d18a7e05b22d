//! Those who cancel runs, and nodes that write down what they begin.

use scheduler_core::store::{Begin, BeginAnswer, Cancel, CancelAnswer};
use scheduler_core::{Generation, Shard, Store};

use super::walker::Walker;
use crate::conformance::{Harness, done};

impl<H: Harness> Walker<H> {
    pub(super) async fn cancel(&mut self) {
        let runs = self.oracle.runs();
        if runs.is_empty() {
            return;
        }
        let run = runs[self.pick(runs.len())].clone();
        let request = Cancel {
            request: self.request(),
            run: run.clone(),
            reason: "on a walk".to_owned(),
        };
        let answer = done(self.world.store.cancel(&request).await);
        let again = done(self.world.store.cancel(&request).await);
        assert_eq!(answer, again, "asked again");
        self.oracle.cancelled(&run, answer);
        let number = runs.iter().position(|other| *other == run);
        self.trace.add(format!("cancel run {number:?}: {answer:?}"));
        assert!(self.oracle.is_over(&run) == (answer != CancelAnswer::Marked));
    }

    /// A node writes down that it begins what it holds, and what it held last.
    pub(super) async fn begin(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let walking = &self.nodes[at];
        let session = walking.node.session.clone();
        let mut claims: Vec<_> = walking.claims.iter().take(2).cloned().collect();
        let past = walking.past.iter().map(|past| past.claim.clone());
        let past: Vec<_> = past
            .filter(|past| claims.iter().all(|c| c.run != past.run))
            .collect();
        claims.extend(past);
        let request = Begin {
            generation: Generation(1),
            session: session.clone(),
            claims: claims.iter().map(|c| (c.run.clone(), c.fence)).collect(),
        };
        let answer = done(self.world.store.begin(&request).await);
        assert_eq!(answer, done(self.world.store.begin(&request).await));
        let stale = match answer {
            BeginAnswer::Begun { stale } => stale,
            BeginAnswer::Behind => panic!("nothing was lost"),
            BeginAnswer::Gone => claims.iter().map(|claim| claim.run.clone()).collect(),
        };
        for claim in &claims {
            let held = self.oracle.holds(&session, claim) && !self.oracle.is_dead(&session);
            assert_eq!(stale.contains(&claim.run), !held, "{claim:?}");
        }
        for claim in &mut self.nodes[at].claims {
            let named = claims.iter().any(|c| c.fence == claim.fence);
            claim.begun |= named && !stale.contains(&claim.run);
        }
        self.trace.add(format!(
            "{at} begins {}, {} stale",
            claims.len(),
            stale.len()
        ));
    }
}
