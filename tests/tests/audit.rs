//! Who changed what is written down: over HTTP, on the command line, by configurations and programs.

use anyhow::{Context, Result};
use carillon::audit::{Author, Via, acting_as};
use carillon::config::Role;
use carillon::core::Store;
use carillon::core::audit::AuditQuery;
use carillon::http::{hash, new_token};
use carillon::jobs::{Jobs, OnConflict};
use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::conformance::job;
use tests::http::{ANY_PORT, client, served_by};
use tests::node::{Node, carillon};
use tests::redis_server::{Persistence, RedisServer};

/// A token, and what the configuration holds of it.
fn token(name: &str, role: Role) -> Result<(String, String)> {
    let token = new_token(name)?;
    let hash = hash(&token)?;
    let table =
        format!("[[http.tokens]]\nname = \"{name}\"\nhash = \"{hash}\"\nrole = \"{role}\"\n");
    Ok((token, table))
}

#[tokio::test]
async fn changes_are_written_down_with_who_made_them_and_which_way() -> Result<()> {
    let (ops, ops_table) = token("ops", Role::Operator)?;
    let (guest, guest_table) = token("guest", Role::Viewer)?;
    let http = format!("[http]\nflask_api = true\n{ops_table}{guest_table}");
    let cluster = Cluster::new(Persistence::None, 1, &http).await?;
    let config = cluster.config.to_str().context("a path")?;
    let args = ["--config", config, ANY_PORT[0], ANY_PORT[1]];
    let node = Node::start("one", &args)?;
    let url = served_by(&node).await?;
    node.says("jobs of the configuration: 1 added").await?;
    let ask = |method: &str, path: &str, key: &str, body: Value| {
        let request = client().request(method.parse().expect("a method"), format!("{url}{path}"));
        let request = request.bearer_auth(key).body(body.to_string());
        async move { anyhow::Ok(request.send().await?.status().as_u16()) }
    };
    let job = json!({"id": "report", "task": "log", "args": {"message": "m"},
        "trigger": {"type": "interval", "hours": 1}});
    assert_eq!(ask("POST", "/api/v1/jobs", &ops, job).await?, 201);
    let pause = "/scheduler/jobs/report/pause";
    assert_eq!(ask("POST", pause, &ops, json!({})).await?, 200);
    // Looking is no deed, and what changes nothing is none either.
    assert_eq!(ask("GET", "/api/v1/jobs", &guest, json!({})).await?, 200);
    let resume = "/api/v1/jobs/job-0/resume";
    assert_eq!(ask("POST", resume, &ops, json!({})).await?, 200);
    let remove = "/api/v1/jobs/report";
    assert_eq!(ask("DELETE", remove, &guest, json!({})).await?, 403);

    let typed = |args: &'static [&'static str]| {
        let mut command = carillon();
        command.args(["--config", config]).args(args);
        command.env("USER", "anna").env_remove("LOGNAME");
        async move {
            let output = command.output().await?;
            anyhow::ensure!(output.status.success(), "{output:?}");
            Ok(String::from_utf8(output.stdout)?)
        }
    };
    typed(&["queue", "set", "mail", "--rate", "5/s"]).await?;
    typed(&["job", "remove", "report"]).await?;

    let author = Author::new("the admin page", Via::Library);
    let jobs = Jobs::new(cluster.store.clone());
    let paused = acting_as(author, jobs.pause(&"job-0".parse()?)).await;
    paused?;
    // In nobody's name.
    jobs.resume(&"job-0".parse()?).await?;

    let host = rustix::system::uname();
    let anna = format!("anna@{}", host.nodename().to_string_lossy());
    let expected = [
        json!([
            "the admin page",
            "library",
            null,
            null,
            "job_paused",
            ["job-0"],
            "done",
            null
        ]),
        json!([
            anna,
            "cli",
            null,
            null,
            "job_removed",
            ["report"],
            "done",
            null
        ]),
        json!([
            anna,
            "cli",
            null,
            null,
            "queue_limited",
            ["mail"],
            "done",
            "concurrency any, rate 5/s"
        ]),
        json!([
            "guest",
            "http",
            "viewer",
            "127.0.0.1",
            "DELETE /api/v1/jobs/report",
            [],
            "refused",
            "\"guest\" has the role viewer, and this needs operator"
        ]),
        json!([
            "ops",
            "http",
            "operator",
            "127.0.0.1",
            "job_paused",
            ["report"],
            "done",
            null
        ]),
        json!([
            "ops",
            "http",
            "operator",
            "127.0.0.1",
            "job_added",
            ["report"],
            "done",
            null
        ]),
        json!([
            "one",
            "config",
            null,
            null,
            "job_added",
            ["job-0"],
            "done",
            null
        ]),
    ];
    let shown: Value = serde_json::from_str(&typed(&["audit", "--json"]).await?)?;
    let fields = [
        "by", "via", "role", "address", "did", "objects", "outcome", "detail",
    ];
    let told = |deeds: &Value| -> Vec<Value> {
        let deeds = deeds.as_array().into_iter().flatten();
        deeds
            .map(|deed| fields.map(|field| deed[field].clone()).to_vec().into())
            .collect()
    };
    assert_eq!(told(&shown), expected, "{shown:#}");

    // The same over HTTP, for those who may change things, page by page.
    let audit = format!("{url}/api/v1/audit");
    let forbidden = client().get(&audit).bearer_auth(&guest).send().await?;
    assert_eq!(forbidden.status(), 403);
    let (mut found, mut before) = (Vec::new(), None::<String>);
    loop {
        let more = before.map_or_else(String::new, |before| format!("&before={before}"));
        let page = client()
            .get(format!("{audit}?limit=3{more}"))
            .bearer_auth(&ops);
        let page: Value = serde_json::from_str(&page.send().await?.text().await?)?;
        found.extend(told(&page["items"]));
        match page["next"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(found, expected);
    let table = typed(&["audit", "--by", "ops", "--limit", "1"]).await?;
    assert!(table.contains("ops (operator, 127.0.0.1)"), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
    Ok(())
}

#[tokio::test]
async fn what_was_done_to_many_is_one_deed_and_a_full_redis_takes_it() -> Result<()> {
    let redis = RedisServer::start()?;
    let store = redis.store("default");
    let jobs = Jobs::new(store.clone());
    let mut wishes = Vec::new();
    for number in 0..50 {
        wishes.push(carillon::jobs::PutWish {
            job: job(&format!("job-{number}")).build(),
            on_conflict: OnConflict::Refuse,
        });
    }
    let author = || Author::new("anna", Via::Cli);
    acting_as(author(), jobs.put_all(&wishes)).await?;
    let query = AuditQuery {
        limit: 10,
        ..AuditQuery::default()
    };
    let page = store.audited(&query).await?;
    let [added] = &page.entries[..] else {
        panic!("{page:?}");
    };
    assert_eq!((added.deed.count, added.deed.objects.len()), (50, 20));
    // Without memory left nothing may be added; what frees some is done, and written down.
    let mut connection = redis.connect().await?;
    let used: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await?;
    let used = used
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", used.context("a number")?])
        .exec_async(&mut connection)
        .await?;
    acting_as(author(), jobs.remove(&"job-7".parse()?)).await?;
    let newest = store.audited(&query).await?.entries.remove(0).deed;
    assert_eq!(
        (newest.did.as_str(), &newest.objects[..]),
        ("job_removed", &["job-7".to_owned()][..])
    );
    Ok(())
}
