//! History: what became of every fire time, in order, for as long as it is kept.

use std::time::Duration;

use scheduler_core::history::Record;
use scheduler_core::lease::LeaseToken;
use scheduler_core::run::Ending;
use scheduler_core::store::{HistoryPage, HistoryQuery, RunPlace, Tidy, TidyAnswer};
use scheduler_core::{Shard, Store};

use crate::conformance::{Harness, World, done, job, name};

/// Makes ten records, of two jobs in turn, at different times; answers with them, the oldest first.
async fn ten_records<H: Harness>(world: &mut World<H>) -> Vec<Record> {
    let mut a = world.node("a").await;
    world.put(job("even")).await;
    world.put(job("odd")).await;
    let mut records = Vec::new();
    for i in 0..10 {
        world.run_now(["even", "odd"][i % 2]).await;
        let claim = world.claim_one(&mut a).await;
        let output = Some(format!("run {i}"));
        records.push(
            world
                .hand_in(&mut a, &claim, &Ending::Succeeded(output))
                .await,
        );
        world.advance(Duration::from_millis(10)).await;
    }
    records
}

async fn read<H: Harness>(world: &World<H>, query: HistoryQuery) -> HistoryPage {
    done(world.store.history(&query).await)
}

fn records(page: &HistoryPage) -> Vec<Record> {
    page.entries
        .iter()
        .map(|entry| entry.record.clone())
        .collect()
}

fn query(limit: usize) -> HistoryQuery {
    HistoryQuery {
        limit,
        ..HistoryQuery::default()
    }
}

pub(super) fn tidy(token: &LeaseToken, keep_history: u64) -> Tidy {
    let keep = Duration::from_secs(60);
    Tidy {
        token: token.clone(),
        keep_history,
        keep_history_for: None,
        keep_requests: keep,
        keep_fired: keep,
        keep_failed: 100,
        keep_failed_for: Duration::from_secs(3600),
    }
}

pub async fn the_newest_records_come_first<H: Harness>(mut world: World<H>) {
    let mut expected = ten_records(&mut world).await;
    expected.reverse();
    let page = read(&world, query(100)).await;
    assert_eq!(records(&page), expected);
    assert!(page.entries.is_sorted_by(|a, b| a.at >= b.at));
    assert_eq!(records(&read(&world, query(3)).await), expected[..3]);
    let of_odd = HistoryQuery {
        job: Some(name("odd")),
        ..query(3)
    };
    let odd: Vec<_> = expected
        .iter()
        .filter(|r| r.job().as_str() == "odd")
        .take(3)
        .collect();
    assert_eq!(
        records(&read(&world, of_odd).await)
            .iter()
            .collect::<Vec<_>>(),
        odd
    );
}

pub async fn readers_go_on_from_where_they_were<H: Harness>(mut world: World<H>) {
    let empty = read(&world, query(100)).await;
    assert_eq!(empty.entries, []);
    let expected = ten_records(&mut world).await;
    let mut position = empty.position;
    let mut seen = Vec::new();
    loop {
        let onward = HistoryQuery {
            after: Some(position),
            ..query(3)
        };
        let page = read(&world, onward).await;
        if page.entries.is_empty() {
            position = page.position;
            break;
        }
        assert!(page.entries.len() <= 3, "no more than was asked for");
        seen.extend(records(&page));
        position = page.position;
    }
    assert_eq!(seen, expected, "each once, the oldest first");
    world.put(job("more")).await;
    world.advance(Duration::from_secs(10)).await;
    world.remove("more").await;
    let onward = HistoryQuery {
        after: Some(position),
        ..query(100)
    };
    let page = read(&world, onward).await;
    assert_eq!(page.entries.len(), 1, "what came since");
    assert_eq!(page.entries[0].at, world.now());
}

pub async fn readers_go_on_from_each_record<H: Harness>(mut world: World<H>) {
    let expected = ten_records(&mut world).await;
    // Many at once, which a store may keep together.
    world.put(job("minutely")).await;
    world.advance(Duration::from_secs(3600)).await;
    world.remove("minutely").await;
    let all = HistoryQuery {
        after: Some("0".to_owned()),
        ..query(1_000)
    };
    let all = read(&world, all).await;
    assert_eq!(records(&all)[..10], expected);
    let all = all.entries;
    for (number, entry) in all.iter().enumerate() {
        let onward = HistoryQuery {
            after: Some(entry.position.clone()),
            ..query(1_000)
        };
        let rest = read(&world, onward).await.entries;
        assert_eq!(rest, all[number + 1..], "after record {number}");
    }
    let newest = read(&world, query(1)).await.entries;
    assert_eq!(
        newest.last(),
        all.last(),
        "the same position from the other end"
    );
}

pub async fn readers_of_one_job_go_on_past_all_others<H: Harness>(mut world: World<H>) {
    let start = read(&world, query(1)).await.position;
    let expected = ten_records(&mut world).await;
    let of = |job: &str, after: &str, limit| HistoryQuery {
        job: Some(name(job)),
        after: Some(after.to_owned()),
        ..query(limit)
    };
    let first = read(&world, of("odd", &start, 2)).await;
    let rest = read(&world, of("odd", &first.position, 100)).await;
    let seen = [records(&first), records(&rest)].concat();
    let odd: Vec<_> = expected
        .into_iter()
        .filter(|r| r.job().as_str() == "odd")
        .collect();
    assert_eq!(seen, odd);
    assert_eq!(
        read(&world, of("odd", &rest.position, 100)).await.entries,
        []
    );
}

pub async fn the_newest_position_is_known_from_the_newest_page<H: Harness>(mut world: World<H>) {
    ten_records(&mut world).await;
    let position = read(&world, query(1)).await.position;
    let onward = HistoryQuery {
        after: Some(position),
        ..query(100)
    };
    assert_eq!(read(&world, onward).await.entries, []);
}

/// All that a query finds, page by page from the newest.
async fn all_pages<H: Harness>(world: &World<H>, query: HistoryQuery) -> Vec<Record> {
    let mut query = query;
    let mut found = Vec::new();
    loop {
        let page = read(world, query.clone()).await;
        assert!(
            page.entries.len() <= query.limit,
            "no more than was asked for"
        );
        found.extend(records(&page));
        match page.older {
            Some(older) => query.before = Some(older),
            None => return found,
        }
    }
}

pub async fn older_records_are_found_page_by_page<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    for id in ["x", "y"] {
        world
            .put(job(id).max_instances(std::num::NonZeroU32::new(9).expect("not 0")))
            .await;
    }
    let mut expected = Vec::new();
    for round in 0..4 {
        // Some records are written together, and some alone.
        for _ in 0..=round {
            world.run_now("x").await;
            world.run_now("y").await;
        }
        let claims = world.claim(&mut a, 100).await;
        assert_eq!(claims.len(), 2 * (round + 1));
        let mut settled = Vec::new();
        for claim in &claims {
            settled.push(world.settled(claim, &Ending::Succeeded(None)).await);
        }
        expected.extend(settled.iter().filter_map(|settled| settled.record.clone()));
        let request = a.exchange(settled, 0);
        world.exchange(&request).await;
    }
    expected.reverse();
    for limit in [1, 3, 7, 100] {
        assert_eq!(
            all_pages(&world, query(limit)).await,
            expected,
            "{limit} at a time"
        );
        let of_y = HistoryQuery {
            job: Some(name("y")),
            ..query(limit)
        };
        let only_y: Vec<_> = expected
            .iter()
            .filter(|r| r.job().as_str() == "y")
            .cloned()
            .collect();
        assert_eq!(all_pages(&world, of_y).await, only_y, "{limit} at a time");
    }
}

pub async fn records_are_found_by_what_became_of_it<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let mut b = world.node("b").await;
    world.put(job("even")).await;
    let mut written = Vec::new();
    for round in 0..6 {
        world.run_now("even").await;
        let (node, ending) = match round % 3 {
            0 => (&mut a, Ending::Succeeded(None)),
            1 => (&mut b, Ending::Succeeded(None)),
            _ => (&mut b, Ending::Failed("no".to_owned())),
        };
        let claim = world.claim_one(node).await;
        let mut settled = world.settled(&claim, &ending).await;
        if let Some(Record::Run(run)) = &mut settled.record {
            node.session.node().clone_into(&mut run.node);
        }
        written.push((world.now(), settled.record.clone().expect("a record")));
        let request = node.exchange(vec![settled], 0);
        world.exchange(&request).await;
        world.advance(Duration::from_secs(10)).await;
    }
    // The fire times of a removed job are recorded as skipped.
    world.remove("even").await;
    let skipped = all_pages(
        &world,
        HistoryQuery {
            outcome: "skipped".parse().ok(),
            ..query(2)
        },
    )
    .await;
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!(skipped[0].word(), "removed");
    let Record::Skip(skip) = &skipped[0] else {
        panic!("{skipped:?}")
    };
    let about = HistoryQuery {
        fire: Some(skip.first),
        ..query(2)
    };
    assert_eq!(all_pages(&world, about).await, skipped);

    let of = |wanted: &[usize]| -> Vec<Record> {
        wanted.iter().rev().map(|i| written[*i].1.clone()).collect()
    };
    let failed = HistoryQuery {
        outcome: "failed".parse().ok(),
        ..query(1)
    };
    assert_eq!(all_pages(&world, failed).await, of(&[2, 5]));
    let on_a = HistoryQuery {
        node: Some("a".to_owned()),
        ..query(1)
    };
    assert_eq!(all_pages(&world, on_a).await, of(&[0, 3]));
    let between = HistoryQuery {
        since: Some(written[1].0),
        until: Some(written[3].0),
        ..query(1)
    };
    assert_eq!(all_pages(&world, between).await, of(&[1, 2, 3]));
    let both = HistoryQuery {
        since: Some(written[1].0),
        outcome: "succeeded".parse().ok(),
        node: Some("b".to_owned()),
        ..query(10)
    };
    assert_eq!(all_pages(&world, both).await, of(&[1, 4]));
}

pub async fn runs_in_flight_are_told_with_their_holders<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world
        .put(job("even").max_instances(std::num::NonZeroU32::new(2).expect("not 0")))
        .await;
    assert_eq!(done(world.store.in_flight(&name("even")).await), []);
    world.run_now("even").await;
    let claim = world.claim_one(&mut a).await;
    world.run_now("even").await;
    let found = done(world.store.in_flight(&name("even")).await);
    assert_eq!(found.len(), 2, "{found:?}");
    for run in &found {
        let place = if run.run == claim.run {
            RunPlace::Claimed {
                by: a.session.clone(),
                attempt: 1,
                fence: claim.fence,
            }
        } else {
            RunPlace::Waiting
        };
        assert_eq!(run.place, place, "{found:?}");
    }
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(done(world.store.in_flight(&name("even")).await).len(), 1);
}

pub async fn tidying_forgets_what_is_too_old<H: Harness>(mut world: World<H>) {
    let expected = ten_records(&mut world).await;
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    // They were written 10 ms apart; now is 10 ms after the last.
    let old = Tidy {
        keep_history_for: Some(Duration::from_millis(45)),
        ..tidy(&token, 1_000)
    };
    let answer = done(world.store.tidy(&old).await);
    assert_eq!(answer, TidyAnswer::Done);
    assert_eq!(world.see().await.records(), expected[6..]);
    let answer = done(world.store.tidy(&old).await);
    assert_eq!(answer, TidyAnswer::Done);
    assert_eq!(world.see().await.records(), expected[6..], "asked again");
}

pub async fn tidying_forgets_the_oldest<H: Harness>(mut world: World<H>) {
    let expected = ten_records(&mut world).await;
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let before = world.see().await;
    let answer = done(world.store.tidy(&tidy(&token, 100)).await);
    assert_eq!(answer, TidyAnswer::Done);
    world.expect(&before, "keeping more than there is").await;
    let answer = done(world.store.tidy(&tidy(&token, 4)).await);
    assert_eq!(answer, TidyAnswer::Done);
    // A store may keep more, where it can only forget records in bundles.
    let kept = world.see().await.history.len();
    assert!((4..=10).contains(&kept), "{kept}");
    let after = before.but(|world| drop(world.history.drain(..10 - kept)));
    world.expect(&after, "tidying").await;
    assert_eq!(world.see().await.records(), expected[10 - kept..]);
}

pub async fn what_was_settled_is_forgotten_long_after_the_job<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    for id in ["gone", "back", "here"] {
        world.put(job(id)).await;
    }
    let id = |id: &str| name(id);
    world.advance(Duration::from_secs(10)).await;
    world.beat(&token).await;
    let fired = Some(world.now());
    world.remove("gone").await;
    world.remove("back").await;
    world.put(job("back")).await;
    world.advance(Duration::from_secs(59)).await;
    let answer = done(world.store.tidy(&tidy(&token, 100)).await);
    assert_eq!(answer, TidyAnswer::Done);
    assert_eq!(world.read(&id("gone")).await.fired, fired);
    world.advance(Duration::from_secs(2)).await;
    let answer = done(world.store.tidy(&tidy(&token, 100)).await);
    assert_eq!(answer, TidyAnswer::Done);
    assert_eq!(world.read(&id("gone")).await.fired, None);
    assert_eq!(
        world.read(&id("back")).await.fired,
        fired,
        "it was put again"
    );
    assert_eq!(world.read(&id("here")).await.fired, fired);
}
