//! What a request is refused with.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use scheduler_core::JobError;
use serde_json::{Value, json};

use super::python;
use crate::jobs::JobsError;

/// Why a request is not done: `{"error_message": "..."}`, as from the original, whose 500s for its
/// users' mistakes are told apart here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    /// A field that breaks a rule.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// Something that is not so at this moment.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(super) fn no_such_job(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("Job {id} not found"))
    }

    pub(super) fn exists(id: &str) -> Self {
        Self::conflict(format!("Job {id} already exists."))
    }
}

impl From<JobsError> for Refusal {
    fn from(error: JobsError) -> Self {
        let status = match &error {
            JobsError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<JobError> for Refusal {
    fn from(error: JobError) -> Self {
        Self::invalid(format!("{}: {}", error.field, error.message))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(self.status, &json!({ "error_message": self.message }))
    }
}

/// JSON, as the original writes it.
pub(super) fn answer(status: StatusCode, value: &Value) -> Response {
    let content = [(header::CONTENT_TYPE, "application/json")];
    (status, content, python::dumps(value)).into_response()
}
