//! `carillon explain`: what became of a fire time, or why nothing did, in words.

use carillon::Jobs;
use carillon::core::{JobId, Store};
use carillon::jobs::Asked;

use super::args::{ExplainArgs, Global};
use super::failure::Failure;
use super::{output, store};

pub(super) fn run(global: &Global, args: &ExplainArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let id = JobId::new(&args.job)?;
    let asked = args.at.as_deref().map(|text| {
        let asked = text.parse::<Asked>();
        asked.map_err(|why| Failure::Usage(format!("--at: {why}")))
    });
    let asked = asked.transpose()?;
    let store = store::shared(&settings)?;
    let zone = settings.job_defaults.timezone;
    let jobs = Jobs::new(store.clone());
    let told = async {
        let told = jobs.explain(&id, asked, zone).await;
        told.map_err(|error| Failure::of_jobs(&store.describe(), &error))
    };
    let told = store::runtime()?.block_on(told)?;
    if args.json {
        return Ok(output::json(&told)?);
    }
    for line in &told.text {
        output::line(line)?;
    }
    Ok(())
}
