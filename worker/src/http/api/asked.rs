//! What a request holds, read and checked: its path, its query, its body.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use scheduler_core::{JobId, NameError, RunId, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::Problem;
use crate::config::read_value;

/// A body, as it came.
pub(super) type Body = Result<Bytes, BytesRejection>;
/// The variable part of a path, as it came.
pub(super) type Segment = Result<Path<String>, PathRejection>;
/// A query, as it came.
pub(super) type Asked = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// What a query says.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query that may say these things.
    pub(super) fn read(asked: Asked, known: &[&str]) -> Result<Self, Problem> {
        let refused = |detail: String| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        let pairs = match asked {
            Ok(Query(pairs)) => pairs,
            Err(error) => return refused(error.body_text()),
        };
        if let Some((name, _)) = pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            let known = known.join(", ");
            return refused(format!(
                "{name:?} is nothing that can be asked for: {known}"
            ));
        }
        Ok(Self(pairs))
    }

    /// All values of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(found, _)| found == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The value of a name that may be said once.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (first, None) => Ok(first),
            _ => Err(Problem::field(name, "is said twice")),
        }
    }

    /// The same, as something that is read from text.
    pub(super) fn parsed<T: FromStr<Err: ToString>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|error: T::Err| Problem::field(name, error.to_string()))
        };
        self.text(name)?.map(parse).transpose()
    }

    pub(super) fn instant(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let read = |text: &str| instant(name, text);
        self.text(name)?.map(read).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Problem::field(
                name,
                format!("{other:?} is neither true nor false"),
            )),
        }
    }

    /// How many are asked for, within what is allowed.
    pub(super) fn number(
        &self,
        name: &str,
        (default, most): (usize, usize),
    ) -> Result<usize, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(default);
        };
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        within(name, text, number, most)
    }
}

/// A number from 1 to `most`.
pub(super) fn within(
    field: &str,
    text: &str,
    number: Option<usize>,
    most: usize,
) -> Result<usize, Problem> {
    number
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| {
            Problem::field(
                field,
                format!("{text} is out of range: allowed are 1 to {most}"),
            )
        })
}

/// An instant, in a field of this name.
pub(super) fn instant(field: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        let rule = "is no instant: give one such as 2026-12-24T18:00:00Z";
        Problem::field(field, format!("{text:?} {rule}"))
    })
}

/// A name, in a field of this name.
pub(super) fn name<T: FromStr<Err = NameError>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|error: NameError| Problem::field(field, error.to_string()))
}

/// The job that a path names.
pub(super) fn job_id(path: Segment) -> Result<JobId, Problem> {
    let text = segment(path)?;
    JobId::new(&text).map_err(|_| Problem::no_such("job", &text))
}

/// The run that a path names.
pub(super) fn run_id(path: Segment) -> Result<RunId, Problem> {
    let text = segment(path)?;
    text.parse().map_err(|_| Problem::no_such("run", &text))
}

/// The variable part of a path.
pub(super) fn segment(path: Segment) -> Result<String, Problem> {
    match path {
        Ok(Path(text)) => Ok(text),
        Err(error) => Err(Problem::new(StatusCode::NOT_FOUND, error.body_text())),
    }
}

/// A body's bytes.
pub(super) fn bytes(body: Body) -> Result<Bytes, Problem> {
    body.map_err(|error| Problem::new(error.status(), error.body_text()))
}

/// A body of JSON.
pub(super) fn json(body: Body) -> Result<Value, Problem> {
    parsed(&bytes(body)?)
}

fn parsed(body: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body is no JSON: {error}");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

/// A body that is a `T`.
pub(super) fn typed<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    read(&json(body)?)
}

/// A body that is a `T`; or none, which is the default one.
pub(super) fn typed_if_any<T: DeserializeOwned + Default>(body: Body) -> Result<T, Problem> {
    let body = bytes(body)?;
    if body.is_empty() {
        return Ok(T::default());
    }
    read(&parsed(&body)?)
}

/// A value that is a `T`.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    if !value.is_object() {
        return Err(Problem::field("", "the body must be an object"));
    }
    read_value("body", value.clone()).map_err(|error| Problem::from(error).with_values(value))
}
