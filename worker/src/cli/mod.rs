//! The command line: what people and scripts type.
//!
//! `args` says what may be typed; `store` turns it into settings and a store, `office` into where a
//! command is done: at the store, or by a worker over HTTP; each command has a file of its own;
//! `output` is the only place that writes to standard output; `failure` knows the exit codes. Logs
//! and errors go to standard error.

mod apply;
mod args;
mod attend;
mod audit;
mod author;
mod bench;
mod doctor;
mod events;
mod explain;
mod export;
mod failure;
#[cfg(feature = "http")]
mod http;
mod import;
mod job;
mod logging;
mod nodes;
mod office;
#[cfg(feature = "otlp")]
mod otlp;
mod output;
mod preview;
mod queue;
mod run;
mod runs;
mod store;
#[cfg(all(test, feature = "http"))]
mod tests;
#[cfg(feature = "http")]
mod token;

use std::process::ExitCode;

use carillon::config::without_passwords;
use clap::Parser as _;

use args::{Cli, Command};

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let done = match cli.command {
        Command::Run(args) => cli
            .global
            .on_the_spot("run")
            .and_then(|()| run::run(&cli.global, &args)),
        Command::Job(args) => job::run(&cli.global, args.command),
        Command::Queue(args) => queue::run(&cli.global, &args),
        Command::Pause(args) => queue::pause(&cli.global, &args),
        Command::Resume => queue::resume(&cli.global),
        Command::Apply(args) => apply::run(&cli.global, &args),
        Command::Export(args) => export::run(&cli.global, &args),
        Command::Import(args) => import::run(&cli.global, &args),
        Command::Preview(args) => preview::run(&cli.global, &args),
        Command::Runs(mut args) => match args.command.take() {
            Some(command) => attend::run(&cli.global, command),
            None => runs::run(&cli.global, &args),
        },
        Command::Explain(args) => explain::run(&cli.global, &args),
        Command::Events(args) => events::run(&cli.global, &args),
        Command::Doctor(args) => cli
            .global
            .on_the_spot("doctor")
            .and_then(|()| doctor::run(&cli.global, &args)),
        Command::Audit(args) => audit::run(&cli.global, &args),
        Command::Nodes(args) => nodes::run(&cli.global, &args),
        Command::Bench(args) => cli
            .global
            .on_the_spot("bench")
            .and_then(|()| bench::run(&cli.global, &args)),
        #[cfg(feature = "http")]
        Command::Token(args) => cli
            .global
            .on_the_spot("token")
            .and_then(|()| token::run(&args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Shows help or the version, or what was typed wrong.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let safe = without_passwords(&text);
    let code = if error.use_stderr() {
        ExitCode::from(failure::USAGE)
    } else {
        ExitCode::SUCCESS
    };
    if error.use_stderr() && safe != text {
        // The parser repeats what it did not understand, and that may be a URL.
        eprint!("{safe}");
    } else {
        // With colours, where there is a terminal. If nobody reads it, that is all right.
        let _ = error.print();
    }
    code
}
