//! Runs real nodes on a real Redis under faults, and writes what came of it. See `--help`.
#![recursion_limit = "256"]
#![allow(clippy::print_stdout, reason = "it is what the command is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tests::soak::{Soak, run_node, soak};

const HELP: &str = "\
Runs real nodes on a real Redis, with a fault every few seconds, and judges what came of it.

usage: cargo run -p tests --bin soak -- [--minutes M] [--seed S] [--nodes N] [--jobs J] [--report FILE]

  --minutes  for how long faults strike (default 10; half a minute of calm comes on top)
  --seed     what faults are drawn from (default: of the moment)
  --nodes    how many processes (default 5)
  --jobs     how many jobs, most of them due each second (default 60)
  --report   where to write the page (default: to the standard output)

It fails where a promise was broken.";

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let ["node", name, url, file] = words[..] {
        run_node(name, url, PathBuf::from(file)).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if words.contains(&"--help") {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut wanted = Soak {
        length: Duration::from_secs(600),
        seed: fastrand::u64(..1_000_000),
        nodes: 5,
        jobs: 60,
        command: String::new(),
    };
    let mut file = None;
    for pair in words.chunks(2) {
        let [name, value] = pair else {
            bail!("{}: without a value\n\n{HELP}", pair[0]);
        };
        let number = || value.parse().with_context(|| format!("{name} {value}"));
        match *name {
            "--minutes" => wanted.length = Duration::from_secs(number()? * 60),
            "--seed" => wanted.seed = number()?,
            "--nodes" => wanted.nodes = usize::try_from(number()?)?.max(1),
            "--jobs" => wanted.jobs = usize::try_from(number()?)?.max(1),
            "--report" => file = Some(PathBuf::from(value)),
            _ => bail!("no such option: {name}\n\n{HELP}"),
        }
    }
    wanted.command = format!(
        "cargo run -p tests --bin soak -- --minutes {} --seed {} --nodes {} --jobs {}",
        wanted.length.as_secs() / 60,
        wanted.seed,
        wanted.nodes,
        wanted.jobs
    );
    println!("{}", wanted.command);
    let (report, is_good) = soak(&wanted).await?;
    match file {
        Some(file) => std::fs::write(file, report)?,
        None => println!("\n{report}"),
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
