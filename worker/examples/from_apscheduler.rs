//! A program as APScheduler has them, in Rust. `docs/library.md` has the Python beside it.
//!
//! ```sh
//! cargo run --example from_apscheduler
//! ```
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::time::Duration;

use carillon::core::trigger::{IntervalSpec, TriggerSpec};
use carillon::{Args, Event, NewJob, Scheduler, Wait, shutdown_signal};

async fn greet(Args(name): Args<String>) {
    println!("hello {name}");
}

async fn report() -> Result<(), String> {
    Err("the printer is on fire".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = shutdown_signal()?;
    let scheduler = Scheduler::in_memory()
        .timezone("Europe/Berlin")
        .task("greet", greet)
        .task("report", report)
        .build()?
        .start()?;

    let listener = scheduler.add_listener(|event| {
        if let Event::Ended(run) = event {
            println!("a run of {} {}", run.run.job, run.outcome);
        }
    });

    let greeting = NewJob::new("greet", "greet")
        .every(Duration::from_secs(60))
        .args("Ada");
    scheduler.add_job(greeting.replace_existing()).await?;
    let report = NewJob::new("report", "report")
        .cron("30 8 * * mon-fri")
        .misfire_grace_time(Duration::from_secs(900));
    scheduler.add_job(report.replace_existing()).await?;

    let each_second = TriggerSpec::Interval(IntervalSpec {
        seconds: Some(1.0),
        ..IntervalSpec::default()
    });
    scheduler.reschedule_job("greet", each_second).await?;
    scheduler.pause_job("report").await?;
    scheduler.run_job("report").await?;
    for stored in scheduler.get_jobs().await?.jobs {
        match stored.next_fire {
            Some(next) => println!("{}: next at {next}", stored.job.id()),
            None => println!("{}: paused", stored.job.id()),
        }
    }

    shutdown.cancelled().await;
    scheduler.shutdown(Wait::ForRuns).await?;
    listener.remove();
    Ok(())
}
