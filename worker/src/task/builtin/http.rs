//! The task `http`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::reach::Resolver;
use super::targets::HttpTargets;
use crate::task::Context;

/// How much of a response's body is kept, in bytes.
const KEPT_BODY: usize = 1_000;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Args of the task `http`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `url`")]
pub(super) struct HttpArgs {
    /// Where to send the request.
    #[serde(deserialize_with = "url")]
    url: Url,
    /// Defaults to `GET`.
    #[serde(default, deserialize_with = "method")]
    method: Method,
    /// Defaults to none.
    #[serde(default, deserialize_with = "headers")]
    headers: HeaderMap,
    /// Text is sent as it is, anything else as JSON. Defaults to nothing.
    #[serde(default)]
    body: Value,
    /// How long the request may take, to the last byte of the answer. Defaults to 30 s.
    #[serde(default = "default_timeout", with = "scheduler_core::duration")]
    timeout: Duration,
}

const fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

fn url<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    let text = String::deserialize(from)?;
    match Url::parse(&text) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => Ok(url),
        Ok(_) => Err(de::Error::custom("a URL begins with http:// or https://")),
        Err(error) => Err(de::Error::custom(format!("{text:?} is no URL: {error}"))),
    }
}

fn method<'de, D: Deserializer<'de>>(from: D) -> Result<Method, D::Error> {
    let text = String::deserialize(from)?.to_ascii_uppercase();
    Method::from_bytes(text.as_bytes())
        .map_err(|_| de::Error::custom(format!("{text:?} is no method: give one such as \"POST\"")))
}

fn headers<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderMap, D::Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in BTreeMap::<String, String>::deserialize(from)? {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| de::Error::custom(format!("{name:?} is no name of a header")))?;
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| de::Error::custom(format!("header {name:?} holds a control character")))?;
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Sends the requests of all runs, with kept connections.
///
/// Redirects are not followed: a job calls exactly what it names, and an answer of 3xx fails.
#[derive(Clone)]
pub(super) struct Client {
    /// Made when it is first needed: reading the system's certificates takes a while.
    sender: Arc<OnceLock<Result<Sender, String>>>,
    targets: HttpTargets,
}

struct Sender {
    client: reqwest::Client,
    /// Why `https` cannot work here: a small image may have no certificates at all, and plain
    /// `http` is none the worse for it.
    no_https: Option<String>,
}

impl Client {
    /// Sends to these targets only.
    pub(super) fn new(targets: HttpTargets) -> Self {
        Self {
            sender: Arc::default(),
            targets,
        }
    }

    pub(super) async fn run(self, context: Context, args: HttpArgs) -> Result<String, String> {
        // Neither a password nor a token belongs into history.
        let what = format!("{} {}", args.method, without_secrets(&args.url));
        let timeout = args.timeout;
        let refused = |why: String| format!("{what}: {why}");
        self.targets.check(&args.url).map_err(refused)?;
        let sender = self.sender.get_or_init(|| Sender::new(&self.targets));
        let sender = sender.as_ref()?;
        if let Some(why) = sender.no_https.as_ref()
            && args.url.scheme() == "https"
        {
            return Err(format!("{what}: no TLS on this node: {why}"));
        }
        let request = request(&sender.client, &context, args);
        let sent = Instant::now();
        let answered = async {
            let mut response = request.send().await?;
            let body = first_bytes(&mut response).await?;
            Ok((response, body))
        };
        let answered: Result<_, reqwest::Error> = tokio::select! {
            answered = answered => answered,
            () = context.cancellation().cancelled() => {
                return Err(format!("{what}: cancelled before the answer was there"));
            }
        };
        let took = sent.elapsed();
        let (response, body) = answered.map_err(|error| {
            if error.is_timeout() {
                format!("{what}: no answer within {timeout:?}")
            } else {
                format!("{what}: {}", root_cause(error))
            }
        })?;
        let status = response.status();
        context.log(format!("{what}: {status} after {took:.1?}"));
        // A number is small enough.
        let _ = context.keep_result(&serde_json::json!({ "status": status.as_u16() }));
        report(&what, &response, &body)
    }
}

impl Sender {
    fn new(targets: &HttpTargets) -> Result<Self, String> {
        // The process's provider may have been installed by somebody else: any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .redirect(Policy::none())
                .dns_resolver(Arc::new(Resolver(targets.clone())))
                .user_agent(concat!("carillon/", env!("CARGO_PKG_VERSION")))
        };
        let (client, no_https) = match builder().build() {
            Ok(client) => (Ok(client), None),
            Err(error) => (
                builder().tls_certs_only([]).build(),
                Some(root_cause(error)),
            ),
        };
        let client = client.map_err(|error| format!("no HTTP client: {}", root_cause(error)))?;
        Ok(Self { client, no_https })
    }
}

fn request(client: &reqwest::Client, context: &Context, args: HttpArgs) -> RequestBuilder {
    let mut headers = args.headers;
    let body = match args.body {
        Value::Null => None,
        Value::String(text) => Some(text),
        json => {
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            Some(json.to_string())
        }
    };
    let followed = context.followed();
    let followed_run = followed.map(|ended| ended.run.to_string());
    let followed_outcome = followed.map(|ended| ended.outcome.as_str().to_owned());
    // A job may have a trace of its own.
    if let Ok(trace) = HeaderValue::from_str(&context.traceparent()) {
        headers.entry("traceparent").or_insert(trace);
    }
    // Last, so that no job can pass for another.
    let own = [
        ("x-carillon-job", context.job_id().to_string()),
        ("x-carillon-run", context.run_id().to_string()),
        (
            "x-carillon-scheduled-at",
            context.scheduled_at().to_string(),
        ),
        ("x-carillon-attempt", context.attempt().to_string()),
        ("x-carillon-fence", context.fence().to_string()),
        ("x-carillon-followed-run", followed_run.unwrap_or_default()),
        (
            "x-carillon-followed-outcome",
            followed_outcome.unwrap_or_default(),
        ),
    ];
    for (name, value) in own {
        if value.is_empty() {
            headers.remove(name);
            continue;
        }
        // Job ids are free text without control characters; beyond ASCII they travel as UTF-8.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    }
    let mut request = client
        .request(args.method, args.url)
        .headers(headers)
        .timeout(args.timeout);
    if let Some(body) = body {
        request = request.body(body);
    }
    request
}

/// The beginning of the body. The rest is not waited for.
async fn first_bytes(response: &mut Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < KEPT_BODY
        && let Some(chunk) = response.chunk().await?
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(KEPT_BODY - bytes.len())]);
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn report(what: &str, response: &Response, body: &str) -> Result<String, String> {
    let status = response.status();
    let answer = if body.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {body}")
    };
    if status.is_success() {
        return Ok(answer);
    }
    let location = response.headers().get(LOCATION);
    if let Some(location) = location.filter(|_| status.is_redirection()) {
        let location = String::from_utf8_lossy(location.as_bytes());
        return Err(format!(
            "{what}: {status}, redirects to {location}, which is not followed"
        ));
    }
    Err(format!("{what}: {answer}"))
}

fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs without a host, which were refused.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// What it comes down to: reqwest's own text stops at "error sending request".
fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
#[cfg(feature = "cli")]
#[path = "http_tests.rs"]
mod tests;
