//! Does one step so many times: `instructions STEP TIMES`; without arguments it names all steps.
//!
//! `.ci/instructions` runs it under callgrind, for two numbers of times, and takes the difference.
#![allow(clippy::print_stdout, reason = "it is what the command is for")]

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let steps = instructions::steps()?;
    let Some(name) = args.next() else {
        for step in steps {
            println!("{}", step.name);
        }
        return Ok(());
    };
    let times: usize = args.next().context("how many times")?.parse()?;
    let step = steps.iter().find(|step| step.name == name);
    let step = step.with_context(|| format!("there is no step {name:?}"))?;
    for _ in 0..times {
        step.run();
    }
    Ok(())
}
