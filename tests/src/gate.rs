//! A TCP proxy between a node and its Redis that lets everything stand still at a chosen moment, as if the
//! node's process were frozen there, and lets it go on later.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where in a request the node stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// It has made up its mind, and nothing of the request is on its way yet.
    Before,
    /// Half of the request has been sent.
    Within,
    /// The server has answered, and the node does not know yet.
    Answered,
}

/// A moment to stand still at: a place in the request that comes after `skip` others that `is_meant`.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Where in it.
    pub at: At,
    /// How many others pass first.
    pub skip: usize,
    /// Which requests count.
    pub is_meant: fn(&[u8]) -> bool,
}

/// A proxy to one port on this machine. Ends when it is dropped.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
    _running: DropGuard,
}

#[derive(Debug)]
struct Shared {
    moment: Mutex<Option<Moment>>,
    is_shut: watch::Sender<bool>,
}

impl Shared {
    fn moment(&self) -> MutexGuard<'_, Option<Moment>> {
        self.moment.lock().expect("no panic under this lock")
    }

    /// Where the moment lies in this request, if it does.
    fn strikes(&self, request: &[u8]) -> Option<At> {
        let mut moment = self.moment();
        let wanted = moment
            .as_mut()
            .filter(|wanted| (wanted.is_meant)(request))?;
        if wanted.skip > 0 {
            wanted.skip -= 1;
            return None;
        }
        moment.take().map(|moment| moment.at)
    }

    fn shut(&self) {
        self.is_shut.send_replace(true);
    }

    async fn open(&self) {
        // It ends with the gate, whose tasks end, too.
        let _ = self.is_shut.subscribe().wait_for(|shut| !shut).await;
    }
}

impl Gate {
    /// Starts a proxy to `port` on the loopback address.
    ///
    /// # Errors
    ///
    /// Where no port is free.
    pub async fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            moment: Mutex::new(None),
            is_shut: watch::Sender::new(false),
        });
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, port, Arc::clone(&shared), stop.clone()));
        Ok(Self {
            address,
            shared,
            _running: stop.drop_guard(),
        })
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// From this moment on nothing passes, in either direction and on any connection. Answers once it has
    /// come.
    ///
    /// # Panics
    ///
    /// Where another thread panicked while it held the lock.
    pub async fn stands_still(&self, moment: Moment) {
        *self.shared.moment() = Some(moment);
        // The sender lives as long as this gate.
        let _ = self.shared.is_shut.subscribe().wait_for(|shut| *shut).await;
    }

    /// Everything goes on.
    pub fn go_on(&self) {
        self.shared.is_shut.send_replace(false);
    }
}

async fn accept(listener: TcpListener, port: u16, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((client, _)) = accepted else { return };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            let Ok(server) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else {
                return;
            };
            if client
                .set_nodelay(true)
                .and(server.set_nodelay(true))
                .is_err()
            {
                return;
            }
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let answered = watch::Sender::new(false);
            tokio::select! {
                () = stop.cancelled() => {}
                // Either side may go away at any time; that ends both.
                _ = requests(from_client, to_server, &shared, &answered) => {}
                _ = replies(from_server, to_client, &shared, &answered) => {}
            }
        });
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    is_awaited: &watch::Sender<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        shared.open().await;
        let request = &buffer[..n];
        let mut sent = 0;
        match shared.strikes(request) {
            None => {}
            Some(At::Before) => shared.shut(),
            Some(At::Within) => {
                sent = n / 2;
                to.write_all(&request[..sent]).await?;
                shared.shut();
            }
            Some(At::Answered) => {
                is_awaited.send_replace(true);
                to.write_all(request).await?;
                sent = n;
            }
        }
        shared.open().await;
        to.write_all(&request[sent..]).await?;
    }
}

async fn replies(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    is_awaited: &watch::Sender<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        if is_awaited.send_replace(false) {
            shared.shut();
        }
        shared.open().await;
        to.write_all(&buffer[..n]).await?;
    }
}
