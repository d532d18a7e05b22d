//! What `func` may name: registered tasks, and nothing else.
//!
//! The original imports whatever a client names, `os:system` for one. Here `func` is a task's name:
//! who had `tasks:hello` registers a task of that name.

use scheduler_core::{Store, TaskName};
use serde_json::Value;

use super::refusal::Refusal;
use crate::http::app::App;
use crate::task::secrets::with_placeholders;
use crate::task::{Tasks, builtin};

/// The tasks that jobs may be made for.
#[derive(Clone, Debug)]
pub(super) struct Callables<'a> {
    tasks: &'a Tasks,
    /// Whether commands may be scheduled by whoever may call.
    shell: bool,
}

impl<'a> Callables<'a> {
    /// What may be scheduled over HTTP on this node.
    pub(super) fn of<S: Store>(app: &'a App<S>) -> Self {
        Self {
            tasks: app.tasks(),
            shell: app.allows_shell(),
        }
    }

    /// The task that `func` names.
    pub(super) fn resolve(&self, func: &Value) -> Result<TaskName, Refusal> {
        let Value::String(text) = func else {
            return Err(Refusal::invalid(
                "func must be a callable or a textual reference to one",
            ));
        };
        let known = TaskName::new(text).ok().filter(|task| self.has(task));
        known.ok_or_else(|| self.unknown(text))
    }

    fn has(&self, task: &TaskName) -> bool {
        self.tasks.get(task).is_some() && (self.shell || task.as_str() != "shell")
    }

    fn unknown(&self, text: &str) -> Refusal {
        let shown: String = text.chars().take(100).collect();
        let Some((module, _)) = text.split_once(':') else {
            return Refusal::invalid(format!(
                "Invalid reference: no task {shown:?} is registered"
            ));
        };
        let prefix = format!("{module}:");
        let is_module = self
            .tasks
            .names()
            .any(|task| task.as_str().starts_with(&prefix));
        let why = if is_module {
            "error looking up object"
        } else {
            "could not import module"
        };
        Refusal::invalid(format!("Error resolving reference {shown}: {why}"))
    }

    /// Whether a task takes these args, as far as it can be told before it runs.
    pub(super) fn check_args(&self, task: &TaskName, args: &Value) -> Result<(), Refusal> {
        if !self.has(task) {
            // Of a job that was made elsewhere: its args are no less powerful than the job.
            return Err(self.unknown(task.as_str()));
        }
        builtin::check_args(task, args).map_err(|error| {
            let of = if error.field.is_empty() { "" } else { "." };
            Refusal::invalid(format!("args{of}{error}"))
        })?;
        let Some(handler) = self.tasks.get(task) else {
            return Ok(());
        };
        let args = with_placeholders(args).map_err(|(_, why)| Refusal::invalid(why))?;
        handler
            .check(&args)
            .map_err(|error| Refusal::invalid(format!("args do not fit {task}: {error}")))
    }
}
