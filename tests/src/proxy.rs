//! A TCP proxy between a node and its Redis that loses what it is told to lose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A proxy to one port on this machine. Ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    faults: Arc<Faults>,
    _running: DropGuard,
}

#[derive(Debug, Default)]
struct Faults {
    /// The next answer is thrown away, and its connection cut.
    cut_next_reply: AtomicBool,
    /// How many answers were thrown away.
    cut: AtomicUsize,
    /// New connections are closed at once.
    refuse: AtomicBool,
    /// All connections are cut.
    broken: std::sync::Mutex<CancellationToken>,
    /// All connections stand still.
    stalled: std::sync::Mutex<CancellationToken>,
}

impl Proxy {
    /// Starts a proxy to `port` on the loopback address.
    ///
    /// # Errors
    ///
    /// Where no port is free.
    pub async fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let faults = Arc::new(Faults::default());
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, port, Arc::clone(&faults), stop.clone()));
        Ok(Self {
            address,
            faults,
            _running: stop.drop_guard(),
        })
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Throws away the next answer after its command was done, and cuts the connection.
    pub fn cut_next_reply(&self) {
        self.faults.cut_next_reply.store(true, Ordering::SeqCst);
    }

    /// How many answers have been thrown away.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.faults.cut.load(Ordering::SeqCst)
    }

    /// Cuts all connections, and lets none in until [`mend`](Self::mend).
    ///
    /// # Panics
    ///
    /// Where another thread panicked while it held the lock.
    pub fn break_down(&self) {
        self.faults.refuse.store(true, Ordering::SeqCst);
        let mut broken = self.faults.broken.lock().expect("no panic under this lock");
        std::mem::take(&mut *broken).cancel();
    }

    /// Lets all connections stand still for good, as where the other side's machine is gone: they
    /// stay open, and nothing comes through. New ones work.
    ///
    /// # Panics
    ///
    /// Where another thread panicked while it held the lock.
    pub fn stall(&self) {
        let mut stalled = self
            .faults
            .stalled
            .lock()
            .expect("no panic under this lock");
        std::mem::take(&mut *stalled).cancel();
    }

    /// Lets connections in again.
    pub fn mend(&self) {
        self.faults.refuse.store(false, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, port: u16, faults: Arc<Faults>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((client, _)) = accepted else { return };
        if faults.refuse.load(Ordering::SeqCst) {
            continue;
        }
        let of_now = |token: &std::sync::Mutex<CancellationToken>| {
            token.lock().expect("no panic under this lock").clone()
        };
        let (broken, stalled) = (of_now(&faults.broken), of_now(&faults.stalled));
        let (faults, stop) = (Arc::clone(&faults), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = broken.cancelled() => {}
                // Either side may go away at any time; that ends both.
                _ = forward(client, port, &faults, &stalled) => {}
            }
        });
    }
}

async fn forward(
    mut client: TcpStream,
    port: u16,
    faults: &Faults,
    stalled: &CancellationToken,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let forwarding = forward_both(&mut client, &mut server, faults);
    match stalled.run_until_cancelled(forwarding).await {
        Some(result) => result,
        // Both sides stay open, and nobody reads from them.
        None => std::future::pending().await,
    }
}

async fn forward_both(
    client: &mut TcpStream,
    server: &mut TcpStream,
    faults: &Faults,
) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = tokio::io::copy(&mut from_client, &mut to_server);
    let replies = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = from_server.read(&mut buffer).await?;
            if n == 0 {
                return Ok::<_, std::io::Error>(());
            }
            if faults.cut_next_reply.swap(false, Ordering::SeqCst) {
                faults.cut.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            to_client.write_all(&buffer[..n]).await?;
        }
    };
    tokio::select! {
        result = requests => result.map(drop),
        result = replies => result,
    }
}
