//! Python's two kinds of arguments, and the one value that a task gets.
//!
//! | `args`, `kwargs` | the task gets |
//! |---|---|
//! | neither | null |
//! | `args` alone | the list |
//! | `kwargs` alone | the object |
//! | both | `{"args": [...], "kwargs": {...}}` |

use serde_json::{Map, Value, json};

use super::python;
use super::refusal::Refusal;

/// Positional and named arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arguments {
    pub(super) args: Vec<Value>,
    pub(super) kwargs: Map<String, Value>,
}

impl Arguments {
    /// What a task was given, taken apart again.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::default(),
            Value::Array(args) => Self {
                args: args.clone(),
                kwargs: Map::new(),
            },
            Value::Object(map) => both(map).unwrap_or_else(|| Self {
                args: Vec::new(),
                kwargs: map.clone(),
            }),
            one => Self {
                args: vec![one.clone()],
                kwargs: Map::new(),
            },
        }
    }

    /// What the task gets.
    pub(super) fn into_value(self) -> Value {
        let Self { args, kwargs } = self;
        match (args.is_empty(), kwargs.is_empty()) {
            (true, true) => Value::Null,
            (false, true) => Value::Array(args),
            // Named arguments that look like both kinds are told apart from them.
            (true, false) if both(&kwargs).is_none() => Value::Object(kwargs),
            _ => json!({ "args": args, "kwargs": kwargs }),
        }
    }
}

fn both(map: &Map<String, Value>) -> Option<Arguments> {
    match (map.len(), map.get("args"), map.get("kwargs")) {
        (2, Some(Value::Array(args)), Some(Value::Object(kwargs))) => Some(Arguments {
            args: args.clone(),
            kwargs: kwargs.clone(),
        }),
        _ => None,
    }
}

/// `tuple(args)`, as when a job is added: whatever can be walked over is taken apart.
pub(super) fn tuple(args: Option<&Value>) -> Result<Vec<Value>, Refusal> {
    match args {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(args)) => Ok(args.clone()),
        Some(Value::String(text)) => Ok(text.chars().map(|c| Value::from(c.to_string())).collect()),
        Some(Value::Object(map)) => Ok(map.keys().cloned().map(Value::from).collect()),
        Some(other) => {
            let name = python::type_name(other);
            Err(Refusal::invalid(format!("'{name}' object is not iterable")))
        }
    }
}

/// `dict(kwargs)`, as when a job is added.
pub(super) fn dict(kwargs: Option<&Value>) -> Result<Map<String, Value>, Refusal> {
    match kwargs {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(Value::Array(list)) if list.is_empty() => Ok(Map::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Map::new()),
        Some(Value::String(_)) => Err(Refusal::invalid(
            "dictionary update sequence element #0 has length 1; 2 is required",
        )),
        Some(Value::Array(_)) => Err(Refusal::invalid(
            "cannot convert dictionary update sequence element #0 to a sequence",
        )),
        Some(other) => {
            let name = python::type_name(other);
            Err(Refusal::invalid(format!("'{name}' object is not iterable")))
        }
    }
}

/// The positional arguments of a change, which are not taken apart.
pub(super) fn changed_args(args: &Value) -> Result<Vec<Value>, Refusal> {
    match args {
        Value::Array(args) => Ok(args.clone()),
        Value::Object(map) => Ok(map.keys().cloned().map(Value::from).collect()),
        _ => Err(Refusal::invalid("args must be a non-string iterable")),
    }
}

/// The named arguments of a change.
pub(super) fn changed_kwargs(kwargs: &Value) -> Result<Map<String, Value>, Refusal> {
    match kwargs {
        Value::Object(map) => Ok(map.clone()),
        _ => Err(Refusal::invalid("kwargs must be a dict-like object")),
    }
}
