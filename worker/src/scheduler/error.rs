//! What keeps a scheduler from being put together.

use std::fmt;

use scheduler_core::{NameError, TaskName};

use crate::task::StateType;

/// A scheduler that cannot be put together. Shown as what is wrong, and how to put it right.
#[derive(Debug)]
pub struct BuildError(Kind);

#[derive(Debug)]
enum Kind {
    TaskName { name: String, error: NameError },
    MissingState { task: TaskName, state: StateType },
}

impl BuildError {
    pub(super) fn task_name(name: &str, error: NameError) -> Self {
        let name = name.to_owned();
        Self(Kind::TaskName { name, error })
    }

    pub(super) fn missing_state(task: &TaskName, state: StateType) -> Self {
        let task = task.clone();
        Self(Kind::MissingState { task, state })
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::TaskName { name, error } => write!(f, "task {name:?}: {error}"),
            Kind::MissingState { task, state } => write!(
                f,
                "task {:?} takes State<{name}>, and the scheduler has none: add `.state(..)` with \
                 a value of type {name}",
                task.as_str(),
                name = state.name()
            ),
        }
    }
}

impl std::error::Error for BuildError {}
