//! `carillon queue`, and `pause` and `resume` of the namespace.

use serde_json::{Value, json};

use crate::redis::Redis;

#[test]
fn a_queue_is_limited_and_paused_and_let_go_again() {
    let redis = Redis::start();
    assert_eq!(redis.said(&["queue", "list"], 0).err, "no queues\n");
    redis.said(&["queue", "show", "mail"], 1);
    let set = [
        "queue",
        "set",
        "mail",
        "--rate",
        "100/s",
        "--concurrency",
        "20",
    ];
    assert_eq!(redis.said(&set, 0).out, "limited mail\n");
    assert_eq!(redis.said(&set, 0).out, "it was so already\n");
    let none = ["queue", "set", "mail", "--rate", "none"];
    assert_eq!(redis.said(&none, 0).out, "limited mail\n");
    let pause = [
        "queue",
        "pause",
        "mail",
        "--reason",
        "no server",
        "--by",
        "anna",
    ];
    assert_eq!(redis.said(&pause, 0).out, "paused mail\n");
    let shown = redis.json(&["queue", "show", "mail", "--json"]);
    let told = |field: &str| shown[field].clone();
    assert_eq!(
        [
            "concurrency",
            "rate",
            "set_by",
            "paused",
            "paused_by",
            "reason",
            "waiting"
        ]
        .map(told),
        [
            json!(20),
            Value::Null,
            json!("operator"),
            json!(true),
            json!("anna"),
            json!("no server"),
            json!(0)
        ]
    );
    let list = redis.said(&["queue", "list"], 0).out;
    assert!(list.contains("by anna: no server"), "{list}");
    assert_eq!(
        redis.said(&["queue", "resume", "mail"], 0).out,
        "resumed mail\n"
    );
    assert_eq!(
        redis.said(&["queue", "reset", "mail"], 0).out,
        "mail has no limits of its own any more\n"
    );
    let shown = redis.json(&["queue", "show", "mail", "--json"]);
    assert_eq!(
        (&shown["concurrency"], &shown["paused"]),
        (&Value::Null, &json!(false))
    );
}

#[test]
fn a_paused_namespace_is_told_of() {
    let redis = Redis::start();
    let pause = ["pause", "--reason", "moving house", "--by", "anna"];
    assert_eq!(redis.said(&pause, 0).out, "paused the namespace\n");
    assert_eq!(redis.said(&pause, 0).out, "it was so already\n");
    let board = redis.json(&["queue", "list", "--json"]);
    assert_eq!(
        (&board["paused"], &board["reason"]),
        (&json!(true), &json!("moving house"))
    );
    let nodes = redis.said(&["nodes"], 0).err;
    assert!(nodes.contains("the namespace is paused since"), "{nodes}");
    assert!(nodes.contains("by anna: moving house"), "{nodes}");
    assert_eq!(redis.said(&["resume"], 0).out, "resumed the namespace\n");
    assert!(!redis.said(&["nodes"], 0).err.contains("paused"));
}

#[test]
fn what_is_typed_wrong_is_told_before_any_store_is_asked() {
    let redis = Redis::start();
    let rate = redis.said(&["queue", "set", "mail", "--rate", "fast"], 2);
    assert!(
        rate.err.starts_with("error: --rate: \"fast\" is no rate"),
        "{}",
        rate.err
    );
    let limit = redis.said(&["queue", "set", "mail", "--concurrency", "0"], 2);
    let rule = "error: --concurrency: \"0\" is no limit: give a number from 1, or none\n";
    assert_eq!(limit.err, rule);
    redis.said(&["queue", "set", "mail"], 2);
    redis.said(&["queue", "pause", "my mail"], 2);
}
