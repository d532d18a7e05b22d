//! The error pages of Werkzeug, which answers what no handler of the API sees.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

const HTML: &str = "text/html; charset=utf-8";

fn page(status: StatusCode, text: &str) -> Response {
    let code = status.as_u16();
    let name = status.canonical_reason().unwrap_or_default();
    let body = format!(
        "<!doctype html>\n<html lang=en>\n<title>{code} {name}</title>\n<h1>{name}</h1>\n<p>{text}</p>\n"
    );
    (status, [(header::CONTENT_TYPE, HTML)], body).into_response()
}

pub(super) fn bad_request() -> Response {
    let text = "The browser (or proxy) sent a request that this server could not understand.";
    page(StatusCode::BAD_REQUEST, text)
}

pub(super) fn not_found() -> Response {
    let text = "The requested URL was not found on the server. If you entered the URL manually \
                please check your spelling and try again.";
    page(StatusCode::NOT_FOUND, text)
}

pub(super) fn method_not_allowed(allow: &str) -> Response {
    let text = "The method is not allowed for the requested URL.";
    with_allow(page(StatusCode::METHOD_NOT_ALLOWED, text), allow)
}

pub(super) fn too_large() -> Response {
    let text = "The data value transmitted exceeds the capacity limit.";
    page(StatusCode::PAYLOAD_TOO_LARGE, text)
}

/// What `OPTIONS` answers, without credentials too.
pub(super) fn options(allow: &str) -> Response {
    with_allow(empty(StatusCode::OK), allow)
}

/// No body; its type is told all the same.
pub(super) fn empty(status: StatusCode) -> Response {
    (status, [(header::CONTENT_TYPE, HTML)], "").into_response()
}

/// Neither a user's name and password nor a token that is known.
pub(super) fn unauthorized() -> Response {
    let headers = [
        (header::CONTENT_TYPE, HTML),
        (
            header::WWW_AUTHENTICATE,
            "Basic realm=\"Authentication Required\"",
        ),
    ];
    (StatusCode::UNAUTHORIZED, headers, "Access Denied").into_response()
}

fn with_allow(mut response: Response, allow: &str) -> Response {
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
