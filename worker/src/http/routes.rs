//! What may be asked, and by whom: one table, out of which the router is made.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use scheduler_core::Store;
use tower_http::catch_panic::CatchPanicLayer;

use super::access::{Wanted, guard, hardened};
use super::app::App;
use super::{api, flask, health, metrics};
use crate::config::Role;

/// How many times as large as others the bodies of some routes may be.
const LARGE: usize = 16;

/// In whose words a route refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A line of text.
    Plain,
    /// As Flask-APScheduler.
    Flask,
    /// As problem details.
    Native,
}

impl Style {
    /// A refusal in these words.
    pub(super) fn refuse(self, status: StatusCode, message: &str) -> Response {
        match self {
            Self::Plain => (status, format!("{message}\n")).into_response(),
            Self::Flask => flask::refuse(status, message),
            Self::Native => api::refuse(status, message),
        }
    }
}

/// One route.
#[derive(Debug)]
pub struct Route<S> {
    /// Its path, with `{name}` for what is not fixed.
    pub path: String,
    /// Its method.
    pub method: &'static str,
    /// What its clients must be allowed; none where it is open to anybody, and tells nothing.
    pub role: Option<Role>,
    /// In whose words it refuses.
    pub style: Style,
    /// Whether its bodies may be larger than others.
    is_large: bool,
    /// Whether it may be sent again under a key of the client's.
    is_keyed: bool,
    handler: MethodRouter<App<S>>,
}

impl<S: Store> Route<S> {
    pub(super) fn new(
        path: impl Into<String>,
        method: &'static str,
        role: impl Into<Option<Role>>,
        handler: MethodRouter<App<S>>,
    ) -> Self {
        Self {
            path: path.into(),
            method,
            role: role.into(),
            style: Style::Plain,
            is_large: false,
            is_keyed: false,
            handler,
        }
    }

    pub(super) fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// For what may be sent again under a key of the client's.
    pub(super) fn keyed(self) -> Self {
        Self {
            is_keyed: true,
            ..self
        }
    }

    /// For bodies that hold many things.
    pub(super) fn large(self) -> Self {
        Self {
            is_large: true,
            ..self
        }
    }
}

/// All routes of `app`.
pub fn routes<S: Store>(app: &App<S>) -> Vec<Route<S>> {
    let mut routes = vec![
        Route::new("/healthz", "GET", None, get(health::healthz)),
        Route::new("/readyz", "GET", None, get(health::readyz::<S>)),
        Route::new("/metrics", "GET", Role::Viewer, get(metrics::metrics::<S>)),
    ];
    routes.extend(api::routes());
    if let Some(prefix) = app.flask_prefix() {
        routes.extend(flask::routes(prefix));
    }
    routes
}

/// The router of `app`.
pub(super) fn router<S: Store>(app: App<S>) -> Router {
    let mut paths: BTreeMap<String, Vec<Route<S>>> = BTreeMap::new();
    for route in routes(&app) {
        paths.entry(route.path.clone()).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, routes) in paths {
        router = router.route(&path, methods(&app, routes));
    }
    router
        .fallback(any(async |request: Request| nowhere(&request)))
        .layer(DefaultBodyLimit::max(app.max_body()))
        .layer(from_fn(hardened))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app)
}

/// All methods of one path.
fn methods<S: Store>(app: &App<S>, routes: Vec<Route<S>>) -> MethodRouter<App<S>> {
    let allow = allowed(&routes);
    let style = routes.first().map_or(Style::Plain, |route| route.style);
    let mut methods = MethodRouter::new();
    for route in routes {
        methods = methods.merge(guarded(app, route));
    }
    methods.fallback(async move |request: Request| other_method(style, &request, &allow))
}

/// What is asked that is nowhere.
fn nowhere(request: &Request) -> Response {
    let path = request.uri().path();
    let is_native = path
        .strip_prefix(api::PREFIX)
        .is_some_and(|rest| rest.starts_with('/'));
    if is_native {
        return api::refuse(StatusCode::NOT_FOUND, &format!("there is no {path:?}"));
    }
    flask::not_found()
}

/// A method that a path has no handler for.
fn other_method(style: Style, request: &Request, allow: &str) -> Response {
    if style == Style::Flask {
        return flask::other_method(request, allow);
    }
    let method = request.method();
    let mut response = if *method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let message = format!("{method} is not among {allow}");
        style.refuse(StatusCode::METHOD_NOT_ALLOWED, &message)
    };
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The handler, behind the guard if it is not open to anybody.
fn guarded<S: Store>(app: &App<S>, mut route: Route<S>) -> MethodRouter<App<S>> {
    let times = if route.is_large { LARGE } else { 1 };
    let most = app.max_body().saturating_mul(times);
    if route.is_keyed {
        let layer = from_fn_with_state((app.clone(), most), api::keyed);
        route.handler = route.handler.layer(layer);
    }
    route.handler = route.handler.layer(DefaultBodyLimit::max(most));
    let Some(role) = route.role else {
        return route.handler;
    };
    let wanted = Wanted {
        app: app.clone(),
        role,
        style: route.style,
    };
    route.handler.layer(from_fn_with_state(wanted, guard))
}

/// What `Allow` says of a path.
fn allowed<S>(routes: &[Route<S>]) -> String {
    let mut methods: Vec<&str> = routes.iter().map(|route| route.method).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

/// A handler's panic ends its request, and nothing else.
fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a handler of HTTP panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
