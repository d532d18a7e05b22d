//! Accepting connections, away from the node.
//!
//! A thread and a runtime of its own serve HTTP: whatever clients do, the node's loops have their
//! own threads, and its heartbeats theirs. Connections are bounded in number, and each has so long
//! to say what it wants.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use scheduler_core::Store;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::app::App;
use super::routes::router;
use super::tls::Tls;

/// How many connections are served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// How long a client has to send a request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(15);

/// How large a request's head may be, in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// How long requests under way may take to end when the server stops.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How long to wait where no connection can be accepted, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Threads for all requests: what they wait for is the store.
const THREADS: usize = 2;

/// Whose connection a request came over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// A server that listens, and does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens at `address`; port 0 stands for any that is free.
    ///
    /// # Errors
    ///
    /// An address that cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to serve `app`.
    ///
    /// # Errors
    ///
    /// A thread that could not be started, a certificate that cannot be read.
    pub fn serve<S: Store>(self, app: App<S>) -> io::Result<Serving> {
        let tls = app.tls_files().cloned().map(Tls::read).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let tls = tls.map(Arc::new);
        let stop = app.stopping();
        let router = router(app);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("carillon-http")
            .enable_all()
            .build()?;
        let stopped = stop.clone();
        let address = self.address;
        let thread = std::thread::Builder::new()
            .name("carillon-http".to_owned())
            .spawn(move || {
                runtime.block_on(accept(self.listener, router, tls, stopped));
                runtime.shutdown_background();
            })?;
        Ok(Serving {
            address,
            scheme,
            stop,
            thread: Some(thread),
        })
    }
}

/// A server that serves, until it is stopped or dropped.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    scheme: &'static str,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How its URLs begin: `https://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Accepts no more, lets requests under way end, within bounds, and ends.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // The thread ends within bounds, but joining it blocks.
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the HTTP server's thread panicked");
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("HTTP is not served: {error}"),
    };
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let open = GracefulShutdown::new();
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next => accepted,
        };
        let (Ok((stream, peer)), Ok(slot)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (watcher, router) = (open.watcher(), router.clone());
        let acceptor = tls.as_ref().map(|tls| tls.acceptor());
        tokio::spawn(async move {
            // What goes wrong with a connection is its client's to see.
            match acceptor {
                None => drop(watcher.watch(connection(stream, peer, router)).await),
                Some(acceptor) => {
                    let accepted = timeout(HEAD_WITHIN, acceptor.accept(stream)).await;
                    if let Ok(Ok(stream)) = accepted {
                        drop(watcher.watch(connection(stream, peer, router)).await);
                    }
                }
            }
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(END_WITHIN, open.shutdown()).await;
}

/// Serves the requests of one connection, one after the other.
fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
}
