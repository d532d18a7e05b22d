//! `carillon nodes`: the workers.

use std::{env, iter};

use carillon::core::store::{NodeInfo, NodeView};
use carillon::core::{Store, Timestamp};
use chrono_tz::Tz;
use serde::Serialize;

use super::args::{Global, NodesArgs};
use super::failure::Failure;
use super::output::{self, Table, local};
use super::{queue, store};

pub(super) fn run(global: &Global, args: &NodesArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let store = store::shared(&settings)?;
    let zone = settings.job_defaults.timezone;
    store::runtime()?.block_on(show(&store, args, zone))
}

async fn show(store: &impl Store, args: &NodesArgs, zone: Tz) -> Result<(), Failure> {
    let failed = |error| Failure::of_store(&store.describe(), &error);
    let views = store.nodes().await.map_err(failed)?;
    let now = store.overview().await.map_err(failed)?.now;
    let mut nodes: Vec<Node> = views.iter().map(|view| Node::new(view, now)).collect();
    if args.this {
        let this = This::find();
        nodes.retain(|node| this.is(node));
    }
    nodes.sort_by(|a, b| (&a.node, &a.session).cmp(&(&b.node, &b.session)));
    if args.json {
        output::json(&nodes)?;
    } else {
        output::table(&mut table(&nodes, zone), "no workers")?;
        let board = store.queues().await.map_err(failed)?;
        queue::warn_if_held(board.hold.as_ref(), zone);
    }
    if args.this && !nodes.iter().any(|node| node.state == State::Alive) {
        return Err(Failure::Refused(
            "no worker of this host is alive in the store".to_owned(),
        ));
    }
    Ok(())
}

fn table(nodes: &[Node], zone: Tz) -> Table {
    let mut table = Table::new(&[
        "NODE", "STATE", "LEADS", "RUNNING", "QUEUES", "HOST", "PID", "VERSION", "SINCE",
    ]);
    for node in nodes {
        let running = match node.concurrency {
            Some(concurrency) => format!("{}/{concurrency}", node.running),
            None => node.running.to_string(),
        };
        table.push(&[
            node.node.clone(),
            node.state.as_str().to_owned(),
            if node.leads { "yes" } else { "" }.to_owned(),
            running,
            node.weighted_queues(),
            node.host.clone().unwrap_or_default(),
            node.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            node.version.clone().unwrap_or_default(),
            node.since_at.map(|at| local(at, zone)).unwrap_or_default(),
        ]);
    }
    table
}

/// A worker, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Node {
    node: String,
    session: String,
    state: State,
    leads: bool,
    running: usize,
    concurrency: Option<u32>,
    queues: Vec<String>,
    weights: Vec<u32>,
    host: Option<String>,
    pid: Option<u32>,
    version: Option<String>,
    since: Option<String>,
    deadline: String,
    #[serde(skip)]
    since_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It shows that it lives.
    Alive,
    /// It did not, for longer than it said it would.
    Silent,
    /// It was declared dead, and is being cleared up after.
    Dead,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Silent => "silent",
            Self::Dead => "dead",
        }
    }
}

impl Node {
    fn new(view: &NodeView, now: Timestamp) -> Self {
        let state = if view.dead {
            State::Dead
        } else if view.deadline < now {
            State::Silent
        } else {
            State::Alive
        };
        let info = view.info.as_ref();
        let queues = info.map(|info| info.queues.iter().map(ToString::to_string).collect());
        Self {
            node: view.session.node().to_owned(),
            session: view.session.to_string(),
            state,
            leads: view.leads,
            running: view.running,
            concurrency: info.map(|info| info.concurrency),
            weights: info.map(weights).unwrap_or_default(),
            queues: queues.unwrap_or_default(),
            host: info.map(|info| info.host.clone()),
            pid: info.map(|info| info.pid),
            version: info.map(|info| info.carillon.clone()),
            since: view.since.map(|at| at.to_string()),
            deadline: view.deadline.to_string(),
            since_at: view.since,
        }
    }

    /// Its queues as they are typed: `mail=3,default`.
    fn weighted_queues(&self) -> String {
        let queues = self.queues.iter().zip(&self.weights);
        let typed = queues.map(|(queue, weight)| match weight {
            1 => queue.clone(),
            _ => format!("{queue}={weight}"),
        });
        typed.collect::<Vec<_>>().join(",")
    }
}

/// A weight for each of its queues, in their order.
fn weights(info: &NodeInfo) -> Vec<u32> {
    let told = info.weights.iter().map(|weight| weight.get());
    told.chain(iter::repeat(1))
        .take(info.queues.len())
        .collect()
}

/// Which workers are "this" one: seen from another process, in the same container as a rule.
enum This {
    Named(String),
    OnHost(String),
}

impl This {
    fn find() -> Self {
        match env::var("CARILLON_NODE") {
            Ok(name) if !name.is_empty() => Self::Named(name),
            _ => {
                let host = rustix::system::uname();
                Self::OnHost(host.nodename().to_string_lossy().into_owned())
            }
        }
    }

    fn is(&self, node: &Node) -> bool {
        match self {
            Self::Named(name) => node.node == *name,
            Self::OnHost(host) => node.host.as_ref() == Some(host),
        }
    }
}
