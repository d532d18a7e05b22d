//! The OpenAPI document, made from the table of operations and the types of requests and answers.

use axum::Json;
use scheduler_core::Store;
use serde_json::json;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApi,
    OpenApiBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

use super::PREFIX;
use super::operations::{Answer, Body, Kind, Operation, Param, operations};
use super::problem::{FieldProblem, Problem};
use crate::wire::{
    ApplyRequest, AttemptView, Backfill, Backfilled, BecameView, Between, Board, Bucket, BulkDone,
    CancelRequest, Cancelled, ChangeKind, Chosen, ClockChange, Counts, DeedView, DeedsPage,
    EntryView, Explained, FailedPage, FailedView, FieldChangeView, FireTime, HoldView, HolderView,
    ImportDone, InFlight, ItemRefused, JobChecked, JobView, Jobs, JobsPage, Lateness, LeaderView,
    Leaders, LimitsRequest, LineView, LogView, MadeUp, NamespaceView, Namespaces, OnceRequest,
    PauseRequest, PauseView, PlanView, PolicyView, Position, PreviewView, ProgressView, PurgeDone,
    QueueCount, QueueView, Refusal, RefusalKind, ReportView, RerunDone, RerunView, RunMade,
    RunRequest, RunView, RunningView, RunsPage, SeriesView, SkipView, Stats, SteeredView, StepKind,
    StepView, Stretch, TriggerRequest, UnreadableView, WorkerState, WorkerView, Workers,
};

/// Jobs as they are typed, which core reads in ways that no type tells.
const TYPED: &str = include_str!("schemas.json");

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";
const PAGE: &str = "text/html";
const PROBLEM: &str = "application/problem+json";

pub(super) async fn document<S: Store>() -> Json<OpenApi> {
    Json(build::<S>())
}

pub(super) fn build<S: Store>() -> OpenApi {
    let mut paths = Paths::new();
    for (operation, _) in operations::<S>() {
        let (path, method, described) = describe(&operation);
        paths.add_path_operation(path, vec![method], described);
    }
    let info = InfoBuilder::new()
        .title("Carillon")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Jobs, what became of them, and the workers that run them.",
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components()))
        .security(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new::<_, [&str; 0], &str>("token", []),
            SecurityRequirement::new::<_, [&str; 0], &str>("user", []),
        ]))
        .build()
}

fn components() -> Components {
    let mut components = ComponentsBuilder::new();
    macro_rules! schemas {
        ($($view:ident)*) => {
            $(components = components.schema($view::name(), $view::schema());)*
        };
    }
    schemas!(ApplyRequest AttemptView Backfill Backfilled Between Board Bucket BecameView BulkDone
        CancelRequest Cancelled ChangeKind Chosen ClockChange Counts DeedView DeedsPage EntryView Explained
        FailedPage FailedView FieldChangeView FieldProblem FireTime HoldView HolderView ImportDone
        InFlight ItemRefused JobChecked JobView Jobs JobsPage Lateness LeaderView Leaders
        LimitsRequest LineView LogView MadeUp NamespaceView Namespaces OnceRequest PauseRequest
        PauseView PlanView PolicyView Position PreviewView Problem ProgressView PurgeDone
        QueueCount QueueView Refusal RefusalKind ReportView RerunDone RerunView RunMade RunRequest RunView RunningView
        RunsPage SeriesView SkipView Stats SteeredView StepKind StepView Stretch TriggerRequest
        UnreadableView WorkerState WorkerView Workers);
    let typed: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(TYPED).unwrap_or_default();
    for (name, schema) in typed {
        components = components.schema(name, schema_from(schema));
    }
    let scheme = |scheme| SecurityScheme::Http(Http::new(scheme));
    components
        .security_scheme("token", scheme(HttpAuthScheme::Bearer))
        .security_scheme("user", scheme(HttpAuthScheme::Basic))
        .build()
}

/// A schema that is written down as JSON.
fn schema_from(value: serde_json::Value) -> RefOr<Schema> {
    serde_json::from_value(value).unwrap_or_else(|_| RefOr::T(Schema::default()))
}

fn text() -> RefOr<Schema> {
    schema_from(json!({"type": "string"}))
}

fn schema_of_param(kind: Kind) -> RefOr<Schema> {
    schema_from(match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Name => json!({"type": "string", "pattern": NAME}),
        Kind::Word => json!({"type": "string", "pattern": WORD}),
        Kind::Tags => json!({"type": "array", "items": {"type": "string", "pattern": WORD}}),
        Kind::Length => json!({"type": "string", "pattern": "^[1-9][0-9]{0,3}(s|m|h)$"}),
        Kind::Place => {
            json!({"type": "string", "pattern": "^[0-9]{1,15}(-[0-9]{1,5}(/[0-9]{1,4}(/[0-9]{1,4})?)?)?$"})
        }
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::UpTo(most) => json!({"type": "integer", "minimum": 1, "maximum": most}),
        Kind::Words(words) => json!({"type": "string", "enum": words}),
    })
}

/// Names as rules: no control characters, no blanks at the ends.
const NAME: &str = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";
const WORD: &str = "^[A-Za-z0-9_.:-]{1,100}$";

/// What the variable parts of paths are.
const SEGMENTS: [(&str, &str); 4] = [
    ("id", "The job's id"),
    ("run", "The run's id"),
    ("queue", "The queue's name"),
    ("key", "The unique key"),
];

fn parameters(operation: &Operation) -> Vec<utoipa::openapi::path::Parameter> {
    let parameter = |name: &str, place, about: &str, required, schema| {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .description(Some(about))
            .schema(Some(schema));
        parameter.build()
    };
    let mut parameters = Vec::new();
    for (name, about) in SEGMENTS {
        if operation.path.contains(&format!("{{{name}}}")) {
            let schema = text();
            parameters.push(parameter(
                name,
                ParameterIn::Path,
                about,
                Required::True,
                schema,
            ));
        }
    }
    for Param { name, about, kind } in operation.query {
        let schema = schema_of_param(*kind);
        parameters.push(parameter(
            name,
            ParameterIn::Query,
            about,
            Required::False,
            schema,
        ));
    }
    if operation.conditional {
        let about = "The ETag of the job that the change was made for: it is refused where the job was changed since";
        let schema = schema_from(json!({"type": "string", "pattern": "^(\\*|\"[0-9]{1,19}\")$"}));
        let place = ParameterIn::Header;
        parameters.push(parameter("If-Match", place, about, Required::False, schema));
    }
    if operation.keyed {
        let about = "A key of the client's own: sent again under it within ten minutes, the same request is answered as it was, and not done again";
        let schema = schema_from(json!({"type": "string", "pattern": "^[ -~]{1,255}$"}));
        let place = ParameterIn::Header;
        parameters.push(parameter(
            "Idempotency-Key",
            place,
            about,
            Required::False,
            schema,
        ));
    }
    if matches!(operation.done.1, Answer::Events) {
        let about = "The id of the last event that was heard: what was recorded since comes first";
        let schema =
            schema_from(json!({"type": "string", "pattern": "^[0-9]+(-[0-9]+)?(/[0-9]+)?$"}));
        let place = ParameterIn::Header;
        parameters.push(parameter(
            "Last-Event-ID",
            place,
            about,
            Required::False,
            schema,
        ));
    }
    parameters
}

fn describe(operation: &Operation) -> (String, HttpMethod, utoipa::openapi::path::Operation) {
    let method = match operation.method {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    };
    let mut described = OperationBuilder::new()
        .operation_id(Some(operation.id))
        .tag(operation.group)
        .summary(Some(operation.summary))
        .description(Some(format!(
            "For {}s and whoever may do more.",
            operation.role
        )))
        .parameters(Some(parameters(operation)));
    let content = |schema| ContentBuilder::new().schema(Some(schema)).build();
    let body = match operation.body {
        Body::None => None,
        Body::Json(name) => Some((JSON, schema_of(name), Required::True)),
        Body::MaybeJson(name) => Some((JSON, schema_of(name), Required::False)),
        Body::Lines => Some((LINES, text(), Required::False)),
    };
    if let Some((kind, schema, required)) = body {
        let body = RequestBodyBuilder::new()
            .content(kind, content(schema))
            .required(Some(required));
        described = described.request_body(Some(body.build()));
    }
    for (status, about, problem) in responses(operation) {
        described = described.response(status.to_string(), response(operation, about, problem));
    }
    (
        format!("{PREFIX}{}", operation.path),
        method,
        described.build(),
    )
}

/// Each status that it may answer with, what that means, and whether it is a problem.
fn responses(operation: &Operation) -> Vec<(u16, &'static str, bool)> {
    let mut responses = vec![(operation.done.0, "Done", false)];
    let mut problem = |status, about| responses.push((status, about, true));
    problem(400, "The request cannot be read");
    problem(401, "No key, or none that is known");
    problem(403, "The key does not open this");
    problem(404, "There is no such thing");
    problem(421, "This host's name is not served");
    problem(429, "Too many requests");
    problem(503, "The store does not answer");
    if operation.method != "GET" {
        problem(409, "Something else is there, or is going on");
        problem(413, "The body is too large");
        problem(412, "It was changed meanwhile");
    }
    problem(422, "A field breaks a rule");
    match operation.id {
        "putJob" => responses.push((201, "Added", false)),
        "createJob" => responses.push((
            200,
            "It took the place of another, or a job that does its work is there",
            false,
        )),
        "once" => responses.push((200, "A job that does its work is there", false)),
        _ => {}
    }
    responses
}

fn response(operation: &Operation, about: &str, problem: bool) -> utoipa::openapi::Response {
    let response = ResponseBuilder::new().description(about);
    let content = |schema| ContentBuilder::new().schema(Some(schema)).build();
    if problem {
        return response
            .content(PROBLEM, content(schema_of("Problem")))
            .build();
    }
    let response = match operation.done.1 {
        Answer::None => response,
        Answer::Json(name) => response.content(JSON, content(schema_of(name))),
        Answer::Object => response.content(JSON, content(schema_from(json!({"type": "object"})))),
        Answer::Lines => response.content(LINES, content(text())),
        Answer::Events => response.content(EVENTS, content(text())),
        Answer::Page => response.content(PAGE, content(text())),
    };
    if matches!(operation.done.1, Answer::Json("JobView")) {
        let etag = HeaderBuilder::new()
            .schema(Some(text()))
            .description(Some("The job's version, for If-Match"));
        return response.header("ETag", etag.build()).build();
    }
    response.build()
}

fn schema_of(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use scheduler_core::MemoryStore;

    use super::*;

    #[test]
    fn the_document_names_only_schemas_that_it_has() {
        let document = serde_json::to_value(build::<MemoryStore>()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for named in text.split("#/components/schemas/").skip(1) {
            let name = named.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
    }

    #[test]
    fn the_schemas_of_jobs_are_told_as_they_are_written_down() {
        let document = serde_json::to_value(build::<MemoryStore>()).unwrap();
        let typed: serde_json::Value = serde_json::from_str(TYPED).unwrap();
        for (name, schema) in typed.as_object().unwrap() {
            let told = &document["components"]["schemas"][name];
            assert_eq!(told["required"], schema["required"], "{name}");
            let fields = |of: &serde_json::Value| {
                let fields = of["properties"].as_object();
                fields.map(|fields| fields.keys().cloned().collect::<BTreeSet<_>>())
            };
            assert_eq!(fields(told), fields(schema), "{name}");
        }
        let spec = &document["components"]["schemas"]["JobSpec"];
        assert_eq!(spec["additionalProperties"], false);
        assert_eq!(spec["properties"]["max_instances"]["maximum"], 1000);
    }
}
