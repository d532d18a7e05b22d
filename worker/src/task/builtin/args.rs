//! Args of built-in tasks, checked when a job is written down rather than when it first runs.

use scheduler_core::TaskName;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[cfg(feature = "task-http")]
use super::http::HttpArgs;
use super::log::LogArgs;
#[cfg(feature = "task-shell")]
use super::shell::ShellArgs;
#[cfg(feature = "task-stream")]
use super::stream::StreamArgs;
use crate::mistake::explain;
use crate::task::secrets::with_placeholders;

/// Args that do not fit their task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ArgsError {
    /// The field, from the args inwards; empty for the args as a whole.
    pub field: String,
    /// The value, and the rule that it breaks.
    pub message: String,
}

/// Checks the args of a built-in task, and the names of secrets in those of any. Those of other tasks are known to their workers alone, and
/// pass; so do those of built-in ones that this program was compiled without.
///
/// # Errors
///
/// Names the first field that does not fit.
pub fn check_args(task: &TaskName, args: &Value) -> Result<(), ArgsError> {
    let args = &with_placeholders(args).map_err(|(field, message)| ArgsError { field, message })?;
    match task.as_str() {
        "log" => check::<LogArgs>(args),
        #[cfg(feature = "task-http")]
        "http" => check::<HttpArgs>(args),
        #[cfg(feature = "task-shell")]
        "shell" => check::<ShellArgs>(args),
        #[cfg(feature = "task-stream")]
        "stream" => check::<StreamArgs>(args),
        _ => Ok(()),
    }
}

fn check<A: DeserializeOwned>(args: &Value) -> Result<(), ArgsError> {
    let read: Result<A, _> = serde_path_to_error::deserialize(args);
    read.map(drop).map_err(|error| {
        let field = error.path().to_string();
        let (message, _) = explain(&error.into_inner().to_string());
        ArgsError {
            field: if field == "." { String::new() } else { field },
            message,
        }
    })
}

#[cfg(test)]
#[cfg(feature = "cli")]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(task: &str, args: &Value) -> String {
        let task = TaskName::new(task).unwrap();
        check_args(&task, args).unwrap_err().to_string()
    }

    #[test]
    fn args_are_told_what_does_not_fit() {
        assert_eq!(
            error("log", &json!({"message": "hi", "mesage": 1})),
            "mesage: unknown key `mesage`: did you mean `message`? (known here: message, level)"
        );
        assert_eq!(
            error("log", &Value::Null),
            ": invalid type: null, expected an object with `message`"
        );
        assert!(error("http", &json!({"url": "example.org"})).starts_with("url: "));
        assert!(
            error(
                "http",
                &json!({"url": "http://h/", "headers": {"a b": "c"}})
            )
            .contains("a b")
        );
        assert!(error("shell", &json!({"command": "ls -l"})).contains("list of arguments"));
        assert!(error("shell", &json!({"command": []})).contains("the program"));
        assert!(error("stream", &json!({"stream": "carillon:x"})).contains("Carillon's own"));
        let fields = json!({"stream": "s", "fields": {"run_id": 1}});
        assert!(error("stream", &fields).contains("run_id"));
    }

    #[test]
    fn args_of_other_tasks_pass() {
        let task = TaskName::new("send_report").unwrap();
        assert_eq!(check_args(&task, &json!([1, 2])), Ok(()));
    }
}
