//! The cluster, and the document.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use tests::served::Served;

use super::{get, tasks};

#[tokio::test]
async fn the_cluster_shows_itself_and_the_document_tells_every_route() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let nodes = get(&served, "/nodes").await?.body;
    assert_eq!(nodes["items"][0]["state"], "alive");
    let leaders = get(&served, "/leaders").await?.body;
    assert_eq!(leaders["items"][0]["node"], nodes["items"][0]["node"]);
    let namespaces = get(&served, "/namespaces").await?.body;
    assert_eq!(namespaces["items"][0]["namespace"], "default");
    let stats = get(&served, "/stats").await?.body;
    assert_eq!(stats["jobs"], 0);
    let page = get(&served, "/docs").await?;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let page = page.body.as_str().context("a page")?.to_owned();
    for outside in ["http://", "https://", "<script", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}: nothing from elsewhere");
    }
    let document = get(&served, "/openapi.json").await?.body;
    assert_eq!(document["openapi"], "3.1.0");
    let mut told = BTreeSet::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for method in item.as_object().context("methods")?.keys() {
            told.insert((path.clone(), method.to_uppercase()));
            assert!(
                page.contains(&format!("<code>{path}</code>")),
                "{path} is on the page"
            );
        }
    }
    let native = served
        .routes
        .iter()
        .filter(|route| route.path.starts_with("/api/v1"));
    let served_: BTreeSet<_> = native
        .map(|route| (route.path.clone(), route.method.to_owned()))
        .collect();
    assert_eq!(told, served_);
    served.stop().await
}
