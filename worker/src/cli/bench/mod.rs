//! `carillon bench`: what this Redis can do.

mod args;

use std::time::Duration;

use carillon::bench::{self, Bench, Load, Oneoffs, Steady, Target};
use carillon::config::StoreSettings;
use carillon::shutdown_signal;
use tokio::runtime::Builder;

use super::args::Global;
use super::failure::Failure;
use super::output;
use args::{BenchCommand, BenchWorkers, SteadyArgs};

pub(super) use args::BenchArgs;

pub(super) fn run(global: &Global, args: &BenchArgs) -> Result<(), Failure> {
    let (load, workers) = load(&args.command);
    let settings = global.settings()?;
    let target = match settings.store {
        StoreSettings::Redis(config) => Target::Redis(config),
        StoreSettings::Memory => Target::Memory,
    };
    let bench = Bench {
        load,
        nodes: workers.nodes as usize,
        processes: workers.processes as usize,
        concurrency: workers.concurrency as usize,
    };
    // Many nodes in one process: they share its processors as several processes would.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    if workers.processes > 0 {
        let Target::Redis(config) = &target else {
            return Err(Failure::Refused(
                "--processes needs a Redis (--store): the embedded store is in one process"
                    .to_owned(),
            ));
        };
        if workers.member {
            let ended = runtime.block_on(bench::member(config, &bench));
            return ended.map_err(|error| Failure::Refused(format!("{error:#}")));
        }
    }
    let measured = runtime.block_on(async {
        let shutdown = shutdown_signal()?;
        let told = |step: &str| eprintln!("{step} ...");
        Ok::<_, Failure>(bench::run(&target, &bench, shutdown.clone(), told).await)
    })?;
    let report = measured.map_err(|error| match &target {
        Target::Redis(config) => Failure::Unreachable(format!("{config}: {error:#}")),
        Target::Memory => Failure::Refused(format!("{error:#}")),
    })?;
    if workers.json {
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

fn load(command: &BenchCommand) -> (Load, BenchWorkers) {
    match command {
        BenchCommand::Recurring(args) => (Load::Recurring(steady(args)), args.workers),
        BenchCommand::Lateness(args) => (Load::Lateness(steady(args)), args.workers),
        BenchCommand::Mixed(args) => {
            let oneoffs = Oneoffs { rate: args.oneoffs };
            let load = Load::Mixed(steady(&args.steady), oneoffs);
            (load, args.steady.workers)
        }
        BenchCommand::Herd(args) => (Load::Herd(args.jobs as usize), args.workers),
        BenchCommand::Oneshot(args) => (Load::Oneshot(args.count as usize), args.workers),
        BenchCommand::Add(args) => (Load::Add(args.count as usize), args.workers),
        BenchCommand::Scale(args) => {
            let load = Load::Scale {
                stored: args.stored as usize,
                jobs: args.jobs as usize,
            };
            (load, args.workers)
        }
    }
}

fn steady(args: &SteadyArgs) -> Steady {
    Steady {
        jobs: args.jobs as usize,
        every: args.every,
        measure: Duration::from_secs(u64::from(args.seconds)),
    }
}
