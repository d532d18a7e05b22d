//! A real `redis-server` for one test: on a free port, with a folder of its own, ended with the test.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use scheduler_core::Namespace;
use scheduler_redis::{RedisConfig, RedisStore};
use tempfile::TempDir;

/// Whether and how the server keeps its data on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Not at all.
    None,
    /// By its append-only file, written with every command.
    AppendOnly,
}

/// A moment in a server's append-only file.
#[derive(Clone, Debug)]
pub struct Moment {
    file: std::path::PathBuf,
    written: u64,
}

/// How often a server is started on another port before that is an error.
const TRIES: usize = 4;

/// A running `redis-server`.
#[derive(Debug)]
pub struct RedisServer {
    dir: TempDir,
    port: u16,
    persistence: Persistence,
    /// As they stand in its URL.
    credentials: String,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server without persistence.
    ///
    /// # Errors
    ///
    /// Where there is no `redis-server`, or it does not come up.
    pub fn start() -> Result<Self> {
        Self::with(Persistence::None, None)
    }

    /// Starts a server.
    ///
    /// # Errors
    ///
    /// Where there is no `redis-server`, or it does not come up.
    pub fn with(persistence: Persistence, password: Option<&str>) -> Result<Self> {
        Self::with_arguments(persistence, password, &[])
    }

    /// Starts a server with more arguments.
    ///
    /// # Errors
    ///
    /// Where there is no `redis-server`, or it does not come up.
    pub fn with_arguments(
        persistence: Persistence,
        password: Option<&str>,
        arguments: &[&str],
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        if let Some(password) = password {
            arguments.extend(["--requirepass".to_owned(), password.to_owned()]);
        }
        let mut server = Self {
            dir,
            port: free_port()?,
            persistence,
            credentials: password.map_or_else(String::new, |p| format!(":{p}@")),
            arguments,
            child: None,
        };
        for _ in 0..TRIES {
            if server.run().is_ok() {
                return Ok(server);
            }
            // Most often another test was faster to take the port.
            server.port = free_port()?;
        }
        server.run()?;
        Ok(server)
    }

    /// Starts a server whose only user is the one of `deploy/redis/users.acl`.
    ///
    /// # Errors
    ///
    /// Where there is no `redis-server`, or it does not come up.
    pub fn with_least_rights(persistence: Persistence) -> Result<Self> {
        let users = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/redis/users.acl");
        let mut server = Self::with_arguments(persistence, None, &["--aclfile", users])?;
        "carillon:CHANGE-ME@".clone_into(&mut server.credentials);
        Ok(server)
    }

    /// The same as the one server of a cluster: it refuses a call whose keys are not all of one slot.
    ///
    /// # Errors
    ///
    /// Where there is no `redis-server`, or it does not come up.
    pub fn as_a_cluster(self) -> Result<Self> {
        let mut server = self;
        server.kill()?;
        let id = "0".repeat(40);
        let nodes = format!(
            "{id} :0@0 myself,master - 0 0 0 connected 0-16383\n\
             vars currentEpoch 0 lastVoteEpoch 0\n"
        );
        std::fs::write(server.dir.path().join("nodes.conf"), nodes)?;
        let bus = free_port()?.to_string();
        let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        server.arguments.extend(cluster.map(str::to_owned));
        for _ in 0..TRIES {
            if server.run_until("Cluster state changed: ok").is_ok() {
                return Ok(server);
            }
            server.port = free_port()?;
        }
        server.run_until("Cluster state changed: ok")?;
        Ok(server)
    }

    /// Starts the server again on the same port, with what it kept on disk.
    ///
    /// # Errors
    ///
    /// Where it does not come up.
    pub fn run(&mut self) -> Result<()> {
        self.run_until("Ready to accept connections")
    }

    /// Starts the server, and waits until it says this.
    fn run_until(&mut self, said: &str) -> Result<()> {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--loglevel", "notice"]);
        command.arg("--port").arg(self.port.to_string());
        command.arg("--dir").arg(self.dir.path());
        if self.persistence == Persistence::AppendOnly {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        command.args(&self.arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("redis-server: is it installed? (apt-get install redis-server)")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        self.child = Some(child);
        let mut log = Vec::new();
        for line in lines.by_ref() {
            let line = line?;
            if line.contains(said) {
                // Whatever it says later must not fill the pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(());
            }
            log.push(line);
        }
        bail!(
            "redis-server on port {} ended:\n{}",
            self.port,
            log.join("\n")
        )
    }

    /// The port that it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_on(self.port)
    }

    /// Its URL through another port.
    #[must_use]
    pub fn url_on(&self, port: u16) -> String {
        format!("redis://{}127.0.0.1:{port}", self.credentials)
    }

    /// A store on this server.
    ///
    /// # Panics
    ///
    /// Never: the URL and the namespace are fine.
    #[must_use]
    pub fn store(&self, namespace: &str) -> RedisStore {
        RedisStore::new(self.config(), namespace.parse().expect("a namespace"))
    }

    /// A store on this server whose clock the test sets.
    ///
    /// # Panics
    ///
    /// Never: the URL and the namespace are fine.
    #[must_use]
    pub fn pinned_store(&self, namespace: &Namespace) -> RedisStore {
        RedisStore::with_pinned_clock(self.config(), namespace.clone())
    }

    fn config(&self) -> RedisConfig {
        RedisConfig::from_url(&self.url()).expect("a URL of our own")
    }

    /// A connection for looking into it.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn connect(&self) -> Result<redis::aio::MultiplexedConnection> {
        Ok(redis::Client::open(self.url())?
            .get_multiplexed_async_connection()
            .await?)
    }

    /// The moment, in its append-only file: to come back to, for as long as the file is not rewritten.
    ///
    /// # Errors
    ///
    /// Where it has none.
    pub fn moment(&self) -> Result<Moment> {
        let file = self.append_only()?;
        let written = std::fs::metadata(&file)?.len();
        Ok(Moment { file, written })
    }

    /// Ends the server at once, cuts what it wrote after a share (0 to 1) of what came since that moment,
    /// and starts it again. Answers with what was lost: nothing is where the file was rewritten.
    ///
    /// # Errors
    ///
    /// Where it does not come up again.
    pub fn lose_since(&mut self, moment: &Moment, share: f64) -> Result<Vec<u8>> {
        self.kill()?;
        let now = self.moment()?;
        let mut lost = Vec::new();
        if now.file == moment.file && now.written > moment.written {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "some byte between the two"
            )]
            let kept = ((now.written - moment.written) as f64 * share.clamp(0.0, 1.0)) as u64;
            let mut file = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&now.file)?;
            file.seek(SeekFrom::Start(moment.written))?;
            file.read_to_end(&mut lost)?;
            file.set_len(moment.written + kept)?;
            // Where a step of the server is cut in two, it loses all of it.
            let kept = usize::try_from(kept)?;
            let step = lost[..kept]
                .windows(7)
                .rposition(|word| word == b"\nMULTI\r");
            lost.drain(..step.unwrap_or(0));
        }
        self.run()?;
        Ok(lost)
    }

    /// How much of its append-only file there is, in bytes: a moment to come back to.
    ///
    /// # Errors
    ///
    /// Where it has none.
    pub fn written(&self) -> Result<u64> {
        Ok(std::fs::metadata(self.append_only()?)?.len())
    }

    /// Ends the server at once, cuts what it wrote after that many bytes, and starts it again: as a crash
    /// of its machine does, before the end of the file came to the disk.
    ///
    /// # Errors
    ///
    /// Where it does not come up again.
    pub fn lose_after(&mut self, written: u64) -> Result<()> {
        self.kill()?;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(self.append_only()?)?;
        file.set_len(written)?;
        self.run()
    }

    fn append_only(&self) -> Result<std::path::PathBuf> {
        let mut parts: Vec<_> = std::fs::read_dir(self.dir.path().join("appendonlydir"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "aof"))
            .filter(|path| path.to_string_lossy().contains(".incr."))
            .collect();
        parts.sort();
        parts.pop().context("an append-only file")
    }

    /// Sends the server a signal.
    ///
    /// # Errors
    ///
    /// Where it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("the server does not run")?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// Ends the server at once, as a crash does.
    ///
    /// # Errors
    ///
    /// Where it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing to do.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A port that was free a moment ago.
///
/// # Errors
///
/// Where the machine has none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
