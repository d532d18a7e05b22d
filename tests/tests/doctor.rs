//! What `carillon doctor` says of real servers, with real workers, or none.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;
use tests::node::{Node, carillon, until};
use tests::redis_server::{Persistence, RedisServer};

/// The exit code, and the findings that are not fine.
async fn doctor(url: &str, more: &[&str]) -> Result<(Option<i32>, Vec<Value>)> {
    let mut command = carillon();
    command
        .args(["doctor", "--json", "--store", url])
        .args(more);
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no findings, but: {said}"))?;
    let bad = findings.into_iter().filter(|f| f["level"] != "fine");
    Ok((output.status.code(), bad.collect()))
}

/// What was looked at and not found fine.
fn checks(findings: &[Value]) -> Vec<&str> {
    findings
        .iter()
        .filter_map(|f| f["check"].as_str())
        .collect()
}

#[tokio::test]
async fn a_server_as_it_should_be_is_fine_with_no_more_rights_than_needed() -> Result<()> {
    let server = RedisServer::with_least_rights(Persistence::AppendOnly)?;
    let (code, findings) = doctor(&server.url(), &["--strict"]).await?;
    assert_eq!(findings, Vec::<Value>::new());
    assert_eq!(code, Some(0));
    let mut connection = server.connect().await?;
    let mut keys = redis::cmd("INFO");
    let keys: String = keys.arg("keyspace").query_async(&mut connection).await?;
    assert!(!keys.contains("db0"), "nothing is left behind: {keys}");
    Ok(())
}

#[tokio::test]
async fn settings_that_break_promises_are_problems() -> Result<()> {
    let lossy = ["--maxmemory-policy", "allkeys-lru"];
    let server = RedisServer::with_arguments(Persistence::None, None, &lossy)?;
    let (code, findings) = doctor(&server.url(), &[]).await?;
    assert_eq!(checks(&findings), ["eviction", "persistence"]);
    assert_eq!(code, Some(1));
    for finding in &findings {
        assert!(finding["breaks"].is_string() && finding["mend"].is_string());
    }
    let port = server.port().to_string();
    let replica = ["--replicaof", "127.0.0.1", &port];
    let replica = RedisServer::with_arguments(Persistence::None, None, &replica)?;
    let (code, findings) = doctor(&replica.url(), &[]).await?;
    assert_eq!(checks(&findings).first(), Some(&"role"));
    assert_eq!(code, Some(1));
    Ok(())
}

#[tokio::test]
async fn a_right_that_is_missing_is_found_by_trying() -> Result<()> {
    let server = RedisServer::with(Persistence::AppendOnly, None)?;
    let mut connection = server.connect().await?;
    let rights = "on >secret ~carillon:* &carillon:* +@all -hset";
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("short");
    user.arg(rights.split(' ').collect::<Vec<_>>());
    let _: () = user.query_async(&mut connection).await?;
    let url = format!("redis://short:secret@127.0.0.1:{}", server.port());
    let (code, findings) = doctor(&url, &[]).await?;
    assert_eq!(checks(&findings), ["trial"]);
    let found = findings[0]["found"].as_str().unwrap_or_default();
    assert!(found.contains("can't run this command"), "{found}");
    assert_eq!(code, Some(1));
    Ok(())
}

#[tokio::test]
async fn what_waits_for_nobody_is_told() -> Result<()> {
    let server = RedisServer::with(Persistence::AppendOnly, None)?;
    let url = server.url();
    let add = async |id: &str, more: &[&str]| {
        let mut command = carillon();
        let job = [
            "job",
            "add",
            "--store",
            &url,
            "--id",
            id,
            "--task",
            "log",
            "--now",
            "--args",
            r#"{"message": "x"}"#,
        ];
        let output = command.args(job).args(more).output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "{said}");
        Ok(())
    };
    add("a", &["--queue", "mail"]).await?;
    let (_, findings) = doctor(&url, &[]).await?;
    assert_eq!(checks(&findings), ["workers"]);
    let node = Node::start("a", &["--store", &url])?;
    let found = || async { Ok(checks(&doctor(&url, &[]).await?.1) == ["queues"]) };
    until("a queue that nobody serves", found).await?;
    drop(node);
    Ok(())
}

#[tokio::test]
async fn what_was_damaged_by_hand_is_mended_and_told() -> Result<()> {
    let server = RedisServer::with(Persistence::AppendOnly, None)?;
    let url = server.url();
    let mut connection = server.connect().await?;
    let mut set = async |key: &str, field: &str, value: &str| -> Result<()> {
        let mut set = redis::cmd("HSET");
        set.arg(format!("carillon:{{default/0}}:{key}"))
            .arg(field)
            .arg(value);
        Ok(set.query_async::<()>(&mut connection).await?)
    };
    // A run that is nowhere, beside one that is too young to judge.
    let young = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    set("busy", "stray", "@1000").await?;
    set("busy", "both", &format!("@1000 @{young}")).await?;
    set("inuse", "default", "7").await?;
    let held = "lost~00000000000000000000000000000001";
    let left = "lost~00000000000000000000000000000002";
    set(&format!("claims:{held}"), "kept@1000", "9 3 1 0 default n").await?;
    set("busy", "kept", "@1000").await?;
    set(&format!("session:{left}"), "running", "0").await?;

    let output = carillon()
        .args(["doctor", "--fix", "--json", "--store", &url])
        .output()
        .await?;
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let fixed = findings.iter().filter(|f| f["check"] == "fixed");
    let fixed: Vec<_> = fixed.filter_map(|f| f["found"].as_str()).collect();
    let expected = [
        format!("declared session {held} dead: workers settle what it held"),
        format!("deleted what was left of session {left}"),
        "freed the place of both@1000, which is nowhere".to_owned(),
        "freed the place of stray@1000, which is nowhere".to_owned(),
        "counted claims by queue anew".to_owned(),
    ];
    assert_eq!(fixed, expected);

    let mut busy = redis::cmd("HGETALL");
    busy.arg("carillon:{default/0}:busy");
    let busy: BTreeMap<String, String> = busy.query_async(&mut server.connect().await?).await?;
    let expected = [("both", format!("@{young}")), ("kept", "@1000".to_owned())];
    assert_eq!(
        busy,
        expected.map(|(job, words)| (job.to_owned(), words)).into()
    );
    let mut count = redis::cmd("HGET");
    count.arg("carillon:{default/0}:inuse").arg("default");
    let count: u64 = count.query_async(&mut server.connect().await?).await?;
    assert_eq!(count, 1, "the claim of the dead session");

    let again = carillon()
        .args(["doctor", "--fix", "--json", "--store", &url])
        .output()
        .await?;
    let findings: Vec<Value> = serde_json::from_slice(&again.stdout)?;
    assert!(
        findings.iter().all(|f| f["check"] != "fixed"),
        "{findings:#?}"
    );
    Ok(())
}
