//! `carillon preview`: when a trigger fires. Asks no store.
//!
//! `request` turns what was typed into a trigger and a stretch of time, and `pointer` tells where that
//! went wrong; `view` shows what the library finds. `lines` talks with programs.

mod lines;
mod pointer;
mod request;
mod view;

use carillon::SystemClock;
use carillon::core::{Clock as _, Timestamp};
use carillon::preview::{MOST_COUNTED, Schedule, Stretch, begin};
use carillon::wire::PreviewView;
use clap::{ArgGroup, Args};

use super::args::Global;
use super::failure::Failure;
use super::output;

const HELP: &str = "\
Examples:
  carillon preview '30 5 * * mon-fri' --timezone Asia/Shanghai
  carillon preview 'every 90m' --after 2026-12-24T18:00:00+01:00 --count 3
  carillon preview '{\"type\": \"cron\", \"hour\": 2, \"minute\": 30}' --timezone Europe/Berlin \\
      --between 2026-01-01 2026-12-31
  generate-requests | carillon preview --jsonl

A time is an instant with its offset, or a date or time of the trigger's zone; a date that ends a
stretch means the whole day. An interval without a start date counts from where the stretch begins.
CLOCK tells where the zone's offset is another than at the fire time before, and which fire times
lie in, or within an hour of, a time that the clock skips or repeats.

With --json: an object with description, trigger, timezone, fire_times, exhausted (whether the
schedule is over after those that are listed), and with --between also between, an object with
from, to, count, count_is_exact and last. A fire time has utc, local, offset_changed and
clock_change: null, or an object with kind (\"skips\", \"repeats\"), at (when the clock changes),
offset_before, offset_after and position (\"before\", \"first\", \"second\", \"after\").

With --jsonl, each line of standard input is an object, and is answered at once by one line:
  {\"id\": any, \"trigger\": object or text, \"timezone\": name, \"now\": time, \"previous\": time or null,
   \"count\": number}
  {\"id\": any, \"fire_times\": [time, ...], \"exhausted\": true or false}
  {\"id\": any, \"error\": {\"field\": name, \"message\": text}}
The first fire time follows `previous` where it is given; else it is the first at or after `now`.
Times are RFC 3339, in answers in UTC.";

/// `carillon preview`.
#[derive(Args, Debug)]
#[command(
    after_help = HELP,
    group(ArgGroup::new("input").args(["trigger", "jsonl"]).required(true)),
)]
pub(super) struct PreviewArgs {
    /// The trigger: a JSON object, a cron expression, 'every 10s', or an instant
    #[arg(value_name = "TRIGGER")]
    trigger: Option<String>,
    /// Fire times at or after this time [default: now]
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Count the fire times of a stretch, both ends included, and list the first of them
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], conflicts_with = "after")]
    between: Option<Vec<String>>,
    /// How many to list at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Whose wall clock [default: the trigger's, or that of --config, or UTC]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Show them as JSON
    #[arg(long)]
    json: bool,
    /// Answer requests, a JSON object a line, from standard input
    #[arg(long, conflicts_with_all = ["after", "between", "count", "json"])]
    jsonl: bool,
}

pub(super) fn run(global: &Global, args: &PreviewArgs) -> Result<(), Failure> {
    if args.jsonl {
        return lines::answer_all(args.zone(global)?, &SystemClock);
    }
    let trigger = args.trigger(global)?;
    let stretch = args.stretch(&trigger, SystemClock.now())?;
    let schedule = Schedule::walk(&trigger, stretch, args.count, MOST_COUNTED);
    if args.json {
        output::json(&PreviewView::new(&trigger, &schedule))?;
    } else {
        view::show(&trigger, &schedule)?;
    }
    if schedule.begins.is_some() {
        return Ok(());
    }
    Err(Failure::Refused(why_nothing(&schedule, &trigger)))
}

/// Why there is no fire time at all, from the stretch's beginning on.
fn why_nothing(schedule: &Schedule, trigger: &carillon::core::trigger::Trigger) -> String {
    if begin(trigger, Timestamp::EPOCH).is_none() {
        return "the trigger never fires: no time from 1970 to 9999 suits it".to_owned();
    }
    let Stretch { from, .. } = schedule.stretch;
    let from = output::wall(&trigger.local(from));
    format!("the trigger has no fire time at or after {from}")
}
