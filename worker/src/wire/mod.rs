//! What goes over the wire: the JSON that the native API takes and gives, and that the command line
//! prints with `--json`.
//!
//! One set of types for the server, its clients and the command line, so that they cannot drift apart.
//! Times are RFC 3339 in UTC, as text; durations are seconds, as everywhere in a job.

mod apply;
mod audit;
mod bulk;
mod cluster;
mod entries;
mod jobs;
mod preview;
mod queues;
mod refusal;
mod requests;
mod runs;
mod series;
mod time;

pub use apply::{ApplyRequest, FieldChangeView, PlanView, StepKind, StepView};
pub use audit::{DeedView, DeedsPage};
pub use bulk::{BecameView, BulkDone, Counts, ImportDone, ItemRefused, Jobs};
pub use cluster::{
    LeaderView, Leaders, NamespaceView, Namespaces, QueueCount, Stats, WorkerState, WorkerView,
    Workers,
};
pub use entries::{EntryView, RunView, RunsPage, SkipView};
pub use jobs::{
    HolderView, InFlight, JobView, JobsPage, PauseView, PolicyView, RunningView, UnreadableView,
};
pub use preview::{
    Between, ChangeKind, ClockChange, FireTime, JobChecked, Position, PreviewView, Stretch,
    TriggerRequest,
};
pub use queues::{Board, HoldView, QueueView};
pub use refusal::{Refusal, RefusalKind};
pub use requests::{
    Backfill, Backfilled, CancelRequest, Cancelled, Chosen, Explained, LimitsRequest, MadeUp,
    OnceRequest, PauseRequest, PurgeDone, RerunDone, RerunView, RunMade, RunRequest, SteeredView,
};
pub use runs::{AttemptView, FailedPage, FailedView, LineView, LogView, ProgressView, ReportView};
pub use series::{Bucket, Lateness, SeriesView};
pub use time::{brief, local, wall};

use scheduler_core::Timestamp;

/// A time as it goes over the wire.
fn shown(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}
