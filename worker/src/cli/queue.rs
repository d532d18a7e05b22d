//! `carillon queue ...`, and `carillon pause` and `resume` of the whole namespace.

use std::env;
use std::num::NonZeroU32;

use carillon::core::queue::{HoldNote, Rate, SetBy};
use carillon::core::{QueueName, Timestamp};
use carillon::wire::HoldView;
use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::args::Global;
use super::failure::Failure;
use super::office::{Office, QueueWish};
use super::output::{self, Table, local};
use super::store;

const QUEUE_HELP: &str = "\
Examples:
  carillon queue list
  carillon queue set mail --rate 100/s --concurrency 20
  carillon queue set mail --rate none
  carillon queue pause mail --reason 'the mail server is down'
  carillon queue resume mail

Limits and pauses count in the whole cluster, from the next claim on; what is running goes on.
A rate is so many runs in a time (100/s, 5/m, 1/h, 10/30s): on average, and so many at once after
a quiet time. What is set here comes before [queues] of configuration files, until `reset`.";

/// `carillon queue`.
#[derive(Args, Debug)]
#[command(after_help = QUEUE_HELP)]
pub(super) struct QueueArgs {
    #[command(subcommand)]
    command: QueueCommand,
}

/// What to do with queues.
#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// List all queues
    List(ListArgs),
    /// Show one queue
    Show(ShowArgs),
    /// Limit a queue
    Set(SetArgs),
    /// Take a queue's limits away; those of configurations count again when a worker starts
    Reset(NameArgs),
    /// Claim nothing of a queue until it is resumed; its runs wait
    Pause(PauseQueueArgs),
    /// End a queue's pause
    Resume(NameArgs),
}

const JSON_HELP: &str = "\
With --json, a queue is an object with queue, concurrency and rate (or null), set_by (\"operator\",
\"config\" or null), paused, paused_since, paused_by, reason, waiting, high, normal, low, running and lined_up (runs of its jobs
that wait behind others of their job).
`queue list --json` is an object with the namespace's paused, paused_since, paused_by and reason, and
a list of queues.";

#[derive(Args, Debug)]
#[command(after_help = JSON_HELP)]
struct ListArgs {
    /// Show them as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = JSON_HELP)]
struct ShowArgs {
    /// The queue
    #[arg(value_name = "QUEUE")]
    queue: String,
    /// Show it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct NameArgs {
    /// The queue
    #[arg(value_name = "QUEUE")]
    queue: String,
}

#[derive(Args, Debug)]
struct SetArgs {
    /// The queue
    #[arg(value_name = "QUEUE")]
    queue: String,
    /// How many of its runs are executed at once, or none for any number [default: as it is]
    #[arg(long, value_name = "N", required_unless_present = "rate")]
    concurrency: Option<String>,
    /// How many of its runs are begun in a time: 100/s, 5/m; none for any [default: as it is]
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
}

#[derive(Args, Debug)]
struct PauseQueueArgs {
    /// The queue
    #[arg(value_name = "QUEUE")]
    queue: String,
    #[command(flatten)]
    note: NoteArgs,
}

/// Who pauses, and why.
#[derive(Args, Debug)]
pub(super) struct NoteArgs {
    /// Why, for those who will wonder
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who pauses [default: the name in USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl NoteArgs {
    fn note(&self) -> HoldNote {
        let user = || env::var("USER").ok();
        HoldNote {
            by: self.by.clone().or_else(user).filter(|by| !by.is_empty()),
            reason: self.reason.clone(),
        }
    }
}

const PAUSE_HELP: &str = "\
Examples:
  carillon pause --reason 'moving the database' --by anna
  carillon resume

Nothing of the namespace is claimed any more, and fire times are recorded as skipped, until it is
resumed. What is running goes on. Runs that were asked for wait.";

/// `carillon pause`.
#[derive(Args, Debug)]
#[command(after_help = PAUSE_HELP)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    note: NoteArgs,
}

pub(super) fn run(global: &Global, args: &QueueArgs) -> Result<(), Failure> {
    match &args.command {
        QueueCommand::List(args) => at(global, async |desk| desk.list(args.json).await),
        QueueCommand::Show(args) => {
            let queue = QueueName::new(&args.queue)?;
            at(global, async |desk| desk.show(&queue, args.json).await)
        }
        QueueCommand::Set(args) => {
            let queue = QueueName::new(&args.queue)?;
            let (concurrency, rate) = limits(args)?;
            let wish = QueueWish::Limit(&queue, concurrency, rate);
            steer(global, wish, &format!("limited {queue}"))
        }
        QueueCommand::Reset(args) => {
            let queue = QueueName::new(&args.queue)?;
            let told = format!("{queue} has no limits of its own any more");
            steer(global, QueueWish::Reset(&queue), &told)
        }
        QueueCommand::Pause(args) => {
            let queue = QueueName::new(&args.queue)?;
            let wish = QueueWish::Pause(&queue, args.note.note());
            steer(global, wish, &format!("paused {queue}"))
        }
        QueueCommand::Resume(args) => {
            let queue = QueueName::new(&args.queue)?;
            let told = format!("resumed {queue}");
            steer(global, QueueWish::Resume(&queue), &told)
        }
    }
}

pub(super) fn pause(global: &Global, args: &PauseArgs) -> Result<(), Failure> {
    let wish = QueueWish::PauseAll(args.note.note());
    steer(global, wish, "paused the namespace")
}

pub(super) fn resume(global: &Global) -> Result<(), Failure> {
    steer(global, QueueWish::ResumeAll, "resumed the namespace")
}

/// Says on standard error that the namespace is paused, where it is: else nobody would understand why
/// nothing runs.
pub(super) fn warn_if_held(hold: &HoldView, zone: Tz) {
    if let Some(held) = describe(hold, zone) {
        eprintln!("warning: the namespace is paused {held}");
    }
}

fn describe(hold: &HoldView, zone: Tz) -> Option<String> {
    let since: Timestamp = hold.paused_since.as_ref()?.parse().ok()?;
    let by = hold.paused_by.iter().map(|by| format!(" by {by}"));
    let reason = hold.reason.iter().map(|reason| format!(": {reason}"));
    let more: String = by.chain(reason).collect();
    Some(format!("since {}{more}", local(since, zone)))
}

fn at(global: &Global, act: impl AsyncFnOnce(Desk) -> Result<(), Failure>) -> Result<(), Failure> {
    let settings = global.settings()?;
    let desk = Desk {
        office: Office::of(global, &settings)?,
        zone: settings.job_defaults.timezone,
    };
    store::runtime()?.block_on(act(desk))
}

fn steer(global: &Global, wish: QueueWish<'_>, told: &str) -> Result<(), Failure> {
    at(global, async |desk| {
        let changed = desk.office.steer(wish).await?;
        Ok(output::line(if changed {
            told
        } else {
            "it was so already"
        })?)
    })
}

type Limits = (Option<Option<NonZeroU32>>, Option<Option<Rate>>);

/// What is wished of a queue's limits: for each nothing, no limit, or a limit.
fn limits(args: &SetArgs) -> Result<Limits, Failure> {
    let concurrency = args.concurrency.as_deref().map(|text| match text {
        "none" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let rule = "give a number from 1, or none";
            Failure::Usage(format!("--concurrency: {text:?} is no limit: {rule}"))
        }),
    });
    let rate = args.rate.as_deref().map(|text| match text {
        "none" => Ok(None),
        text => match text.parse() {
            Ok(rate) => Ok(Some(rate)),
            Err(why) => Err(Failure::Usage(format!("--rate: {why}"))),
        },
    });
    Ok((concurrency.transpose()?, rate.transpose()?))
}

/// The queues, and how to speak of them.
struct Desk {
    office: Office,
    zone: Tz,
}

impl Desk {
    async fn list(&self, json: bool) -> Result<(), Failure> {
        let board = self.office.board().await?;
        if json {
            return Ok(output::json(&board)?);
        }
        let mut table = Table::new(&[
            "QUEUE",
            "WAITING",
            "HIGH",
            "LOW",
            "RUNNING",
            "LINED UP",
            "CONCURRENCY",
            "RATE",
            "PAUSED",
        ]);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        for view in &board.queues {
            table.push(&[
                view.queue.clone(),
                view.waiting.to_string(),
                view.high.to_string(),
                view.low.to_string(),
                view.running.to_string(),
                view.lined_up.to_string(),
                or_dash(view.concurrency.map(|n| n.to_string())),
                or_dash(view.rate.clone()),
                or_dash(describe(&view.hold, self.zone)),
            ]);
        }
        output::table(&mut table, "no queues")?;
        warn_if_held(&board.hold, self.zone);
        Ok(())
    }

    async fn show(&self, queue: &QueueName, json: bool) -> Result<(), Failure> {
        let view = self.office.queue(queue).await?.ok_or_else(|| {
            Failure::Refused(format!("nobody has named a queue {:?} yet", queue.as_str()))
        })?;
        if json {
            return Ok(output::json(&view)?);
        }
        let any = || "any".to_owned();
        let hold = describe(&view.hold, self.zone);
        for (name, value) in [
            ("queue", view.queue.clone()),
            (
                "concurrency",
                view.concurrency.map_or_else(any, |n| n.to_string()),
            ),
            ("rate", view.rate.clone().unwrap_or_else(any)),
            ("set_by", view.set_by.map_or("-", set_by).to_owned()),
            ("paused", hold.unwrap_or_else(|| "no".to_owned())),
            ("waiting", view.waiting.to_string()),
            ("high", view.high.to_string()),
            ("normal", view.normal.to_string()),
            ("low", view.low.to_string()),
            ("running", view.running.to_string()),
            ("lined_up", view.lined_up.to_string()),
        ] {
            output::line(&format!("{name:<20} {value}"))?;
        }
        Ok(())
    }
}

const fn set_by(by: SetBy) -> &'static str {
    match by {
        SetBy::Config => "config",
        SetBy::Operator => "operator",
    }
}
