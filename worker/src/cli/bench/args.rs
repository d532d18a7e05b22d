//! What may be typed after `carillon bench`.

use std::time::Duration;

use carillon::core::duration;
use clap::{Args, Subcommand};

const BENCH_HELP: &str = "\
Examples:
  carillon bench --store redis://localhost:6379 recurring --jobs 1000
  carillon bench --store redis://localhost:6379 herd --jobs 100000 --nodes 4 --json
  carillon bench recurring --jobs 10000        the embedded store

Works in a namespace of its own, and removes it afterwards, also on Ctrl-C. Workers and Redis share
what processors there are: run it where they will run. Without --store it measures the embedded
store. A rate that is not sustained (fires were missed, more than one of a thousand came over a
second late, or what waits between two rounds grew) exits with 1.

Lateness is measured from the fire time to the first instruction of the handler.";

/// `carillon bench`.
#[derive(Args, Debug)]
#[command(after_help = BENCH_HELP, subcommand_required = true)]
pub(in crate::cli) struct BenchArgs {
    #[command(subcommand)]
    pub(super) command: BenchCommand,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Jobs that are all due on the same second, again and again
    Recurring(SteadyArgs),
    /// Jobs that are due again and again, evenly spread over time
    Lateness(SteadyArgs),
    /// As recurring, and one-off jobs of another queue that are added meanwhile
    Mixed(MixedArgs),
    /// Jobs that are all due at one instant
    Herd(HerdArgs),
    /// One-shot jobs: added in bulk, then drained
    Oneshot(OneshotArgs),
    /// Adding jobs, one by one and in bulk
    Add(AddArgs),
    /// What many other stored jobs cost those that are due
    Scale(ScaleArgs),
}

/// What all loads have in common.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct BenchWorkers {
    /// How many workers: all in this process, or in each of --processes
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) nodes: u32,
    /// How many runs each worker executes at once
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) concurrency: u32,
    /// Run the workers in so many processes of their own, instead of this one; not with the embedded store
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=64))]
    pub(super) processes: u32,
    /// Be one of these processes
    #[arg(long, hide = true)]
    pub(super) member: bool,
    /// Show the figures as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `carillon bench recurring` and `carillon bench lateness`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct SteadyArgs {
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) jobs: u32,
    /// How often each of them is due
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = period)]
    pub(super) every: Duration,
    /// For how many seconds to measure
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(super) seconds: u32,
    #[command(flatten)]
    pub(super) workers: BenchWorkers,
}

/// `carillon bench mixed`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct MixedArgs {
    #[command(flatten)]
    pub(super) steady: SteadyArgs,
    /// How many one-off jobs to add each second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) oneoffs: u32,
}

/// `carillon bench herd`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct HerdArgs {
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) jobs: u32,
    #[command(flatten)]
    pub(super) workers: BenchWorkers,
}

/// `carillon bench oneshot`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct OneshotArgs {
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    #[command(flatten)]
    pub(super) workers: BenchWorkers,
}

/// `carillon bench add`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct AddArgs {
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    #[command(flatten)]
    pub(super) workers: BenchWorkers,
}

/// `carillon bench scale`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct ScaleArgs {
    /// How many other jobs to store
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) stored: u32,
    /// How many jobs are due
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) jobs: u32,
    #[command(flatten)]
    pub(super) workers: BenchWorkers,
}

/// How often a job of a measurement may be due.
fn period(text: &str) -> Result<Duration, String> {
    let period = duration::parse(text)?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(60);
    if allowed.contains(&period) && period.subsec_nanos().is_multiple_of(1_000_000) {
        Ok(period)
    } else {
        Err(format!(
            "{text:?} is not from 100ms to 60s, in whole milliseconds"
        ))
    }
}
