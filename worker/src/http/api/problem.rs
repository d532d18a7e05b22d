//! What is refused: RFC 9457's problem details, with the field and the rule that it breaks.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use scheduler_core::store::StoreErrorKind;
use scheduler_core::trigger::TriggerError;
use scheduler_core::{NameError, PatchError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::ConfigError;
use crate::jobs::JobsError;
use crate::mistake::join;
use crate::wire::{Refusal, RefusalKind};

/// A problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct Problem {
    /// What went wrong, in short.
    title: String,
    /// The status, once more.
    status: u16,
    /// What went wrong, on what.
    detail: String,
    /// Which of the ways it is to be refused, for programs, where the status alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<RefusalKind>,
    /// Each field that breaks a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
}

/// A field that breaks a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct FieldProblem {
    /// The field, from the body inwards: `trigger.minute`.
    field: String,
    /// The value that it has in the request, where it has one and is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    /// The rule that it breaks, with the value.
    rule: String,
    /// Of many jobs: why this one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
}

impl FieldProblem {
    pub(super) fn refused(field: String, refusal: Refusal) -> Self {
        Self {
            field,
            value: None,
            rule: refusal.why.clone(),
            refusal: Some(refusal),
        }
    }
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            kind: None,
            errors: Vec::new(),
        }
    }

    /// A field of the request breaks a rule.
    pub(super) fn field(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::fields(vec![FieldProblem {
            field: field.into(),
            rule: rule.into(),
            ..FieldProblem::default()
        }])
    }

    /// With the values of its fields in the request. What stands in args is not repeated.
    pub(super) fn with_values(mut self, body: &Value) -> Self {
        for error in &mut self.errors {
            let value = found(body, &error.field);
            error.value = value.filter(|value| is_short(value)).cloned();
        }
        self
    }

    pub(super) fn with_errors(self, errors: Vec<FieldProblem>) -> Self {
        Self { errors, ..self }
    }

    /// Of a part of the request that stands at this path.
    pub(super) fn within(mut self, path: &str) -> Self {
        for error in &mut self.errors {
            error.field = join(path, &error.field);
        }
        let errors = std::mem::take(&mut self.errors);
        Self::fields(errors)
    }

    /// Where the store refused something because of this parameter of the query.
    pub(super) fn of_position(parameter: &str, error: JobsError) -> Self {
        match &error {
            JobsError::Store(refused) if refused.kind() == StoreErrorKind::Refused => {
                Self::field(parameter, refused.to_string())
            }
            _ => error.into(),
        }
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

    pub(super) fn of_kind(self, kind: RefusalKind) -> Self {
        Self {
            kind: Some(kind),
            ..self
        }
    }

    /// A job that cannot be as it is.
    pub(super) fn refused(refusal: Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Over => Self::field("trigger", refusal.why),
            kind => Self::conflict(refusal.why).of_kind(kind),
        }
    }
}

/// What stands in a body at a path such as `jobs[2].trigger.minute`.
fn found<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = body;
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        at = match step.strip_suffix(']') {
            Some(index) => at.get(index.parse::<usize>().ok()?)?,
            None if step == "args" => return None,
            None => at.get(step)?,
        };
    }
    Some(at).filter(|_| !path.is_empty())
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) => false,
        Value::String(text) => text.len() <= 200 && !text.contains("://"),
        _ => true,
    }
}

impl From<JobsError> for Problem {
    fn from(error: JobsError) -> Self {
        let status = match &error {
            JobsError::Store(error) if error.kind() == StoreErrorKind::Mismatch => {
                StatusCode::CONFLICT
            }
            JobsError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            JobsError::ChangedMeanwhile { .. } => StatusCode::PRECONDITION_FAILED,
            JobsError::Apart(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::CONFLICT,
        };
        let kind = match &error {
            JobsError::ChangedMeanwhile { .. } | JobsError::Contended { .. } => {
                Some(RefusalKind::ChangedMeanwhile)
            }
            JobsError::Unreadable { .. } => Some(RefusalKind::Unreadable),
            JobsError::KeyTaken { .. } => Some(RefusalKind::KeyTaken),
            JobsError::Store(_) | JobsError::Circle(_) | JobsError::Apart(_) => None,
        };
        Self {
            kind,
            ..Self::new(status, error.to_string())
        }
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
            taken @ PatchError::KeyTaken { .. } => {
                Self::conflict(taken.to_string()).of_kind(RefusalKind::KeyTaken)
            }
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let errors = error.fields().map(|(field, rule)| FieldProblem {
            field: field.to_owned(),
            rule: rule.to_owned(),
            ..FieldProblem::default()
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
