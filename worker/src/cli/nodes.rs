//! `carillon nodes`: the workers.

use std::env;

use carillon::core::Timestamp;
use carillon::wire::{WorkerState, WorkerView};
use chrono_tz::Tz;

use super::args::{Global, NodesArgs};
use super::failure::Failure;
use super::office::Office;
use super::output::{self, Table, local};
use super::{queue, store};

pub(super) fn run(global: &Global, args: &NodesArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let office = Office::of(global, &settings)?;
    let zone = settings.job_defaults.timezone;
    store::runtime()?.block_on(show(&office, args, zone))
}

async fn show(office: &Office, args: &NodesArgs, zone: Tz) -> Result<(), Failure> {
    let mut nodes = office.nodes().await?.items;
    if args.this {
        let this = This::find();
        nodes.retain(|node| this.is(node));
    }
    if args.json {
        output::json(&nodes)?;
    } else {
        output::table(&mut table(&nodes, zone), "no workers")?;
        queue::warn_if_held(&office.board().await?.hold, zone);
    }
    if args.this && !nodes.iter().any(|node| node.state == WorkerState::Alive) {
        return Err(Failure::Refused(
            "no worker of this host is alive in the store".to_owned(),
        ));
    }
    Ok(())
}

fn table(nodes: &[WorkerView], zone: Tz) -> Table {
    let mut table = Table::new(&[
        "NODE", "STATE", "LEADS", "RUNNING", "QUEUES", "HOST", "PID", "VERSION", "SINCE",
    ]);
    for node in nodes {
        let running = match node.concurrency {
            Some(concurrency) => format!("{}/{concurrency}", node.running),
            None => node.running.to_string(),
        };
        let since = node.since.as_deref();
        let since = since.and_then(|text| text.parse::<Timestamp>().ok());
        table.push(&[
            node.node.clone(),
            node.state.as_str().to_owned(),
            leads(node),
            running,
            weighted_queues(node),
            node.host.clone().unwrap_or_default(),
            node.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            node.version.clone().unwrap_or_default(),
            since.map(|at| local(at, zone)).unwrap_or_default(),
        ]);
    }
    table
}

/// Whether it leads; which shards, where there are several.
fn leads(node: &WorkerView) -> String {
    if node.leads_shards.is_empty() {
        return if node.leads { "yes" } else { "" }.to_owned();
    }
    let shards: Vec<_> = node.leads_shards.iter().map(u16::to_string).collect();
    shards.join(",")
}

/// Its queues as they are typed: `mail=3,default`.
fn weighted_queues(node: &WorkerView) -> String {
    let queues = node.queues.iter().zip(&node.weights);
    let typed = queues.map(|(queue, weight)| match weight {
        1 => queue.clone(),
        _ => format!("{queue}={weight}"),
    });
    typed.collect::<Vec<_>>().join(",")
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

    fn is(&self, node: &WorkerView) -> bool {
        match self {
            Self::Named(name) => node.node == *name,
            Self::OnHost(host) => node.host.as_ref() == Some(host),
        }
    }
}
