//! Nothing is measured.

use std::time::Duration;

use scheduler_core::history::RunRecord;
use scheduler_core::plan::Skip;
use scheduler_core::store::DispatchItem;
use scheduler_core::{StoreError, Timestamp};

use super::LeaseChange;

/// Measures nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {}

impl Meter {
    pub(crate) fn ended<'r>(&self, _: impl Iterator<Item = &'r RunRecord>) {}
    pub(crate) fn dispatched(&self, _: &DispatchItem, _: Timestamp) {}
    pub(crate) fn skipped(&self, _: &Skip) {}
    pub(crate) fn lease(&self, _: usize, _: LeaseChange) {}
    pub(crate) fn asked(&self, _: &'static str, _: Duration, _: Option<&StoreError>) {}
}
