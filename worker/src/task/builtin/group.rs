//! The process group of a command.

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;

/// A command's process group. Killed when it is dropped, unless it was left: a handler that is
/// dropped in the middle leaves nothing running either.
///
/// While any member is left, or the leader's status was not taken, the kernel gives the group's
/// number to nobody else.
pub(super) struct Group(Option<Pid>);

impl Group {
    /// The group that this child leads.
    pub(super) fn of(leader: &Child) -> Self {
        Self(leader.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // Fails only where nobody is left.
            let _ = kill_process_group(group, signal);
        }
    }

    pub(super) fn has_members(&self) -> bool {
        self.0
            .is_some_and(|group| test_kill_process_group(group).is_ok())
    }

    /// Leaves the group alone from now on.
    pub(super) fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
