//! One row of the table.

use super::Param;
use crate::config::Role;

/// One operation, as the document tells it.
#[derive(Clone, Copy, Debug)]
pub(in crate::http::api) struct Operation {
    /// What it is called in clients that are generated.
    pub(in crate::http::api) id: &'static str,
    /// What it is about, as a heading.
    pub(in crate::http::api) group: &'static str,
    pub(in crate::http::api) method: &'static str,
    pub(in crate::http::api) path: &'static str,
    /// What its clients must be allowed.
    pub(in crate::http::api) role: Role,
    /// What it does.
    pub(in crate::http::api) summary: &'static str,
    /// What its query may hold.
    pub(in crate::http::api) query: &'static [Param],
    /// What its body holds.
    pub(in crate::http::api) body: Body,
    /// Whether it heeds `If-Match`.
    pub(in crate::http::api) conditional: bool,
    /// Whether it may be sent again under `Idempotency-Key`.
    pub(in crate::http::api) keyed: bool,
    /// Whether its body may be large.
    pub(in crate::http::api) large: bool,
    /// Its status when it is done, and what it answers with.
    pub(in crate::http::api) done: (u16, Answer),
}

/// What an operation's body holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::http::api) enum Body {
    /// Nothing.
    None,
    /// This, as JSON.
    Json(&'static str),
    /// This, as JSON; or nothing.
    MaybeJson(&'static str),
    /// Lines of JSON.
    Lines,
}

/// What an operation answers with.
#[derive(Clone, Copy, Debug)]
pub(in crate::http::api) enum Answer {
    /// Nothing.
    None,
    /// This, as JSON.
    Json(&'static str),
    /// Any JSON object.
    Object,
    /// Events, for as long as the client listens.
    Events,
    /// A page for people.
    Page,
    /// Lines of JSON.
    Lines,
}

/// An operation that looks.
pub(super) const fn read(
    id: &'static str,
    path: &'static str,
    answer: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        id,
        group: "",
        method: "GET",
        path,
        role: Role::Viewer,
        summary,
        query: &[],
        body: Body::None,
        conditional: false,
        keyed: false,
        large: false,
        done: (200, Answer::Json(answer)),
    }
}

/// An operation that changes something.
pub(super) const fn change(
    id: &'static str,
    (method, path): (&'static str, &'static str),
    (status, answer): (u16, &'static str),
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        role: Role::Operator,
        done: (status, Answer::Json(answer)),
        ..read(id, path, "", summary)
    }
}

impl Operation {
    pub(super) const fn query(self, query: &'static [Param]) -> Self {
        Self { query, ..self }
    }

    pub(super) const fn body(self, body: &'static str) -> Self {
        Self {
            body: Body::Json(body),
            ..self
        }
    }

    pub(super) const fn maybe(self, body: &'static str) -> Self {
        Self {
            body: Body::MaybeJson(body),
            ..self
        }
    }

    pub(super) const fn conditional(self) -> Self {
        Self {
            conditional: true,
            ..self
        }
    }

    pub(super) const fn keyed(self) -> Self {
        Self {
            keyed: true,
            ..self
        }
    }

    pub(super) const fn large(self) -> Self {
        Self {
            large: true,
            ..self
        }
    }

    pub(super) const fn lines(self) -> Self {
        Self {
            body: Body::Lines,
            large: true,
            ..self
        }
    }

    pub(super) const fn answers(self, answer: Answer) -> Self {
        let (status, _) = self.done;
        Self {
            done: (status, answer),
            ..self
        }
    }

    pub(super) const fn for_operators(self) -> Self {
        Self {
            role: Role::Operator,
            ..self
        }
    }

    pub(super) const fn for_viewers(self) -> Self {
        Self {
            role: Role::Viewer,
            ..self
        }
    }
}
