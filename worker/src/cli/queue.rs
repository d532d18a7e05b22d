//! `carillon queue ...`, and `carillon pause` and `resume` of the whole namespace.

use std::env;
use std::num::NonZeroU32;

use carillon::Queues;
use carillon::core::queue::{Hold, HoldNote, QueueLimits, Rate, SetBy};
use carillon::core::store::Steered;
use carillon::core::{QueueName, Store, StoreError};
use carillon::wire::{Board, QueueView};
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use scheduler_redis::RedisStore;

use super::args::Global;
use super::failure::Failure;
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
        QueueCommand::List(args) => on_store(global, async |desk| desk.list(args.json).await),
        QueueCommand::Show(args) => {
            let queue = QueueName::new(&args.queue)?;
            on_store(global, async |desk| desk.show(&queue, args.json).await)
        }
        QueueCommand::Set(args) => {
            let queue = QueueName::new(&args.queue)?;
            let wish = Wish::read(args)?;
            on_store(global, async |desk| desk.set(&queue, &wish).await)
        }
        QueueCommand::Reset(args) => {
            let queue = QueueName::new(&args.queue)?;
            on_store(global, async |desk| {
                let done = desk.queues.unlimit(&queue).await;
                desk.tell(done, &format!("{queue} has no limits of its own any more"))
            })
        }
        QueueCommand::Pause(args) => {
            let queue = QueueName::new(&args.queue)?;
            on_store(global, async |desk| {
                let done = desk.queues.pause(&queue, args.note.note()).await;
                desk.tell(done, &format!("paused {queue}"))
            })
        }
        QueueCommand::Resume(args) => {
            let queue = QueueName::new(&args.queue)?;
            on_store(global, async |desk| {
                let done = desk.queues.resume(&queue).await;
                desk.tell(done, &format!("resumed {queue}"))
            })
        }
    }
}

pub(super) fn pause(global: &Global, args: &PauseArgs) -> Result<(), Failure> {
    on_store(global, async |desk| {
        let done = desk.queues.pause_all(args.note.note()).await;
        desk.tell(done, "paused the namespace")
    })
}

pub(super) fn resume(global: &Global) -> Result<(), Failure> {
    on_store(global, async |desk| {
        let done = desk.queues.resume_all().await;
        desk.tell(done, "resumed the namespace")
    })
}

/// Says on standard error that the namespace is paused, where it is: else nobody would understand why
/// nothing runs.
pub(super) fn warn_if_held(hold: Option<&Hold>, zone: Tz) {
    if let Some(hold) = hold {
        eprintln!("warning: the namespace is paused {}", describe(hold, zone));
    }
}

fn describe(hold: &Hold, zone: Tz) -> String {
    let by = hold.note.by.iter().map(|by| format!(" by {by}"));
    let reason = hold.note.reason.iter().map(|reason| format!(": {reason}"));
    let more: String = by.chain(reason).collect();
    format!("since {}{more}", local(hold.since, zone))
}

fn on_store(
    global: &Global,
    act: impl AsyncFnOnce(Desk) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let settings = global.settings()?;
    let store = store::shared(&settings)?;
    let desk = Desk {
        queues: Queues::new(store.clone()),
        store,
        zone: settings.job_defaults.timezone,
    };
    store::runtime()?.block_on(act(desk))
}

/// What is wished of a queue's limits: for each nothing, no limit, or a limit.
struct Wish {
    concurrency: Option<Option<NonZeroU32>>,
    rate: Option<Option<Rate>>,
}

impl Wish {
    fn read(args: &SetArgs) -> Result<Self, Failure> {
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
        Ok(Self {
            concurrency: concurrency.transpose()?,
            rate: rate.transpose()?,
        })
    }
}

/// The queues of a store, and how to speak of them.
struct Desk {
    store: RedisStore,
    queues: Queues<RedisStore>,
    zone: Tz,
}

impl Desk {
    fn failed(&self, error: &StoreError) -> Failure {
        Failure::of_store(&self.store.describe(), error)
    }

    fn tell(&self, steered: Result<Steered, StoreError>, text: &str) -> Result<(), Failure> {
        match steered.map_err(|error| self.failed(&error))? {
            Steered::Done => Ok(output::line(text)?),
            Steered::Already | Steered::Kept => Ok(output::line("it was so already")?),
        }
    }

    async fn list(&self, json: bool) -> Result<(), Failure> {
        let board = self.queues.list().await.map_err(|e| self.failed(&e))?;
        let view = Board::new(&board);
        if json {
            return Ok(output::json(&view)?);
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
        for (view, state) in view.queues.iter().zip(&board.queues) {
            let hold = state.hold.as_ref().map(|hold| describe(hold, self.zone));
            table.push(&[
                view.queue.clone(),
                view.waiting.to_string(),
                view.high.to_string(),
                view.low.to_string(),
                view.running.to_string(),
                view.lined_up.to_string(),
                or_dash(view.concurrency.map(|n| n.to_string())),
                or_dash(view.rate.clone()),
                or_dash(hold),
            ]);
        }
        output::table(&mut table, "no queues")?;
        warn_if_held(board.hold.as_ref(), self.zone);
        Ok(())
    }

    async fn show(&self, queue: &QueueName, json: bool) -> Result<(), Failure> {
        let state = self.queues.get(queue).await.map_err(|e| self.failed(&e))?;
        let state = state.ok_or_else(|| {
            Failure::Refused(format!("nobody has named a queue {:?} yet", queue.as_str()))
        })?;
        let view = QueueView::new(&state);
        if json {
            return Ok(output::json(&view)?);
        }
        let any = || "any".to_owned();
        let hold = state.hold.as_ref().map(|hold| describe(hold, self.zone));
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

    async fn set(&self, queue: &QueueName, wish: &Wish) -> Result<(), Failure> {
        let state = self.queues.get(queue).await.map_err(|e| self.failed(&e))?;
        let before = state.map(|state| state.limits).unwrap_or_default();
        let limits = QueueLimits {
            concurrency: wish.concurrency.unwrap_or(before.concurrency),
            rate: wish.rate.unwrap_or(before.rate),
        };
        let done = self.queues.limit(queue, limits).await;
        self.tell(done, &format!("limited {queue}"))
    }
}

const fn set_by(by: SetBy) -> &'static str {
    match by {
        SetBy::Config => "config",
        SetBy::Operator => "operator",
    }
}
