//! Runs many simulated histories. `simulate [count] [first seed]`
#![allow(clippy::print_stdout, reason = "it is what the command is for")]

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use proofs::simulation::{Without, simulate};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
    let (Some(count), Some(first), None) = (
        args.next().unwrap_or(Ok(10_000)).ok(),
        args.next().unwrap_or(Ok(0)).ok(),
        args.next(),
    ) else {
        println!("usage: simulate [how many histories] [first seed]");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let (mut fires, mut runs, mut broken) = (0, 0, 0);
    for seed in first..first.saturating_add(count) {
        match catch_unwind(|| simulate(seed, Without::Nothing)) {
            Ok(summary) => {
                fires += summary.fires;
                runs += summary.runs;
            }
            Err(_) => {
                broken += 1;
                println!("BROKEN: again with `simulate 1 {seed}`");
            }
        }
    }
    let took = begun.elapsed();
    println!("{count} histories, {fires} fire times, {runs} runs, {broken} broken, in {took:.1?}");
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
