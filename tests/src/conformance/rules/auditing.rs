//! Who changed what.

use std::time::Duration;

use scheduler_core::Store;
use scheduler_core::audit::{Audit, AuditQuery, Author, Deed, KEPT, MAX_DEEDS, Outcome, Via};

use crate::conformance::{Harness, START, World, done, request};

fn deed(by: &str, object: &str) -> Deed {
    Deed::new(
        Author::new(by, Via::Cli),
        "job_paused",
        Some(object.to_owned()),
    )
}

async fn write<H: Harness>(world: &World<H>, deeds: Vec<Deed>) {
    let request = request();
    done(world.store.audit(&Audit { request, deeds }).await);
}

async fn read<H: Harness>(world: &World<H>, query: &AuditQuery) -> Vec<Deed> {
    let (mut query, mut deeds) = (query.clone(), Vec::new());
    loop {
        let page = done(world.store.audited(&query).await);
        assert!(page.entries.len() <= query.limit, "{page:?}");
        deeds.extend(page.entries.into_iter().map(|entry| entry.deed));
        query.before = page.older;
        if query.before.is_none() {
            return deeds;
        }
    }
}

fn all(limit: usize) -> AuditQuery {
    AuditQuery {
        limit,
        ..AuditQuery::default()
    }
}

pub async fn deeds_are_read_the_newest_first<H: Harness>(mut world: World<H>) {
    let before = world.see().await;
    let author = Author {
        role: Some("operator".to_owned()),
        address: Some("10.0.0.7".to_owned()),
        ..Author::new("ops", Via::Http)
    };
    let refused = Deed {
        outcome: Outcome::Refused,
        ..Deed::new(author, "DELETE /api/v1/jobs/ä b", None).with_detail(Some("not \"now\"\n"))
    };
    write(&world, vec![deed("anna", "one"), deed("anna", "two words")]).await;
    world.advance(Duration::from_secs(5)).await;
    write(&world, vec![refused.clone()]).await;
    let page = done(world.store.audited(&all(10)).await);
    let read: Vec<_> = page
        .entries
        .iter()
        .map(|entry| (entry.at, &entry.deed))
        .collect();
    let (one, two) = (deed("anna", "one"), deed("anna", "two words"));
    let later = START.after(Duration::from_secs(5));
    assert_eq!(read, [(later, &refused), (START, &two), (START, &one)]);
    assert_eq!(page.older, None);
    world
        .expect(&before, "deeds are no part of what happens")
        .await;
}

pub async fn deeds_are_found_page_by_page_by_author_and_object<H: Harness>(world: World<H>) {
    let deeds: Vec<_> = (0..25)
        .map(|n| deed(["anna", "ben"][n % 2], &format!("job-{n}")))
        .collect();
    write(&world, deeds.clone()).await;
    let newest_first: Vec<_> = deeds.into_iter().rev().collect();
    for limit in [1, 7, 25, 100] {
        assert_eq!(read(&world, &all(limit)).await, newest_first, "{limit}");
    }
    let of_anna = AuditQuery {
        by: Some("anna".to_owned()),
        ..all(4)
    };
    let found = read(&world, &of_anna).await;
    assert_eq!(found.len(), 13);
    assert!(found.iter().all(|deed| deed.author.by == "anna"));
    let of_job = AuditQuery {
        object: Some("job-7".to_owned()),
        ..all(4)
    };
    assert_eq!(read(&world, &of_job).await, [deed("ben", "job-7")]);
}

pub async fn a_deed_that_is_written_again_is_there_once<H: Harness>(world: World<H>) {
    let audit = Audit {
        request: request(),
        deeds: vec![deed("anna", "one")],
    };
    for _ in 0..2 {
        done(world.store.audit(&audit).await);
    }
    assert_eq!(read(&world, &all(10)).await, audit.deeds);
}

pub async fn the_last_deeds_are_kept<H: Harness>(world: World<H>) {
    for batch in 0..KEPT / MAX_DEEDS + 2 {
        let deeds = (0..MAX_DEEDS).map(|n| deed("anna", &format!("{batch}-{n}")));
        write(&world, deeds.collect()).await;
    }
    let kept = read(&world, &all(1_000)).await;
    assert_eq!(kept.len(), KEPT);
    assert_eq!(kept[KEPT - 1], deed("anna", "2-0"));
}
