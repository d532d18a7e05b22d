//! What is refused: RFC 9457's problem details, with the field and the rule that it breaks.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use scheduler_core::trigger::TriggerError;
use scheduler_core::{NameError, PatchError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::ConfigError;
use crate::jobs::JobsError;

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What went wrong, in short.
    title: String,
    /// The status, once more.
    status: u16,
    /// What went wrong, on what.
    detail: String,
    /// Each field that breaks a rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
}

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct FieldProblem {
    /// The field, from the body inwards: `trigger.minute`.
    field: String,
    /// The value, and the rule that it breaks.
    rule: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// A field of the request breaks a rule.
    pub(super) fn field(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::fields(vec![FieldProblem {
            field: field.into(),
            rule: rule.into(),
        }])
    }

    fn fields(errors: Vec<FieldProblem>) -> Self {
        let shown = |error: &FieldProblem| match error.field.as_str() {
            "" => error.rule.clone(),
            field => format!("{field}: {}", error.rule),
        };
        let detail = errors.first().map(shown).unwrap_or_default();
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        Self { errors, ..problem }
    }

    pub(super) fn no_such(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} {id:?}"))
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }
}

impl From<JobsError> for Problem {
    fn from(error: JobsError) -> Self {
        let status = match &error {
            JobsError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            JobsError::ChangedMeanwhile { .. } => StatusCode::PRECONDITION_FAILED,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<scheduler_core::StoreError> for Problem {
    fn from(error: scheduler_core::StoreError) -> Self {
        JobsError::from(error).into()
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::field("id", error.to_string())
    }
}

impl From<TriggerError> for Problem {
    fn from(error: TriggerError) -> Self {
        Self::field(format!("trigger.{}", error.field), error.message)
    }
}

impl From<PatchError> for Problem {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Field(error) => Self::field(error.field, error.message),
            PatchError::Change(error) => Self::conflict(error.to_string()),
            taken @ PatchError::KeyTaken { .. } => Self::conflict(taken.to_string()),
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let errors = error.fields().map(|(field, rule)| FieldProblem {
            field: field.to_owned(),
            rule: rule.to_owned(),
        });
        Self::fields(errors.collect())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content = [(header::CONTENT_TYPE, "application/problem+json")];
        let body = serde_json::to_string(&self).unwrap_or_default();
        (status, content, body).into_response()
    }
}

/// A request that is refused before a handler sees it.
pub(in crate::http) fn refuse(status: StatusCode, message: &str) -> Response {
    let mut response = Problem::new(status, message).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let schemes = HeaderValue::from_static("Bearer realm=\"carillon\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, schemes);
    }
    response
}
