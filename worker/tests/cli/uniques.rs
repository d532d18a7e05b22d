//! Jobs with unique keys, from the command line.

use std::fs;

use crate::redis::Redis;

const NEXT_YEAR: &str = "2099-01-01T00:00:00Z";

fn add<'a>(id: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    let add = ["job", "add", "--id", id, "--task", "t", "--at", NEXT_YEAR];
    [&add[..], &["--unique", "order 7"], flags].concat()
}

#[test]
fn a_unique_key_is_given_shown_and_kept_from_others() {
    let redis = Redis::start();
    assert_eq!(
        redis.said(&add("a", &["--unique-for", "1h"]), 0).out,
        "added a\n"
    );
    let shown = redis.said(&["job", "show", "a"], 0).out;
    assert!(
        shown.contains("unique               order 7, held for 1h, ignore on conflict\n"),
        "{shown}"
    );
    let json = redis.json(&["job", "show", "a", "--json"]);
    let unique = serde_json::json!({ "key": "order 7", "ttl": 3600, "on_conflict": "ignore" });
    assert_eq!(json["unique"], unique);

    let ignored = "ignored: a holds the unique key\n";
    assert_eq!(redis.said(&add("b", &[]), 0).out, ignored);
    let refused = redis.said(&add("b", &["--on-conflict", "error"]), 1).err;
    assert_eq!(
        refused,
        "error: job \"b\": its unique key is held by job \"a\"\n"
    );
    let replaced = redis.said(&add("b", &["--on-conflict", "replace"]), 0).out;
    assert_eq!(replaced, "added b in place of a\n");
    redis.said(&["job", "show", "a"], 1);

    redis.said(&["job", "remove", "b"], 0);
    assert_eq!(redis.said(&add("c", &[]), 0).out, "added c\n");

    let wrong = redis.said(&add("d", &["--unique-for", "soon"]), 2).err;
    assert!(
        wrong.contains("unique.ttl: \"soon\" is no duration"),
        "{wrong}"
    );
    let hourly = [
        "job", "add", "--id", "d", "--task", "t", "--every", "1h", "--unique", "k",
    ];
    let wrong = redis.said(&hourly, 2).err;
    assert!(
        wrong.contains("unique: is for jobs that run once"),
        "{wrong}"
    );
}

#[test]
fn a_job_gets_another_key_unless_another_job_has_it() {
    let redis = Redis::start();
    redis.said(&add("a", &[]), 0);
    redis.said(&["job", "modify", "a", "--unique", "order 8"], 0);
    redis.said(&add("b", &[]), 0);
    let taken = redis.said(&["job", "modify", "a", "--unique", "order 7"], 1);
    assert_eq!(
        taken.err,
        "error: job \"a\": unique.key: \"order 7\" is held by job \"b\"\n"
    );
    let longer = [
        "job",
        "modify",
        "b",
        "--unique",
        "order 7",
        "--unique-for",
        "1h",
    ];
    let refused = redis.said(&longer, 2).err;
    assert!(
        refused.contains("unique.ttl: the job has the key \"order 7\" already"),
        "{refused}"
    );
    redis.said(&["job", "modify", "b", "--set", "unique=null"], 0);
    let taken = redis.said(&["job", "modify", "a", "--unique", "order 7"], 0);
    assert!(taken.out.starts_with("modified a: "), "{}", taken.out);
    let shown = redis.json(&["job", "show", "b", "--json"]);
    assert_eq!(shown["unique"], serde_json::Value::Null);
    let ignored = "ignored: a holds the unique key\n";
    assert_eq!(redis.said(&add("c", &[]), 0).out, ignored);
}

#[test]
fn lines_and_exports_carry_unique_keys() {
    let redis = Redis::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jobs.jsonl");
    let line = |id: &str, key: &str| {
        format!(
            "{{\"id\": \"{id}\", \"task\": \"t\", \"trigger\": {{\"type\": \"date\", \"run_date\": \
             \"{NEXT_YEAR}\"}}, \"unique\": {{\"key\": \"{key}\"}}}}\n"
        )
    };
    let lines = [line("a", "one"), line("b", "one"), line("c", "two")].concat();
    fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    let said = redis.said(&["job", "add", "--file", file], 0).out;
    assert!(
        said.starts_with("2 added, 0 replaced, 0 as they were, 1 ignored, 0 refused"),
        "{said}"
    );
    let exported = redis.said(&["export"], 0).out;
    assert_eq!(exported.lines().count(), 2);
    redis.said(&["job", "remove", "a"], 0);
    redis.said(&add("other", &[]), 0);
    let other = exported.replace("\"one\"", "\"order 7\"");
    let file = directory.path().join("export.jsonl");
    fs::write(&file, other).unwrap();
    let said = redis.said(&["import", file.to_str().unwrap()], 1).err;
    assert!(
        said.contains("job \"a\": its unique key is held by job \"other\""),
        "{said}"
    );
}
