//! Searches the model within a scope of your own. See `--help`.
#![allow(clippy::print_stdout, reason = "it is what the command is for")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use proofs::model::{Check, Protocol, Scope};
use stateright::{Checker, Model};

const HELP: &str = "\
Searches all histories of the protocol's model, and says which promise can be broken.

usage: model <scope> [bound=number ...] [without=Check ...] [seconds=number]

scopes: leading changing replacing asking late working draining binding losing retrying haunted whole
bounds: nodes jobs ticks waiting slots max_instances grace max_age terms unknowns changes wishes
        crashes fencings drains registrations retries returns steps_back effects

examples:
  model leading                     as in the tests
  model leading ticks=3 changes=3   a larger world
  model working without=Lane        which promise rests on it";

fn main() -> ExitCode {
    match search(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("{why}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

/// Whether all promises hold.
fn search(mut args: impl Iterator<Item = String>) -> Result<bool, String> {
    let named = args.next().unwrap_or_default();
    let scope = Scope::ALL.iter().find(|(name, _)| *name == named);
    let (_, mut scope) = *scope.ok_or_else(|| format!("no such scope: {named:?}"))?;
    let (mut off, mut seconds) = (Vec::new(), 3600);
    for arg in args {
        let (name, value) = arg
            .split_once('=')
            .ok_or_else(|| format!("no such word: {arg}"))?;
        if name == "without" {
            let named = |check: &&Check| format!("{check:?}") == value;
            let check = Check::ALL.iter().find(named);
            off.push(*check.ok_or_else(|| format!("no such check: {value}"))?);
            continue;
        }
        let wrong = |error| format!("{name}={value}: {error}");
        if name == "seconds" {
            seconds = value.parse().map_err(wrong)?;
        } else if !scope.set(name, value.parse().map_err(wrong)?) {
            return Err(format!("no such bound: {name}"));
        }
    }
    let begun = Instant::now();
    let checker = Protocol::within(scope).without(&off).checker();
    let patience = Duration::from_secs(seconds);
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let checker = checker
        .threads(threads)
        .timeout(patience)
        .spawn_bfs()
        .join();
    let states = checker.unique_state_count();
    let (depth, took) = (checker.max_depth(), begun.elapsed());
    println!("{states} states, {depth} steps deep, in {took:.1?}");
    let broken = checker.discoveries();
    for (promise, history) in &broken {
        println!("BROKEN: {promise}");
        for action in history.clone().into_actions() {
            println!("  {action:?}");
        }
    }
    if begun.elapsed() >= patience {
        println!("not all histories: the time was up");
    }
    Ok(broken.is_empty())
}
