//! The document as a page for people: made from the very same document, without scripts, and with nothing
//! from elsewhere.

use std::fmt::Write as _;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use scheduler_core::Store;
use serde_json::Value;

use super::openapi::build;
use super::operations::{Operation, operations};

const STYLE: &str = include_str!("page.css");

/// The page's own styles, and nothing else at all.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

pub(super) async fn page<S: Store>() -> Response {
    let document = serde_json::to_value(build::<S>()).unwrap_or_default();
    let table = operations::<S>()
        .into_iter()
        .map(|(operation, _)| operation);
    let text = Page::of(&document, &table.collect::<Vec<_>>());
    let head = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (head, text).into_response()
}

/// A page that is being written. Writing to a string never fails.
struct Page<'a> {
    document: &'a Value,
    text: String,
}

impl Page<'_> {
    fn of(document: &Value, table: &[Operation]) -> String {
        let mut page = Page {
            document,
            text: String::new(),
        };
        page.write(table);
        page.text
    }

    fn add(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
    }

    fn write(&mut self, table: &[Operation]) {
        let version = escaped(text_of(&self.document["info"]["version"]));
        self.add(format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>Carillon's API</title>\
             <style>{STYLE}</style><h1>Carillon's API <small>{version}</small></h1>\
             <p>{} The same for programs: <a href=\"openapi.json\">openapi.json</a>.</p>",
            escaped(text_of(&self.document["info"]["description"]))
        ));
        let mut group = "";
        for operation in table {
            if operation.group != group {
                group = operation.group;
                self.add(format!("<h2>{}</h2>", escaped(group)));
            }
            self.operation(operation);
        }
        self.add("<h2>Types</h2>");
        let schemas = self.document["components"]["schemas"].as_object();
        for (name, schema) in schemas.into_iter().flatten() {
            self.schema(name, schema);
        }
        self.add("</html>\n");
    }

    fn operation(&mut self, operation: &Operation) {
        let path = format!("{}{}", super::PREFIX, operation.path);
        let method = operation.method.to_lowercase();
        let told = &self.document["paths"][&path][&method];
        self.add(format!(
            "<details id=\"{}\"><summary><b>{}</b> <code>{}</code> {}</summary><p>{}</p>",
            operation.id,
            operation.method,
            escaped(&path),
            escaped(operation.summary),
            escaped(text_of(&told["description"])),
        ));
        let parameters = told["parameters"].as_array().into_iter().flatten();
        let rows = parameters.map(|parameter| {
            row(
                &format!(
                    "{} ({})",
                    text_of(&parameter["name"]),
                    text_of(&parameter["in"])
                ),
                &type_of(&parameter["schema"]),
                text_of(&parameter["description"]),
            )
        });
        let rows: String = rows.collect();
        if !rows.is_empty() {
            self.add(format!("<table>{rows}</table>"));
        }
        let contents = |of: &Value| -> String {
            let contents = of["content"].as_object().into_iter().flatten();
            let told = contents.map(|(kind, content)| {
                format!("{} {}", type_of(&content["schema"]), escaped(kind))
            });
            told.collect::<Vec<_>>().join(", ")
        };
        let body = contents(&told["requestBody"]);
        if !body.is_empty() {
            self.add(format!("<p>Body: {body}</p>"));
        }
        let responses = told["responses"].as_object().into_iter().flatten();
        let rows: String = responses
            .map(|(status, response)| {
                row(
                    status,
                    &contents(response),
                    text_of(&response["description"]),
                )
            })
            .collect();
        self.add(format!("<table>{rows}</table></details>"));
    }

    fn schema(&mut self, name: &str, schema: &Value) {
        self.add(format!(
            "<details id=\"type-{name}\"><summary><code>{name}</code> {}</summary>",
            escaped(text_of(&schema["description"]))
        ));
        let required = schema["required"].as_array();
        let is_required = |field: &str| {
            let mut fields = required.into_iter().flatten();
            fields.any(|name| name == field)
        };
        // What is flattened into a type stands beside its own fields.
        let parts = schema["allOf"].as_array().into_iter().flatten();
        let mut rows = String::new();
        for part in parts.chain([schema]) {
            if let Some(link) = reference(part) {
                let _ = write!(rows, "{}", row("", &link, "and its fields"));
            }
            for (field, schema) in part["properties"].as_object().into_iter().flatten() {
                let mark = if is_required(field) { " *" } else { "" };
                let about = text_of(&schema["description"]);
                let _ = write!(
                    rows,
                    "{}",
                    row(&format!("{field}{mark}"), &type_of(schema), about)
                );
            }
        }
        if rows.is_empty() {
            self.add(format!("<p>{}</p></details>", type_of(schema)));
        } else {
            self.add(format!("<table>{rows}</table></details>"));
        }
    }
}

fn row(name: &str, kind: &str, about: &str) -> String {
    format!(
        "<tr><td><code>{}</code><td>{kind}<td>{}",
        escaped(name),
        escaped(about)
    )
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A link to a type.
fn reference(schema: &Value) -> Option<String> {
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    Some(format!("<a href=\"#type-{name}\">{name}</a>"))
}

/// What a value of this schema is, in short, as HTML.
fn type_of(schema: &Value) -> String {
    if let Some(link) = reference(schema) {
        return link;
    }
    let several = ["oneOf", "anyOf"]
        .iter()
        .find_map(|of| schema[of].as_array());
    if let Some(several) = several {
        return several.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().map(|word| escaped(&word.to_string()));
        return words.collect::<Vec<_>>().join(" or ");
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds = kinds.iter().map(text_of);
            kinds.collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    };
    if schema["items"].is_object() {
        return format!("{kind} of {}", type_of(&schema["items"]));
    }
    match schema["maximum"].as_u64() {
        Some(most) => format!("{kind}, {} to {most}", schema["minimum"]),
        None => kind,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
