//! Changing and reading jobs, on any store.
//!
//! Each change reads the job, lets core decide what it means for the schedule, and writes the
//! result if the job still is as it was read. So any number of clients may do so at once:
//!
//! - where somebody else came first (a **conflict**), the job is read and the change decided anew;
//! - where the store's answer was lost, the *very same* request is sent again: it is done once,
//!   whatever became of the first try;
//! - a definition that is there already is not written at all, unless the job is parked;
//! - who decided on a job as it was seen says so with [`Jobs::expecting`], and is refused where it
//!   was changed since.
//!
//! ```
//! use carillon::jobs::{Jobs, OnConflict, Put};
//! use carillon::core::{Job, Store};
//!
//! async fn schedule<S: Store>(store: S, job: Job) -> Result<(), carillon::jobs::JobsError> {
//!     match Jobs::new(store).put(job, OnConflict::Replace).await? {
//!         Put::Over(why) => println!("nothing would ever come of it: {why}"),
//!         done => println!("{done:?}"),
//!     }
//!     Ok(())
//! }
//! ```

mod apply;
#[cfg(feature = "cli")]
pub mod apscheduler;
mod backfill;
mod bulk;
mod by_hand;
mod chain;
mod changing;
mod client;
#[cfg(feature = "http")]
mod decided;
#[cfg(any(feature = "cli", feature = "http"))]
mod explain;
mod ledger;
mod once;
mod outcome;
mod paging;
mod put;
mod report;
mod restore;
pub(crate) mod retry;
mod runs;
mod saved;
mod search;
#[cfg(test)]
mod shelf;
pub(crate) mod telling;
#[cfg(test)]
mod tests;
mod unique;

pub use apply::{Applied, FieldChange, Foreign, Manifest, Plan, Step, Unlisted};
pub use backfill::{BackfillPlan, BackfillWish};
pub use bulk::PutAll;
#[cfg(feature = "http")]
pub(crate) use client::fitting;
pub use client::{Jobs, new_id, new_id_beside};
#[cfg(feature = "http")]
pub(crate) use decided::Decided;
#[cfg(any(feature = "cli", feature = "http"))]
pub use explain::Asked;
pub use outcome::{
    JobList, JobsError, Modified, OnConflict, Once, PauseEnd, PauseWish, Put, PutWish, Removed,
    Restored, RunRequested, Switched,
};
pub use paging::{MOST_SORTED, Page};
pub use report::RunReport;
pub use runs::RunAgain;
#[cfg(feature = "http")]
pub(crate) use runs::rerun_of;
pub use saved::{SavedJob, SavedPause};
pub use search::{JobOrder, JobQuery};
