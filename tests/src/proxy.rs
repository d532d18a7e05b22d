//! A TCP proxy between a node and its Redis that loses, holds up and delays what it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
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
    /// All connections are reset.
    reset: std::sync::Mutex<CancellationToken>,
    /// All connections stand still.
    stalled: std::sync::Mutex<CancellationToken>,
    /// Requests, and replies, do not pass for now.
    held: [watch::Sender<bool>; 2],
    /// How many milliseconds longer each packet takes.
    delay_ms: AtomicU64,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the node to its Redis.
    Requests,
    /// From the Redis to the node.
    Replies,
}

impl Faults {
    /// Waits for as long as a packet that came just now is held up.
    async fn hold_up(&self, way: Way) {
        let delay = self.delay_ms.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        // The sender is here.
        let _ = self.held[way as usize]
            .subscribe()
            .wait_for(|held| !held)
            .await;
    }
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

    /// Resets all connections: whoever uses one gets an error at once. New ones work.
    ///
    /// # Panics
    ///
    /// Where another thread panicked while it held the lock.
    pub fn reset(&self) {
        let mut reset = self.faults.reset.lock().expect("no panic under this lock");
        std::mem::take(&mut *reset).cancel();
    }

    /// Holds up what comes this way, on all connections, until [`let_pass`](Self::let_pass): then it
    /// arrives.
    pub fn hold(&self, way: Way) {
        self.faults.held[way as usize].send_replace(true);
    }

    /// What was held up arrives, and what comes from now on.
    pub fn let_pass(&self, way: Way) {
        self.faults.held[way as usize].send_replace(false);
    }

    /// From now on each packet, in both directions, takes so much longer.
    pub fn delay(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.faults.delay_ms.store(ms, Ordering::SeqCst);
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
        let reset = of_now(&faults.reset);
        let (faults, stop) = (Arc::clone(&faults), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = broken.cancelled() => {}
                // Either side may go away at any time; that ends both.
                _ = forward(client, port, &faults, &stalled, &reset) => {}
            }
        });
    }
}

async fn forward(
    mut client: TcpStream,
    port: u16,
    faults: &Faults,
    stalled: &CancellationToken,
    reset: &CancellationToken,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let forwarding = async {
        let both = forward_both(&mut client, &mut server, faults);
        match stalled.run_until_cancelled(both).await {
            Some(result) => result,
            // Both sides stay open, and nobody reads from them.
            None => std::future::pending().await,
        }
    };
    if let Some(result) = reset.run_until_cancelled(forwarding).await {
        return result;
    }
    // Closed without lingering is closed by a reset.
    client.set_zero_linger()?;
    server.set_zero_linger()
}

async fn forward_both(
    client: &mut TcpStream,
    server: &mut TcpStream,
    faults: &Faults,
) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = from_client.read(&mut buffer).await?;
            if n == 0 {
                return Ok::<_, std::io::Error>(());
            }
            faults.hold_up(Way::Requests).await;
            to_server.write_all(&buffer[..n]).await?;
        }
    };
    let replies = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = from_server.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            if faults.cut_next_reply.swap(false, Ordering::SeqCst) {
                faults.cut.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            faults.hold_up(Way::Replies).await;
            to_client.write_all(&buffer[..n]).await?;
        }
    };
    tokio::select! {
        result = requests => result,
        result = replies => result,
    }
}
