//! What an embedder compiles: what was asked for, and no more.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The crates that `carillon` with these features brings along, itself included.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let told = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["tree", "--offline", "--package", "carillon"])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .arg("--no-default-features")
        .arg(format!("--features={}", features.join(",")))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "cargo tree: {error}");
    let lines = String::from_utf8(told.stdout).unwrap();
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// Those of the binary, of HTTP and of the built-in tasks.
const OF_THE_FACE: [&str; 14] = [
    "anyhow",
    "argon2",
    "axum",
    "clap",
    "hdrhistogram",
    "http",
    "hyper",
    "prometheus-client",
    "reqwest",
    "toml",
    "tower",
    "tower-http",
    "tracing-subscriber",
    "utoipa",
];

const OF_REDIS: [&str; 4] = ["redis", "rmp-serde", "rustls", "scheduler-redis"];

const OF_MACROS: [&str; 2] = ["carillon-macros", "inventory"];

/// Which of `names` are there.
fn found<'a>(crates: &BTreeSet<String>, names: &[&'a str]) -> Vec<&'a str> {
    let is_there = |name: &&&str| crates.contains(**name);
    names.iter().filter(is_there).copied().collect()
}

const NONE: [&str; 0] = [];

#[test]
fn an_embedded_scheduler_brings_few_crates() {
    let alone = crates(&[]);
    assert_eq!(found(&alone, &OF_THE_FACE), NONE);
    assert_eq!(found(&alone, &OF_REDIS), NONE);
    assert_eq!(found(&alone, &OF_MACROS), NONE);
    // 52 when this was written. More need a reason.
    assert!(alone.len() <= 55, "{}: {alone:?}", alone.len());
}

#[test]
fn the_store_on_redis_and_the_attributes_bring_what_they_need_and_no_more() {
    let embedded = crates(&["macros", "redis"]);
    assert_eq!(found(&embedded, &OF_THE_FACE), NONE);
    assert_eq!(found(&embedded, &OF_REDIS), OF_REDIS);
    assert_eq!(found(&embedded, &OF_MACROS), OF_MACROS);
    // 109 when this was written.
    assert!(embedded.len() <= 112, "{}: {embedded:?}", embedded.len());
}

#[test]
fn each_feature_brings_its_own() {
    let of = |feature: &str| found(&crates(&[feature]), &OF_THE_FACE);
    assert_eq!(of("task-shell"), NONE);
    assert_eq!(of("task-stream"), NONE);
    assert!(of("task-http").contains(&"reqwest"));
    assert!(!of("task-http").contains(&"axum"));
    let http = of("http");
    assert!(http.contains(&"axum") && !http.contains(&"clap") && !http.contains(&"reqwest"));
    let cli = of("cli");
    assert!(cli.contains(&"clap") && !cli.contains(&"axum"));
    // The binary, as it is installed, has them all, or the names would mean nothing.
    let whole = crates(&["default"]);
    assert_eq!(found(&whole, &OF_THE_FACE), OF_THE_FACE);
}
