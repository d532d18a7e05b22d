//! `carillon bench`: it measures, and leaves nothing behind.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::binary::{Said, carillon, until};
use crate::redis::Redis;

#[test]
fn one_shot_jobs_are_added_and_drained_and_nothing_is_left_behind() {
    let redis = Redis::start();
    let found = redis.json(&["bench", "oneshot", "--count", "300", "--json"]);
    assert_eq!(found["sustained"], true, "{found}");
    assert_eq!(found["drained"]["begun"], 300.0, "{found}");
    for figure in ["command_us", "cpu_us", "commands"] {
        let spent = found["drained_redis_per_fire"][figure].as_f64();
        assert!(spent.is_some_and(|spent| spent > 0.0), "{found}");
    }
    assert!(found["redis_bytes"]["per_job"].as_f64() > Some(100.0));
    assert_eq!(redis.keys("carillon:{bench-*"), 0);
}

#[test]
fn workers_in_processes_of_their_own_are_counted_like_those_in_one() {
    let redis = Redis::start();
    let found = redis.json(&[
        "bench",
        "oneshot",
        "--count",
        "300",
        "--processes",
        "2",
        "--nodes",
        "1",
        "--json",
    ]);
    assert_eq!(found["sustained"], true, "{found}");
    assert_eq!(found["drained"]["begun"], 300.0, "{found}");
    assert_eq!(redis.keys("carillon:{bench-*"), 0);

    let embedded = ["bench", "oneshot", "--count", "1", "--processes", "1"];
    let refused = carillon(&embedded).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && told.contains("--processes needs a Redis"),
        "{told}"
    );
}

#[test]
fn adding_is_measured_one_by_one_and_in_bulk() {
    let redis = Redis::start();
    let found = redis.said(&["bench", "add", "--count", "250"], 0);
    for section in ["one by one ms", "bulk redis per fire", "redis bytes"] {
        assert!(found.out.contains(section), "{}", found.out);
    }
    assert_eq!(redis.keys("carillon:{bench-*"), 0);
}

#[test]
fn the_embedded_store_is_measured_where_there_is_no_other() {
    let args = [
        "bench",
        "recurring",
        "--jobs",
        "10",
        "--seconds",
        "1",
        "--json",
    ];
    let found = Said::of(&mut carillon(&args));
    let json: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(json["fires"]["expected"], 10.0, "{json}");
    assert!(json["about"].as_str().unwrap().ends_with("on memory"));
    assert!(json.get("redis_per_fire").is_none(), "{json}");
    // On a machine that is busy with other things it may not keep up.
    assert_eq!(json["sustained"], found.code == 0, "{json}");
}

#[test]
fn a_measurement_that_is_interrupted_leaves_nothing_behind() {
    let redis = Redis::start();
    let mut bench = redis
        .carillon(&["bench", "recurring", "--jobs", "50", "--seconds", "600"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("a leader", || {
        (redis.keys("carillon:{bench-*:leader") > 0).then_some(())
    });
    kill_process(Pid::from_child(&bench), Signal::INT).unwrap();
    assert!(!bench.wait().unwrap().success());
    assert_eq!(redis.keys("carillon:{bench-*"), 0);
}

#[test]
fn a_period_that_makes_no_sense_is_refused() {
    for period in ["1ms", "2m", "100.5ms", "soon"] {
        let said = Said::of(&mut carillon(&["bench", "lateness", "--every", period]));
        let said = said.ends_with(2);
        assert!(said.err.contains("--every"), "{}", said.err);
    }
}
