//! The documented API, asked over HTTP.

use std::fmt::{self, Write as _};
use std::fs;
use std::time::Duration;

use carillon::wire::{Refusal, RefusalKind};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::args::Global;
use crate::cli::failure::{Failure, HINT};

/// How long a worker has to answer.
const WITHIN: Duration = Duration::from_secs(60);

/// How often a request is sent again that found too many before it.
const TRIES: u32 = 5;

/// A worker's API.
#[derive(Clone)]
pub(in crate::cli) struct Api {
    /// Without a slash at its end.
    base: String,
    /// The same without what is nobody's business.
    shown: String,
    token: Option<String>,
    client: Client,
}

/// What came back.
pub(super) enum Answered<T> {
    /// What was asked for.
    Done(T),
    /// There is no such thing.
    NotFound(String),
    /// Something else is there, is going on, or was changed meanwhile.
    Conflict(Conflict),
}

/// Why something cannot be as it was asked for.
#[derive(Debug, Default)]
pub(super) struct Conflict {
    detail: String,
    /// Which of the ways it is to be refused.
    pub(super) kind: Option<RefusalKind>,
    /// Why each of many jobs is refused, by its field.
    pub(super) refused: Vec<(String, Refusal)>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl<T> Answered<T> {
    /// What was asked for, if it is there.
    pub(super) fn found(self) -> Result<Option<T>, Failure> {
        match self {
            Self::Done(answer) => Ok(Some(answer)),
            Self::NotFound(_) => Ok(None),
            Self::Conflict(why) => Err(Failure::Refused(why.to_string())),
        }
    }

    /// What was asked for, where nothing else is expected.
    pub(super) fn done(self) -> Result<T, Failure> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::NotFound(why) => Err(Failure::Refused(why)),
            Self::Conflict(why) => Err(Failure::Refused(why.to_string())),
        }
    }
}

impl Api {
    pub(super) fn new(url: &str, global: &Global) -> Result<Self, Failure> {
        let usage = |message: String| Failure::Usage(message);
        let wrong = || {
            usage(format!(
                "--api: is no address of a worker\n{HINT}give one such as http://localhost:8080"
            ))
        };
        let parsed = Url::parse(url).map_err(|_| wrong())?;
        if !["http", "https"].contains(&parsed.scheme()) || !parsed.has_host() {
            return Err(wrong());
        }
        let mut shown = parsed.clone();
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("carillon/", env!("CARGO_PKG_VERSION")));
        if parsed.scheme() == "http" {
            // No authority is needed, and a small image may have none.
            client = client.tls_certs_only([]);
        } else if let Some(file) = global.ca_file() {
            let told = |why: String| usage(format!("--ca-file: {}: {why}", file.display()));
            let pem = fs::read(file).map_err(|error| told(error.to_string()))?;
            let authorities = Certificate::from_pem_bundle(&pem);
            let authorities = authorities.map_err(|error| told(error.to_string()))?;
            if authorities.is_empty() {
                return Err(told("there is no certificate in it".to_owned()));
            }
            client = client.tls_certs_only(authorities);
        }
        let client = client.build().map_err(|error| usage(error.to_string()))?;
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            shown: shown.as_str().trim_end_matches('/').to_owned(),
            token: global.token()?,
            client,
        })
    }

    /// Where the worker is, without what is nobody's business.
    pub(super) fn describe(&self) -> &str {
        &self.shown
    }

    /// Asks for what stands at a path.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Answered<T>, Failure> {
        let asked = || self.request(Method::GET, path, query).timeout(WITHIN);
        self.json(asked).await
    }

    /// Changes something; `version` is that of the job that the change was decided on.
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        version: Option<u64>,
    ) -> Result<Answered<T>, Failure> {
        let asked = || {
            let mut request = self.request(method.clone(), path, &[]).timeout(WITHIN);
            if let Some(version) = version {
                request = request.header("if-match", format!("\"{version}\""));
            }
            match body {
                Some(body) => request
                    .header("content-type", "application/json")
                    .body(body.to_string()),
                None => request,
            }
        };
        self.json(asked).await
    }

    /// Sends lines.
    pub(super) async fn send_lines<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        lines: &str,
    ) -> Result<Answered<T>, Failure> {
        let asked = || {
            self.request(Method::POST, path, query)
                .header("content-type", "application/x-ndjson")
                .body(lines.to_owned())
        };
        self.json(asked).await
    }

    /// Asks for lines, to be read as they come.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Response, Failure> {
        let asked = || self.request(Method::GET, path, query);
        match self.answer(asked).await? {
            Answered::Done(response) => Ok(response),
            other => Err(other.done().err().unwrap_or(Failure::Closed)),
        }
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        let mut url = format!("{}/api/v1{path}", self.base);
        for (number, (name, value)) in query.iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            let _ = write!(url, "{mark}{name}={}", encoded(value));
        }
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        asked: impl Fn() -> RequestBuilder,
    ) -> Result<Answered<T>, Failure> {
        let response = match self.answer(asked).await? {
            Answered::Done(response) => response,
            Answered::NotFound(why) => return Ok(Answered::NotFound(why)),
            Answered::Conflict(why) => return Ok(Answered::Conflict(why)),
        };
        let body = response.bytes().await.map_err(|error| self.cut(error))?;
        // Nothing is as good as null.
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        let read = serde_json::from_slice(body).map_err(|error| {
            let message = format!(
                "{}: no answer that this version can read: {error}",
                self.shown
            );
            Failure::Refused(message)
        })?;
        Ok(Answered::Done(read))
    }

    /// What was answered, sorted by what it means.
    async fn answer(
        &self,
        asked: impl Fn() -> RequestBuilder,
    ) -> Result<Answered<Response>, Failure> {
        let mut tries = 0;
        let response = loop {
            let response = asked().send().await.map_err(|error| self.cut(error))?;
            tries += 1;
            // Refused before anything was done.
            if response.status() != StatusCode::TOO_MANY_REQUESTS || tries == TRIES {
                break response;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        let status = response.status();
        if status.is_success() {
            return Ok(Answered::Done(response));
        }
        let body = response.bytes().await.unwrap_or_default();
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem["detail"].as_str().map(str::to_owned);
        let detail = detail.unwrap_or_else(|| format!("{}: {status}", self.shown));
        match status {
            StatusCode::NOT_FOUND if problem.is_object() => Ok(Answered::NotFound(detail)),
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
                let refused = problem["errors"].as_array().into_iter().flatten();
                let refused = refused.filter_map(|error| {
                    let field = error["field"].as_str()?.to_owned();
                    Some((
                        field,
                        serde_json::from_value(error["refusal"].clone()).ok()?,
                    ))
                });
                Ok(Answered::Conflict(Conflict {
                    kind: serde_json::from_value(problem["kind"].clone()).ok(),
                    refused: refused.collect(),
                    detail,
                }))
            }
            StatusCode::UNAUTHORIZED => Err(Failure::Refused(format!(
                "{}: {detail}\n{HINT}give a token with --token, --token-file or CARILLON_TOKEN",
                self.shown
            ))),
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
                Err(Failure::Usage(detail))
            }
            // The latter two are a proxy's, with no worker behind it at the moment.
            StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT => {
                Err(Failure::Unreachable(format!("{}: {detail}", self.shown)))
            }
            _ => Err(Failure::Refused(format!("{}: {detail}", self.shown))),
        }
    }

    pub(super) fn cut(&self, error: reqwest::Error) -> Failure {
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Failure::Unreachable(format!("{}: {cause}", self.shown))
    }
}

/// A text as one part of a path or a query.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}
