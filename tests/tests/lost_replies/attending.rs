//! Of those who look after single runs, and of handlers that begin at most once.

use anyhow::{Result, bail};
use scheduler_core::history::Record;
use scheduler_core::run::{Claim, Outcome, Verdict};
use scheduler_core::store::{
    Begin, BeginAnswer, Cancel, CancelAnswer, ExchangeAnswer, FailedQuery, RequestId, Rerun,
    RerunAnswer, RerunItem, Shard, Store,
};
use scheduler_core::{Generation, RunId};
use uuid::Uuid;

use crate::world::{World, job, settled};

fn cancel(run: &RunId) -> Cancel {
    Cancel {
        request: RequestId(Uuid::now_v7()),
        run: run.clone(),
        reason: "cancelled by anna".to_owned(),
    }
}

/// Hands a claim in as failed for good, so that it is kept.
async fn fails(world: &mut World, claim: Claim) -> Result<()> {
    let mut failed = settled(claim);
    failed.verdict = Verdict::End(Outcome::Failed);
    if let Some(Record::Run(record)) = &mut failed.record {
        record.outcome = Outcome::Failed;
    }
    failed.definition = Some(job("report"));
    let request = world.exchange(vec![failed], 0);
    world.store.exchange(&request).await?;
    Ok(())
}

#[tokio::test]
async fn a_begin_whose_answer_is_lost_is_marked_once_and_known() -> Result<()> {
    let mut world = World::new().await?;
    let claim = world.claimed().await?;
    let begin = Begin {
        generation: Generation(1),
        session: world.session.clone(),
        claims: vec![(claim.run.clone(), claim.fence)],
    };
    let answer = world
        .twice(|store| {
            let begin = begin.clone();
            async move { store.begin(&begin).await }
        })
        .await?;
    let stale = Vec::new();
    assert_eq!(answer, BeginAnswer::Begun { stale });
    let request = world.exchange(vec![settled(claim)], 0);
    world.store.exchange(&request).await?;
    assert_eq!(world.ended().await?, 1);
    world.assert_idle().await
}

#[tokio::test]
async fn a_run_is_cancelled_once_and_its_end_is_recorded_once() -> Result<()> {
    let mut world = World::new().await?;
    let claim = world.claimed().await?;
    let marked = cancel(&claim.run);
    let answer = world
        .twice(|store| {
            let marked = marked.clone();
            async move { store.cancel(&marked).await }
        })
        .await?;
    assert_eq!(answer, CancelAnswer::Marked);
    // It was to be tried again, and ends instead.
    let mut again = settled(claim.clone());
    again.record = None;
    again.verdict = Verdict::Again {
        after: std::time::Duration::from_secs(60),
        attempt: 2,
        losses: 0,
    };
    let request = world.exchange(vec![again], 0);
    world.store.exchange(&request).await?;
    assert_eq!(world.ended().await?, 1);
    world.assert_idle().await?;
    // The request arrives once more: it has been answered.
    assert_eq!(world.store.cancel(&marked).await?, CancelAnswer::Marked);
    let late = world.store.cancel(&cancel(&claim.run)).await?;
    assert_eq!(late, CancelAnswer::NotInFlight);
    assert_eq!(world.ended().await?, 1);
    world.assert_idle().await
}

#[tokio::test]
async fn a_failed_run_is_run_again_once() -> Result<()> {
    let mut world = World::new().await?;
    let claim = world.claimed().await?;
    fails(&mut world, claim.clone()).await?;
    let new = RunId::request(claim.run.job.clone(), Uuid::now_v7());
    let rerun = Rerun {
        request: RequestId(Uuid::now_v7()),
        items: vec![RerunItem {
            failed: claim.run.clone(),
            job: job("report"),
            run: new.clone(),
        }],
    };
    let answer = world
        .twice(|store| {
            let rerun = rerun.clone();
            async move { store.rerun(&rerun).await }
        })
        .await?;
    assert_eq!(answer, [RerunAnswer::Made]);
    let request = world.exchange(vec![], 10);
    let ExchangeAnswer::Exchanged(exchanged) = world.store.exchange(&request).await? else {
        bail!("gone")
    };
    let runs: Vec<_> = exchanged.claims.iter().map(|claim| &claim.run).collect();
    assert_eq!(runs, [&new], "one run");
    let settled = exchanged.claims.into_iter().map(settled).collect();
    let request = world.exchange(settled, 0);
    world.store.exchange(&request).await?;
    // Delayed on the way, it arrives once more.
    assert_eq!(world.store.rerun(&rerun).await?, [RerunAnswer::Made]);
    // It failed, was run again, and the other run ended.
    assert_eq!(world.ended().await?, 3);
    world.assert_idle().await
}

#[tokio::test]
async fn what_is_purged_is_gone_and_nothing_else_is() -> Result<()> {
    let mut world = World::new().await?;
    let claim = world.claimed().await?;
    fails(&mut world, claim.clone()).await?;
    let runs = [claim.run.clone()];
    world
        .twice(|store| {
            let runs = runs.clone();
            async move { store.purge(&runs).await }
        })
        .await?;
    let query = FailedQuery {
        job: None,
        after: None,
        limit: 10,
    };
    assert_eq!(world.store.failed(&query).await?.runs, []);
    assert_eq!(world.ended().await?, 1, "history has it still");
    world.assert_idle().await
}
