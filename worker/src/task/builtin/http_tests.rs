use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::testing::{args, context, following};
use super::*;

/// A server on a port of its own.
struct Server {
    listener: TcpListener,
    url: String,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://me:hunter2@{}/hook?token=s3cret",
            listener.local_addr().unwrap()
        );
        Self { listener, url }
    }

    /// Takes one request, and leaves it without an answer.
    async fn take(&self) -> (String, TcpStream) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut request = String::new();
        loop {
            let mut buffer = [0; 1024];
            let length = stream.read(&mut buffer).await.unwrap();
            assert_ne!(length, 0, "the request ended early: {request:?}");
            request.push_str(str::from_utf8(&buffer[..length]).unwrap());
            let Some((head, body)) = request.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() == length {
                return (request, stream);
            }
        }
    }

    /// Takes one request and answers it; answers with the request.
    async fn answer(&self, answer: &str) -> String {
        let (request, mut stream) = self.take().await;
        // The client may hang up early: it keeps only the beginning.
        let _ = stream.write_all(answer.as_bytes()).await;
        request
    }
}

async fn call(args_of: Value) -> Result<String, String> {
    call_as(context("täglich"), args_of).await
}

async fn call_as(context: Context, args_of: Value) -> Result<String, String> {
    let client = Client::new(HttpTargets::default());
    client.run(context, args(args_of)).await
}

#[tokio::test]
async fn a_request_tells_which_run_it_is_for() {
    let server = Server::start().await;
    let call = call(json!({
        "method": "post",
        "url": server.url,
        "headers": { "X-Mine": "yes", "x-carillon-fence": "1" },
        "body": { "n": 1 },
    }));
    let answer = "HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\nfine";
    let (outcome, request) = tokio::join!(call, server.answer(answer));
    assert_eq!(outcome, Ok("201 Created: fine".to_owned()));
    assert!(
        request.starts_with("POST /hook?token=s3cret HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\n{\"n\":1}"), "{request}");
    for header in [
        "content-type: application/json",
        "x-mine: yes",
        "x-carillon-job: täglich",
        "x-carillon-run: täglich@1766595600123",
        "x-carillon-scheduled-at: 2025-12-24T17:00:00.123Z",
        "x-carillon-attempt: 2",
        "x-carillon-fence: 77",
    ] {
        let count = request.lines().filter(|line| *line == header).count();
        assert_eq!(count, 1, "{header} in {request}");
    }
    assert!(!request.contains("x-carillon-fence: 1\r\n"), "{request}");
}

#[tokio::test]
async fn a_request_tells_which_run_it_follows() {
    let server = Server::start().await;
    let wish = json!({ "url": server.url, "headers": { "x-carillon-followed-run": "forged" } });
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let call = call_as(following("a"), wish.clone());
    let (_, request) = tokio::join!(call, server.answer(answer));
    for header in [
        "x-carillon-followed-run: first@1766595600000",
        "x-carillon-followed-outcome: failed",
    ] {
        let count = request.lines().filter(|line| *line == header).count();
        assert_eq!(count, 1, "{header} in {request}");
    }
    let call = call_as(context("a"), wish);
    let (_, request) = tokio::join!(call, server.answer(answer));
    assert!(!request.contains("followed"), "it follows none: {request}");
}

#[tokio::test]
async fn text_is_sent_as_it_is() {
    let server = Server::start().await;
    let call = call(json!({ "method": "PUT", "url": server.url, "body": "a=b" }));
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let (outcome, request) = tokio::join!(call, server.answer(answer));
    assert_eq!(outcome, Ok("204 No Content".to_owned()));
    assert!(request.ends_with("\r\n\r\na=b"), "{request}");
    assert!(!request.contains("content-type"), "{request}");
}

#[tokio::test]
async fn other_answers_fail_with_what_was_said_and_without_secrets() {
    let server = Server::start().await;
    let error = async |answer: &str| {
        let call = call(json!({ "url": server.url }));
        let (outcome, _) = tokio::join!(call, server.answer(answer));
        outcome.unwrap_err()
    };
    let host = server.listener.local_addr().unwrap();
    let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nlater";
    assert_eq!(
        error(answer).await,
        format!("GET http://{host}/hook: 503 Service Unavailable: later")
    );
    let answer = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(
        error(answer).await,
        format!(
            "GET http://{host}/hook: 302 Found, redirects to /elsewhere, which is not followed"
        )
    );
    let broken = error("no http at all").await;
    assert!(
        broken.starts_with(&format!("GET http://{host}/hook: ")),
        "{broken}"
    );
    assert!(
        !broken.contains("hunter2") && !broken.contains("s3cret"),
        "{broken}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let server = Server::start().await;
    let url = server.url.clone();
    drop(server);
    let error = call(json!({ "url": url })).await.unwrap_err();
    assert!(error.contains("Connection refused"), "{error}");
    assert!(
        !error.contains("hunter2") && !error.contains("s3cret"),
        "{error}"
    );
}

#[tokio::test]
async fn only_the_beginning_of_a_long_body_is_kept() {
    let server = Server::start().await;
    let body = "x".repeat(1_000_000);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let call = call(json!({ "url": server.url }));
    let (outcome, _) = tokio::join!(call, server.answer(&answer));
    assert_eq!(outcome.unwrap().len(), "200 OK: ".len() + KEPT_BODY);
}

#[tokio::test]
async fn patience_ends_with_the_timeout() {
    let server = Server::start().await;
    let call = call(json!({ "url": server.url, "timeout": "50ms" }));
    let (outcome, _unanswered) = tokio::join!(call, server.take());
    let error = outcome.unwrap_err();
    assert!(error.ends_with("/hook: no answer within 50ms"), "{error}");
}

#[tokio::test]
async fn a_cancelled_run_hangs_up() {
    let server = Server::start().await;
    let context = context("a");
    let cancellation = context.cancellation().clone();
    let call = Client::new(HttpTargets::default()).run(context, args(json!({ "url": server.url })));
    let taken = async {
        let (_, mut stream) = server.take().await;
        cancellation.cancel();
        stream
            .read(&mut [0])
            .await
            .expect("the client's end of the connection is closed")
    };
    let (outcome, rest) = tokio::join!(call, taken);
    assert!(outcome.unwrap_err().contains("cancelled"));
    assert_eq!(rest, 0);
}
