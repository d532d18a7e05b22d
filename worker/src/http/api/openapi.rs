//! The OpenAPI document, made from the table of operations and the types of the answers.

use axum::Json;
use scheduler_core::Store;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApi,
    OpenApiBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

use super::PREFIX;
use super::audit::{DeedView, DeedsPage};
use super::operations::{Operation, operations};
use super::problem::{FieldProblem, Problem};
use super::views::{
    EntryView, FireTime, JobView, JobsPage, LeaderView, PreviewView, QueueStats, RunHistory,
    RunMade, RunView, RunsPage, SkipView, Stats, UnreadableView, WorkerView, Workers,
};

pub(super) async fn document<S: Store>() -> Json<OpenApi> {
    Json(build::<S>())
}

fn build<S: Store>() -> OpenApi {
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
    schemas!(DeedView DeedsPage EntryView FieldProblem FireTime JobView JobsPage LeaderView PreviewView Problem QueueStats
        RunHistory RunMade RunView RunsPage SkipView Stats UnreadableView WorkerView Workers);
    for (name, about, required) in [
        (
            "JobSpec",
            "A job, as in the configuration file: id, task, trigger, and optionally name, args, queue, tags and policies",
            &["id", "task", "trigger"][..],
        ),
        (
            "JobPatch",
            "Fields of a job, each with its new value, or null for its default",
            &[],
        ),
        (
            "TriggerPreview",
            "A trigger, as an object or as text, and optionally timezone, now and count",
            &["trigger"],
        ),
    ] {
        let mut schema = ObjectBuilder::new().description(Some(about));
        for name in required {
            schema = schema.required(*name);
        }
        components = components.schema(name, schema.build());
    }
    let scheme = |scheme| SecurityScheme::Http(Http::new(scheme));
    components
        .security_scheme("token", scheme(HttpAuthScheme::Bearer))
        .security_scheme("user", scheme(HttpAuthScheme::Basic))
        .build()
}

fn text() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .build()
        .into()
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
        .summary(Some(operation.summary))
        .description(Some(format!(
            "For {}s and whoever may do more.",
            operation.role
        )));
    let parameter = |name: &str, place, about: &str, required| {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .description(Some(about))
            .schema(Some(text()));
        parameter.build()
    };
    let mut parameters = Vec::new();
    for (name, about) in [("id", "The job's id"), ("run", "The run's id")] {
        if operation.path.contains(&format!("{{{name}}}")) {
            parameters.push(parameter(name, ParameterIn::Path, about, Required::True));
        }
    }
    for (name, about) in operation.query {
        parameters.push(parameter(name, ParameterIn::Query, about, Required::False));
    }
    if operation.conditional {
        let about = "The ETag of the job that the change was made for: it is refused where the job was changed since";
        parameters.push(parameter(
            "If-Match",
            ParameterIn::Header,
            about,
            Required::False,
        ));
    }
    described = described.parameters(Some(parameters));
    if let Some(body) = operation.body {
        let content = ContentBuilder::new().schema(Some(schema_of(body))).build();
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True));
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
    if operation.id == "putJob" {
        responses.push((201, "Added", false));
    }
    responses
}

fn response(operation: &Operation, about: &str, problem: bool) -> utoipa::openapi::Response {
    let response = ResponseBuilder::new().description(about);
    if problem {
        let content = ContentBuilder::new()
            .schema(Some(schema_of("Problem")))
            .build();
        return response
            .content("application/problem+json", content)
            .build();
    }
    let Some(answer) = operation.done.1 else {
        return response.build();
    };
    let content = ContentBuilder::new()
        .schema(Some(schema_of(answer)))
        .build();
    let response = response.content("application/json", content);
    if answer == "JobView" {
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
}
