//! `carillon explain`: what became of a fire time, or why nothing did, in words.

use carillon::core::JobId;
use carillon::jobs::Asked;

use super::args::{ExplainArgs, Global};
use super::failure::Failure;
use super::office::Office;
use super::{output, store};

pub(super) fn run(global: &Global, args: &ExplainArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let id = JobId::new(&args.job)?;
    let asked = args.at.as_deref().map(|text| {
        let asked = text.parse::<Asked>();
        asked.map_err(|why| Failure::Usage(format!("--at: {why}")))
    });
    let asked = asked.transpose()?;
    let office = Office::of(global, &settings)?;
    let zone = settings.job_defaults.timezone;
    let asked = asked.zip(args.at.as_deref());
    let told = store::runtime()?.block_on(office.explain(&id, asked, zone))?;
    if args.json {
        return Ok(output::json(&told)?);
    }
    for line in &told.text {
        output::line(line)?;
    }
    Ok(())
}
