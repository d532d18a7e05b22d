//! What stands before each handler.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use scheduler_core::{Namespace, Store};

use super::keys::Unknown;
use crate::audit::{self, Author, Deed, Outcome, Via, acting_as};
use crate::config::{AllowedHosts, HttpKey, Role};
use crate::http::app::App;
use crate::http::routes::Style;
use crate::http::server::Peer;

/// Who asks where nobody has to show a key.
const ANYBODY: &str = "anybody";

/// How many characters are written down of a request that was refused.
const MAX_ASKED: usize = 300;

/// What a route wants of those who ask.
#[derive(Clone, Debug)]
pub(in crate::http) struct Wanted<S> {
    pub(in crate::http) app: App<S>,
    pub(in crate::http) role: Role,
    pub(in crate::http) style: Style,
}

/// Lets a request through to its handler, or refuses it.
pub(in crate::http) async fn guard<S: Store>(
    State(wanted): State<Wanted<S>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    match admitted(&wanted, &parts).await {
        Ok(author) => acting_as(author, next.run(Request::from_parts(parts, body))).await,
        Err((status, message)) => {
            let mut response = wanted.style.refuse(status, &message);
            if status == StatusCode::TOO_MANY_REQUESTS {
                let second = HeaderValue::from_static("1");
                response.headers_mut().insert(RETRY_AFTER, second);
            }
            response
        }
    }
}

/// Who asks; or why the request is refused.
async fn admitted<S: Store>(
    wanted: &Wanted<S>,
    request: &Parts,
) -> Result<Author, (StatusCode, String)> {
    let app = &wanted.app;
    let headers = &request.headers;
    let from = request.extensions.get::<Peer>();
    let from = from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let mut author = Author::new(ANYBODY, Via::Http);
    author.address = Some(from.to_canonical().to_string());
    if !app.limits().may_ask(from) {
        return Err(too_many("requests"));
    }
    if !is_host_allowed(app.allowed_hosts(), headers, app.keys().are_wanted()) {
        let message = "this host name is not served: see [http] allowed_hosts";
        return Err((StatusCode::MISDIRECTED_REQUEST, message.to_owned()));
    }
    if !request.method.is_safe() && is_foreign(headers) {
        let message = "a page of another origin may not ask for changes";
        return Err((StatusCode::FORBIDDEN, message.to_owned()));
    }
    if !app.keys().are_wanted() {
        return Ok(author);
    }
    let key = match app.keys().identify(headers, from, app.limits()).await {
        Ok(key) => key,
        Err(Unknown::TooMany) => return Err(too_many("tries")),
        Err(Unknown::Unauthorized) => {
            let message = "a token, or a user's name and password, is needed";
            return Err((StatusCode::UNAUTHORIZED, message.to_owned()));
        }
    };
    author.by.clone_from(&key.name);
    author.role = Some(key.role.to_string());
    let Some(why) = not_opened(key, wanted) else {
        return Ok(author);
    };
    if !request.method.is_safe() && app.limits().may_be_noted(from) {
        let asked = format!("{} {}", request.method, request.uri.path());
        let mut deed = Deed::new(author, clipped(asked), None).with_detail(Some(&why));
        deed.outcome = Outcome::Refused;
        audit::write(app.store(), vec![deed]).await;
    }
    Err((StatusCode::FORBIDDEN, why))
}

/// Why a key does not open what is asked for, if it does not.
fn not_opened<S: Store>(key: &HttpKey, wanted: &Wanted<S>) -> Option<String> {
    let Wanted { app, role, .. } = wanted;
    let others = |namespace: &Namespace| namespace != app.namespace();
    if key.namespace.as_ref().is_some_and(others) {
        return Some(format!("{:?} opens another namespace", key.name));
    }
    (key.role < *role).then(|| {
        format!(
            "{:?} has the role {}, and this needs {role}",
            key.name, key.role
        )
    })
}

/// A request that was refused, as it is written down.
fn clipped(asked: String) -> String {
    match asked.char_indices().nth(MAX_ASKED) {
        Some((end, _)) => format!("{} ...", &asked[..end]),
        None => asked,
    }
}

fn too_many(what: &str) -> (StatusCode, String) {
    let message = format!("too many {what}: try again in a second");
    (StatusCode::TOO_MANY_REQUESTS, message)
}

/// Whether the name that a client knows this server by is one of ours: a page elsewhere may have a
/// name of its own point here.
fn is_host_allowed(allowed: &AllowedHosts, headers: &HeaderMap, keys_are_wanted: bool) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.map(without_port).unwrap_or_default();
    match allowed {
        AllowedHosts::Any => true,
        AllowedHosts::These(names) => names.iter().any(|name| name.eq_ignore_ascii_case(host)),
        // Who must show a key is no browser that was led here.
        AllowedHosts::Default if keys_are_wanted => true,
        AllowedHosts::Default => {
            let address = host.trim_matches(['[', ']']);
            host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a browser says that a page of another origin asks.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return !["same-origin", "none"].contains(&site);
    }
    let Some(origin) = text(ORIGIN) else {
        return false;
    };
    let of_origin = origin
        .split_once("://")
        .map_or(origin, |(_, authority)| authority);
    text(HOST) != Some(of_origin)
}

/// Headers that keep browsers from making more of an answer than it is.
pub(in crate::http) async fn hardened(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
