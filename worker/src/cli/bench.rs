//! `carillon bench`: what this Redis can do.

use std::time::Duration;

use carillon::bench::{self, Recurring};
use carillon::config::StoreSettings;
use tokio::runtime::Builder;

use super::args::{BenchArgs, BenchCommand, Global, RecurringArgs};
use super::failure::Failure;
use super::output;
use super::store;

pub(super) fn run(global: &Global, args: &BenchArgs) -> Result<(), Failure> {
    let BenchCommand::Recurring(recurring) = &args.command;
    measure(global, recurring)
}

fn measure(global: &Global, args: &RecurringArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    // Says what is missing where there is no shared store.
    store::shared(&settings)?;
    let StoreSettings::Redis(config) = &settings.store else {
        return Ok(());
    };
    let load = Recurring {
        jobs: args.jobs as usize,
        every: args.every,
        nodes: args.nodes as usize,
        concurrency: args.concurrency as usize,
        measure: Duration::from_secs(u64::from(args.seconds)),
    };
    // Many nodes in one process: they share its processors as several processes would.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(bench::recurring(config, &load, |step| {
        eprintln!("{step} ...");
    }));
    let report = measured.map_err(|error| Failure::Unreachable(format!("{config}: {error:#}")))?;
    if args.json {
        output::json(&report.to_json())?;
    } else {
        output::line(report.to_string().trim_end())?;
    }
    if report.is_sustained() {
        Ok(())
    } else {
        Err(Failure::Refused("this rate is not sustained".to_owned()))
    }
}
