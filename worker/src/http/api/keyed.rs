//! Requests under a key of the client's: `Idempotency-Key`.
//!
//! A client that got no answer cannot know whether its request was done. Under a key it may send the very
//! same again: what was done is answered as it was then, and what is going on is not begun again. The
//! store remembers keys, so that another node may be asked, for as long as it remembers requests: ten
//! minutes.
//!
//! Where a node dies in the middle, its key is pending until [`PATIENCE`] has passed, and then the request
//! is done (again) by the next who asks, with the same [`Keyed`]: ids are made of it, so that a run or a
//! job that is there already is found.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::digest::{Context, SHA256};
use scheduler_core::store::{Recall, Recalled, Recalling, RequestId};
use scheduler_core::{Store, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::problem::Problem;
use crate::http::app::App;
use crate::jobs::retry::until_known;
use crate::wire::RefusalKind;

/// The header that holds the key.
pub(super) const HEADER: &str = "idempotency-key";

/// How long a key may be, in characters.
const LONGEST: usize = 255;

/// For how many milliseconds a request without an answer is taken to be going on.
const PATIENCE: i64 = 60_000;

/// Of how many bytes answers are kept word for word.
const KEPT: usize = 1024 * 1024;

/// Which headers of an answer are kept.
const HEADERS: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];

/// The key that a request was made under: what is made for it is called after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed {
    key: RequestId,
    /// When the key was first used.
    pub(super) since: Timestamp,
    /// Whether the request may have been begun before.
    pub(super) is_again: bool,
}

impl Keyed {
    /// An id that is the same each time that this request is sent.
    pub(super) fn id(&self) -> Uuid {
        self.made_of(self.key.0)
    }

    /// The same, for one of several things that are made of what has this name.
    pub(super) fn id_for(&self, name: &str) -> Uuid {
        self.made_of(hash(&[self.key.0.as_bytes(), name.as_bytes()]))
    }

    fn made_of(&self, bits: Uuid) -> Uuid {
        let ms = u64::try_from(self.since.as_ms()).unwrap_or(0);
        let mut random = [0; 10];
        random.copy_from_slice(&bits.as_bytes()[..10]);
        uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
    }
}

/// An answer, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    /// None where it was too large.
    body: Option<String>,
}

/// Answers a request that was done before as it was answered then.
pub(in crate::http) async fn keyed<S: Store>(
    State((app, most)): State<(App<S>, usize)>,
    request: Request,
    next: Next,
) -> Response {
    let key = match key_of(request.headers()) {
        Ok(Some(key)) => key,
        Ok(None) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    let done = under(&app, &key, most, request, next).await;
    done.unwrap_or_else(IntoResponse::into_response)
}

/// The client's key, if it gave one.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if text.is_empty() || text.len() > LONGEST || !is_plain {
        let rule = format!("must have 1 to {LONGEST} characters of ASCII");
        return Err(Problem::field("Idempotency-Key", rule));
    }
    Ok(Some(text.to_owned()))
}

async fn under<S: Store>(
    app: &App<S>,
    key: &str,
    most: usize,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, most).await.map_err(|_| {
        let detail = format!("the body is larger than {most} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    let mut recall = Recall {
        key: RequestId(hash(&[b"key", key.as_bytes()])),
        by: RequestId(Uuid::new_v4()),
        fingerprint: hash(&[
            parts.method.as_str().as_bytes(),
            parts.uri.to_string().as_bytes(),
            &body,
        ])
        .simple()
        .to_string(),
        what: Recalling::Take,
    };
    let store = app.store();
    let (since, is_again) = match until_known(|| store.recall(&recall)).await? {
        Recalled::Yours(since) => (since, false),
        Recalled::Other => {
            let rule = "was used for another request: each request has a key of its own";
            return Err(Problem::field("Idempotency-Key", rule));
        }
        Recalled::Answered(answer) => return Ok(answered(&answer)),
        Recalled::Pending(since) => {
            let now = app.jobs().now().await?;
            if now.as_ms() - since.as_ms() < PATIENCE {
                return Ok(going_on());
            }
            (since, true)
        }
    };
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(Keyed {
        key: recall.key,
        since,
        is_again,
    });
    let response = next.run(request).await;
    let (response, what) = kept(response).await?;
    recall.what = what;
    // Where this fails, the key is pending until patience ends: nothing is done twice by that.
    let _ = store.recall(&recall).await;
    Ok(response)
}

/// The answer, and what is kept of it. What came to nothing may be sent again.
async fn kept(response: Response) -> Result<(Response, Recalling), Problem> {
    if !response.status().is_success() {
        return Ok((response, Recalling::Free));
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer was broken off",
        )
    })?;
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let header = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    let kept = Kept {
        status: parts.status.as_u16(),
        headers: HEADERS.iter().filter_map(header).collect(),
        body: (text.len() <= KEPT).then(|| text.to_owned()),
    };
    let kept = serde_json::to_string(&kept).unwrap_or_default();
    Ok((
        Response::from_parts(parts, Body::from(body)),
        Recalling::Keep(kept),
    ))
}

/// What was answered before.
fn answered(text: &str) -> Response {
    let Ok(kept) = serde_json::from_str::<Kept>(text) else {
        return going_on();
    };
    let Some(body) = kept.body else {
        let detail = "the same request was done, and its answer was too large to be kept";
        return Problem::conflict(detail).into_response();
    };
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    for (name, value) in kept.headers {
        let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().insert(name, value);
        }
    }
    let again = HeaderName::from_static("idempotent-replayed");
    let yes = HeaderValue::from_static("true");
    response.headers_mut().insert(again, yes);
    response
}

/// The same request is being done.
fn going_on() -> Response {
    let detail = "the same request is being done: ask again in a moment";
    let problem = Problem::conflict(detail).of_kind(RefusalKind::GoingOn);
    let mut response = problem.into_response();
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, soon);
    response
}

fn hash(parts: &[&[u8]]) -> Uuid {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    Uuid::from_bytes(bytes)
}
