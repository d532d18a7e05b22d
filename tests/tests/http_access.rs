//! Who may ask what: every route, with every key.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use carillon::Tasks;
use carillon::config::Role;
use carillon::http::{hash, new_token};
use carillon::task::builtin::Builtins;
use reqwest::header::{AUTHORIZATION, HOST, ORIGIN};
use serde_json::json;
use tests::cluster::Cluster;
use tests::http::{client, served_by};
use tests::node::{Node, carillon};
use tests::redis_server::Persistence;
use tests::served::Served;

const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

/// A token, and what the configuration holds of it.
fn token(name: &str, role: Role, namespace: &str) -> Result<(String, String)> {
    let token = new_token(name)?;
    let hash = hash(&token)?;
    let table = format!(
        "[[http.tokens]]\nname = \"{name}\"\nhash = \"{hash}\"\nrole = \"{role}\"\n\
         namespace = \"{namespace}\"\n"
    );
    Ok((token, table))
}

fn builtin() -> Tasks {
    Tasks::builtin(Builtins::new())
}

/// Asks a route about a job that is not there.
async fn ask(served: &Served, method: &str, path: &str, key: Option<&str>) -> Result<u16> {
    Ok(told(served, method, path, key).await?.0)
}

/// The same, and what is answered.
async fn told(
    served: &Served,
    method: &str,
    path: &str,
    key: Option<&str>,
) -> Result<(u16, String)> {
    let path = path.replace("{id}", "none").replace("{run}", "none@1");
    let path = path.replace("{queue}", "none").replace("{key}", "none");
    let mut request = client().request(method.parse()?, format!("{}{path}", served.url));
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, key);
    }
    if method != "GET" {
        request = request.body("{}");
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    // Events go on for as long as anybody listens.
    let is_endless = path.ends_with("/events") && status == 200;
    let text = if is_endless {
        String::new()
    } else {
        answer.text().await?
    };
    Ok((status, text))
}

#[tokio::test]
async fn every_route_opens_to_the_roles_that_it_is_for_and_to_no_other_key() -> Result<()> {
    let mut config = "namespace = \"ours\"\n[http]\nflask_api = true\nrate_limit = 0\n".to_owned();
    let mut keys = Vec::new();
    for role in ROLES {
        let (ours, table) = token(&format!("{role}-ours"), role, "ours")?;
        config.push_str(&table);
        let (theirs, table) = token(&format!("{role}-theirs"), role, "theirs")?;
        config.push_str(&table);
        keys.push((role, format!("Bearer {ours}"), format!("Bearer {theirs}")));
    }
    let served = Served::start(&config, builtin()).await?;
    let mut seen = BTreeSet::new();
    for route in &served.routes {
        let (method, path) = (route.method, route.path.as_str());
        seen.insert((path, method));
        let nobody = ask(&served, method, path, None).await?;
        let Some(needed) = route.role else {
            assert!(nobody == 200 || nobody == 503, "{method} {path}: {nobody}");
            continue;
        };
        assert_eq!(nobody, 401, "{method} {path} without a key");
        for (role, ours, theirs) in &keys {
            let (status, text) = told(&served, method, path, Some(ours)).await?;
            let secret = ours.rsplit('.').next().context("a secret")?;
            for secret in ["$argon2", secret] {
                assert!(!text.contains(secret), "{method} {path} as {role}: {text}");
            }
            let opens = ![401, 403].contains(&status);
            assert_eq!(
                opens,
                *role >= needed,
                "{method} {path} as {role}: {status}"
            );
            let status = ask(&served, method, path, Some(theirs)).await?;
            assert_eq!(
                status, 403,
                "{method} {path} as {role} of another namespace"
            );
        }
    }
    // The table is what is served: nothing else is.
    assert!(seen.contains(&("/scheduler/jobs", "POST")), "{seen:?}");
    assert!(seen.contains(&("/api/v1/events", "GET")), "{seen:?}");
    let tampered = format!("{}x", keys[2].1);
    for key in [
        tampered.as_str(),
        "Bearer x.y",
        "Bearer",
        "Basic !!",
        "Basic bm9ib2R5",
        "",
    ] {
        let status = ask(&served, "GET", "/scheduler/jobs", Some(key)).await?;
        assert_eq!(status, 401, "{key}");
    }
    served.stop().await
}

#[tokio::test]
async fn who_tries_many_keys_is_told_to_wait() -> Result<()> {
    let (_, table) = token("ops", Role::Admin, "default")?;
    let config = format!("[http]\nflask_api = true\n{table}");
    let served = Served::start(&config, builtin()).await?;
    // All at once: however slow the machine is, they come faster than they are let through.
    let tries = (0..60).map(|number| {
        let served = &served;
        async move {
            ask(
                served,
                "GET",
                "/scheduler",
                Some(&format!("Bearer ops.{number}")),
            )
            .await
        }
    });
    let mut refused = 0;
    for answer in futures_util::future::join_all(tries).await {
        match answer? {
            401 => {}
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(refused > 0, "60 tries at once");
    served.stop().await
}

#[tokio::test]
async fn a_client_may_ask_so_often_per_second() -> Result<()> {
    let config = "[http]\nflask_api = true\nrate_limit = 5\n";
    let served = Served::start(config, builtin()).await?;
    let mut refused = 0;
    for _ in 0..50 {
        let answer = client()
            .get(format!("{}/scheduler", served.url))
            .send()
            .await?;
        if answer.status() == 429 {
            assert_eq!(answer.headers()["retry-after"], "1");
            refused += 1;
        }
        // Probes are not counted.
        assert_eq!(ask(&served, "GET", "/healthz", None).await?, 200);
    }
    assert!(
        refused > 0,
        "50 requests at once, and 5 per second are allowed"
    );
    served.stop().await
}

#[tokio::test]
async fn pages_of_elsewhere_cannot_make_a_browser_ask() -> Result<()> {
    let served = Served::start("[http]\nflask_api = true\n", builtin()).await?;
    let url = format!("{}/scheduler/jobs", served.url);
    let job = json!({"id": "a", "func": "log", "kwargs": {"message": "m"}, "trigger": "interval"});
    let post = || client().post(&url).body(job.to_string());
    // A form of another page, of this machine under another name, and a name that leads here.
    for (name, value) in [
        (ORIGIN, "http://evil.example"),
        (ORIGIN, "null"),
        ("sec-fetch-site".parse()?, "cross-site"),
        ("sec-fetch-site".parse()?, "same-site"),
    ] {
        let answer = post().header(&name, value).send().await?;
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    let answer = post().header(HOST, "evil.example").send().await?;
    assert_eq!(answer.status(), 421);
    let answer = client()
        .get(&url)
        .header(HOST, "evil.example:80")
        .send()
        .await?;
    assert_eq!(answer.status(), 421);
    // The page that this server itself might show, and whoever is no browser.
    let own = served.url.clone();
    assert_eq!(post().header(ORIGIN, own).send().await?.status(), 200);
    let answer = client().get(&url).send().await?;
    assert_eq!(answer.status(), 200);
    let headers = answer.headers();
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["x-frame-options"], "DENY");
    assert!(
        headers["content-security-policy"]
            .to_str()?
            .contains("default-src 'none'")
    );
    assert!(!headers.contains_key("access-control-allow-origin"));
    served.stop().await
}

#[tokio::test]
async fn commands_are_not_scheduled_over_http_unless_that_is_allowed() -> Result<()> {
    let job = json!({"id": "a", "func": "shell", "kwargs": {"command": ["true"]}, "trigger": "interval", "hours": 1});
    for (http, status) in [("", 422), ("allow_shell = true\n", 200)] {
        let config = format!("[http]\nflask_api = true\n{http}");
        let tasks = Tasks::builtin(Builtins::new().shell(true));
        let served = Served::start(&config, tasks).await?;
        let url = format!("{}/scheduler/jobs", served.url);
        let answer = client().post(url).body(job.to_string()).send().await?;
        assert_eq!(answer.status().as_u16(), status, "{http}");
        served.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_address_of_the_network_needs_a_key_or_to_be_meant_twice() -> Result<()> {
    let everywhere = "0.0.0.0:0";
    let refused = |config: &'static str, flag: bool| async move {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("carillon.toml");
        std::fs::write(&path, config)?;
        let path = path.to_str().context("a path")?.to_owned();
        let mut args = vec!["--config", &path, "--http", everywhere];
        if flag {
            args.push("--http-unauthenticated");
        }
        let mut node = Node::start("one", &args)?;
        let served = served_by(&node);
        let is_refused = tokio::select! {
            served = served => { served?; false }
            () = async { while !node.log().contains("can be reached from elsewhere") { tokio::task::yield_now().await; } } => true,
        };
        if !is_refused {
            node.kill().await?;
        }
        Ok::<_, anyhow::Error>(is_refused)
    };
    assert!(refused("", false).await?);
    assert!(refused("", true).await?);
    assert!(refused("[http]\nunauthenticated = true\n", false).await?);
    assert!(!refused("[http]\nunauthenticated = true\n", true).await?);
    let with_key: &'static str =
        Box::leak(token("ops", Role::Viewer, "default")?.1.into_boxed_str());
    assert!(!refused(with_key, false).await?);
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_any_log() -> Result<()> {
    let (token, table) = token("ops", Role::Admin, "default")?;
    let password = "correct-horse-battery";
    let user = format!(
        "[[http.users]]\nname = \"guest\"\nhash = \"{}\"\nrole = \"viewer\"\n",
        hash(password)?
    );
    let http = format!("[http]\nbind = \"127.0.0.1:0\"\nflask_api = true\n{table}{user}");
    let cluster = Cluster::new(Persistence::None, 1, &http).await?;
    let config = cluster.config.to_str().context("a path")?;
    let mut node = Node::start_with("one", &["--config", config], &[("CARILLON_LOG", "trace")])?;
    let url = format!("{}/scheduler/jobs", served_by(&node).await?);
    let answers = [
        client().get(&url).bearer_auth(&token).send().await?,
        client()
            .get(&url)
            .basic_auth("guest", Some(password))
            .send()
            .await?,
        client()
            .get(&url)
            .basic_auth("guest", Some("wrong-horse"))
            .send()
            .await?,
        client()
            .get(&url)
            .bearer_auth("ops.wrong-token")
            .send()
            .await?,
        client()
            .post(&url)
            .bearer_auth(&token)
            .body("{}")
            .send()
            .await?,
    ];
    let statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    assert_eq!(statuses, [200, 200, 401, 401, 422]);
    node.signal(rustix::process::Signal::TERM)?;
    assert!(node.ended().await?.success());
    let log = node.log();
    assert!(log.contains("HTTP is served"), "{log}");
    let secret = token.split_once('.').context("a secret")?.1;
    for text in [secret, password, "wrong-horse", "wrong-token", "$argon2"] {
        assert!(!log.contains(text), "{text} is in the log");
    }
    let encoded = [("guest", password), ("guest", "wrong-horse")];
    for (name, password) in encoded {
        let basic = reqwest::Client::new()
            .get(&url)
            .basic_auth(name, Some(password))
            .build()?;
        let header = basic.headers()[AUTHORIZATION].to_str()?.to_owned();
        assert!(!log.contains(&header[6..]), "{header} is in the log");
    }
    Ok(())
}

#[tokio::test]
async fn tokens_are_made_on_the_command_line() -> Result<()> {
    let output = carillon()
        .args(["token", "new", "ops", "--role", "operator"])
        .output()
        .await?;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout)?;
    let (token, table) = text.split_once('\n').context("a token and a table")?;
    assert!(token.starts_with("ops."), "{token}");
    assert!(!table.contains(token), "{table}");
    let served = Served::start(&format!("[http]\nflask_api = true\n{table}"), builtin()).await?;
    let key = format!("Bearer {token}");
    assert_eq!(
        ask(&served, "GET", "/scheduler/jobs", Some(&key)).await?,
        200
    );
    served.stop().await
}
