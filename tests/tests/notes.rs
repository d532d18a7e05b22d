//! Notes on a Redis end by themselves.

use std::time::Duration;

use scheduler_core::notes::{Note, Notes, RunNotes};
use scheduler_core::store::{NodeInfo, Register};
use scheduler_core::{Fence, NodeName, RunId, SessionId, Shard, Timestamp};
use tests::redis_server::RedisServer;
use uuid::Uuid;

#[tokio::test]
async fn notes_end_by_themselves_and_each_new_one_keeps_them_longer() {
    let server = RedisServer::start().unwrap();
    let store = server.store("default");
    let node = NodeName::new("a").unwrap();
    let session = SessionId::of(&node, Uuid::now_v7());
    let info = NodeInfo {
        node,
        host: "host".to_owned(),
        pid: 1,
        carillon: "0.1.0".to_owned(),
        concurrency: 1,
        queues: Vec::new(),
        weights: Vec::new(),
    };
    let ttl = Duration::from_secs(60);
    let register = Register {
        session: session.clone(),
        ttl,
        info,
    };
    store.register(&register).await.unwrap();
    let run = RunId::fire("a b".parse().unwrap(), Timestamp::from_ms(5));
    let mut redis = server.connect().await.unwrap();
    for (number, seconds) in [(1, 100), (2, 1_000)] {
        let mut notes = Notes::default();
        notes.log("a line", Timestamp::from_ms(7));
        let told = RunNotes {
            run: run.clone(),
            attempt: 1,
            fence: Fence(3),
            number,
            notes,
        };
        let note = Note {
            session: session.clone(),
            notes: vec![told],
            keep: Duration::from_secs(seconds),
        };
        store.note(&note).await.unwrap();
        let left: u64 = redis::cmd("PTTL")
            .arg("carillon:{default/0}:notes:a b@5")
            .query_async(&mut redis)
            .await
            .unwrap();
        let most = seconds * 1_000;
        assert!((most - 50_000..=most).contains(&left), "{left} of {most}");
    }
    let value: String = redis::cmd("HGET")
        .arg("carillon:{default/0}:notes:a b@5")
        .arg("attempt:1")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(
        value, r#"3 2 {"log":[{"at_ms":7,"text":"a line"}]}"#,
        "for people, too"
    );
}
