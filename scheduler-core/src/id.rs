//! Names: what jobs, tasks, queues, nodes, sessions and runs are called.
//!
//! Each kind of name is a type of its own, checked once where it enters. Cloning one is cheap.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{Builder, Uuid};

use crate::time::Timestamp;

/// A name that breaks the rule of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} {rule}")]
pub struct NameError {
    kind: &'static str,
    value: String,
    rule: String,
}

impl NameError {
    pub(crate) fn new(kind: &'static str, value: &str, rule: impl Into<String>) -> Self {
        // A refused name may be anything; the message stays readable.
        let value = value.chars().take(100).collect();
        Self {
            kind,
            value,
            rule: rule.into(),
        }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl $name {
            /// Checks the text and makes it a name.
            ///
            /// # Errors
            ///
            /// Names the rule that the text breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref();
                $check($kind, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(from)?).map_err(de::Error::custom)
            }
        }
    };
}

/// Free text for people: any characters but control characters, no blanks at the ends.
fn free_text(kind: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > 255 {
        let rule = format!("has {} bytes: 1 to 255 are allowed", text.len());
        return Err(NameError::new(kind, text, rule));
    }
    // Names are made with each run: most are plain ASCII.
    if is_plain(text) {
        return Ok(());
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::new(kind, text, "holds a control character"));
    }
    if text.trim() != text {
        return Err(NameError::new(kind, text, "begins or ends with a blank"));
    }
    Ok(())
}

/// Whether a text is of visible ASCII characters and blanks, none of these at its ends.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ')
}

/// Words that stand in keys and in blank-separated texts.
fn word(kind: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > 100 {
        let rule = format!("has {} bytes: 1 to 100 are allowed", text.len());
        return Err(NameError::new(kind, text, rule));
    }
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "_-.:".contains(*c)))
    {
        Some(c) => {
            let rule = format!("holds {c:?}: letters, digits and _ - . : are allowed");
            Err(NameError::new(kind, text, rule))
        }
        None => Ok(()),
    }
}

fn session(kind: &'static str, text: &str) -> Result<(), NameError> {
    let (node, unique) = text
        .split_once('~')
        .ok_or_else(|| NameError::new(kind, text, "is not of the form NODE~UUID"))?;
    word("node", node)?;
    Uuid::try_parse(unique)
        .map(drop)
        .map_err(|_| NameError::new(kind, text, "is not of the form NODE~UUID"))
}

name! {
    /// A job's id: up to 255 bytes of free text, unique within its namespace.
    JobId, "job id", free_text
}
name! {
    /// The name under which workers have registered a handler.
    TaskName, "task", word
}
name! {
    /// The queue in which a job's runs wait for a node.
    QueueName, "queue", word
}
name! {
    /// A word by which people sort and find jobs.
    Tag, "tag", word
}
name! {
    /// What stands for one piece of work: up to 255 bytes of free text, see [`crate::unique`].
    UniqueKey, "unique key", free_text
}
name! {
    /// The name of one worker process, for people.
    NodeName, "node", word
}
name! {
    /// One of several independent schedulers on the same store.
    Namespace, "namespace", word
}
name! {
    /// One node's life in the store: the node's name and a UUID of its own per registration.
    ///
    /// A session is never revived: once it has expired, the node registers under a new one.
    SessionId, "session", session
}

impl QueueName {
    /// The queue of jobs that name none.
    #[must_use]
    pub fn default_queue() -> Self {
        Self(Arc::from("default"))
    }
}

impl Namespace {
    /// The namespace of whoever names none.
    #[must_use]
    pub fn default_namespace() -> Self {
        Self(Arc::from("default"))
    }
}

impl SessionId {
    /// A session for this node; `unique` must never have been used before.
    #[must_use]
    pub fn of(node: &NodeName, unique: Uuid) -> Self {
        Self(Arc::from(format!("{node}~{}", unique.simple())))
    }

    /// The node whose life this is.
    #[must_use]
    pub fn node(&self) -> &str {
        self.0.split_once('~').map_or(&*self.0, |(node, _)| node)
    }
}

/// What made a run: a fire time, or somebody's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The job's trigger yielded this fire time.
    Fire(Timestamp),
    /// It was asked for, under this UUID (v7, made by whoever asked, before the first try).
    Request(Uuid),
}

/// What the UUID of a request can say besides (version 8): where a version 7 has random bits, four of
/// them are marks.
const BACKFILL: u8 = 1;
const OWN_DEFINITION: u8 = 2;
const FOLLOWS: u8 = 4;

/// A UUID that says an instant and marks, and for the rest these bits.
fn marked(at: Timestamp, marks: u8, rest: u64) -> Option<Uuid> {
    let ms = u64::try_from(at.as_ms()).ok().filter(|ms| *ms < 1 << 48)?;
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    bytes[6] = marks;
    bytes[8..].copy_from_slice(&rest.to_be_bytes());
    Some(Builder::from_custom_bytes(bytes).into_uuid())
}

/// FNV-1a: the same in each version and on each machine.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Cause {
    /// A run that makes up for a fire time of the past. Asked for again, for the same job and fire
    /// time, it is the same run. None for times before 1970.
    #[must_use]
    pub fn backfill(job: &JobId, fire: Timestamp) -> Option<Self> {
        marked(fire, BACKFILL, fnv(job.as_str().as_bytes())).map(Self::Request)
    }

    /// A run with a definition of its own, asked for at `now`; `unique` must never have been used
    /// before. None for times before 1970.
    #[must_use]
    pub fn with_own_definition(now: Timestamp, unique: Uuid) -> Option<Self> {
        let (_, rest) = unique.as_u64_pair();
        marked(now, OWN_DEFINITION, rest).map(Self::Request)
    }

    /// The fire time of the past that the run makes up for, if it does.
    #[must_use]
    pub fn stands_for(&self) -> Option<Timestamp> {
        self.is_marked(BACKFILL).then(|| self.instant())
    }

    /// A run of `job` that follows the run `ended`, whose end was written at `at`: the same each time
    /// that it is asked for.
    #[must_use]
    pub fn following(job: &JobId, ended: &RunId, at: Timestamp) -> Self {
        let digest = fnv(format!("{job}\n{ended}").as_bytes());
        // An instant before 1970 is none that a clock says.
        let at = at.max(Timestamp::EPOCH);
        marked(at, FOLLOWS, digest).map_or(Self::Fire(at), Self::Request)
    }

    /// Whether the run follows the end of another.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.is_marked(FOLLOWS)
    }

    /// Whether the run executes a definition of its own, and not the job's.
    #[must_use]
    pub fn has_own_definition(&self) -> bool {
        self.is_marked(OWN_DEFINITION)
    }

    fn is_marked(&self, mark: u8) -> bool {
        match self {
            Self::Request(id) => id.get_version_num() == 8 && id.as_bytes()[6] & mark != 0,
            Self::Fire(_) => false,
        }
    }

    /// The fire time; or the one that a request says, which is the moment of it.
    fn instant(&self) -> Timestamp {
        match self {
            Self::Fire(at) => *at,
            Self::Request(id) if matches!(id.get_version_num(), 7 | 8) => {
                let mut ms = [0; 8];
                ms[2..].copy_from_slice(&id.as_bytes()[..6]);
                Timestamp::from_ms(i64::from_be_bytes(ms))
            }
            Self::Request(_) => Timestamp::EPOCH,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fire(at) => write!(f, "@{}", at.as_ms()),
            Self::Request(id) => write!(f, "!{id}"),
        }
    }
}

impl FromStr for Cause {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let rule = "is neither @<ms> nor !<uuid>";
        let cause = match text.split_at_checked(1) {
            Some(("@", ms)) => ms.parse().ok().map(|ms| Self::Fire(Timestamp::from_ms(ms))),
            Some(("!", id)) => Uuid::try_parse(id).ok().map(Self::Request),
            _ => None,
        };
        cause.ok_or_else(|| NameError::new("cause", text, rule))
    }
}

/// A run's id: `<job id>@<fire time in ms>`, or `<job id>!<uuid>` for a run that was asked for.
///
/// ```
/// use scheduler_core::{Cause, RunId, Timestamp};
///
/// let run: RunId = "report@1766595600000".parse()?;
/// assert_eq!(run.job.as_str(), "report");
/// assert_eq!(run.cause, Cause::Fire(Timestamp::from_ms(1_766_595_600_000)));
/// # Ok::<(), scheduler_core::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    /// The job that this run executes.
    pub job: JobId,
    /// What made it.
    pub cause: Cause,
}

impl RunId {
    /// The run of `job` for the fire time `at`.
    #[must_use]
    pub const fn fire(job: JobId, at: Timestamp) -> Self {
        Self {
            job,
            cause: Cause::Fire(at),
        }
    }

    /// A run of `job` that somebody asked for under `request`.
    #[must_use]
    pub const fn request(job: JobId, request: Uuid) -> Self {
        Self {
            job,
            cause: Cause::Request(request),
        }
    }

    /// When it should run: its fire time, the one that it makes up for, or the moment of the request
    /// (read from its UUID).
    #[must_use]
    pub fn scheduled_at(&self) -> Timestamp {
        self.cause.instant()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.job, self.cause)
    }
}

impl FromStr for RunId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // Job ids may hold these marks too: the last one counts.
        let at = text.rfind(['@', '!']).ok_or_else(|| {
            NameError::new("run id", text, "is not <job id>@<ms> or <job id>!<uuid>")
        })?;
        let (job, cause) = text.split_at(at);
        Ok(Self {
            job: JobId::new(job)?,
            cause: cause.parse()?,
        })
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Number of a lease, strictly increasing per shard: fences the leader's dispatches.
    Epoch
}
number! {
    /// Number of a claim, strictly increasing per shard: fences a run's attempt, and is handed to
    /// its handler for the handler's own effects.
    Fence
}
number! {
    /// Number of a job's definition, from the shard's counter: never reused, also not after the
    /// job was removed and put again.
    Version
}
number! {
    /// Number of a stretch of a store's history in which it lost nothing: see [`crate::failover`].
    Generation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_reads_back_even_where_the_job_id_holds_its_marks() {
        for text in [
            "a@1",
            "mail@example.com@1766595600000",
            "why! not@-5",
            "x y@3",
        ] {
            assert_eq!(text.parse::<RunId>().unwrap().to_string(), text);
        }
        let request = RunId::request(JobId::new("a").unwrap(), Uuid::now_v7());
        assert_eq!(request.to_string().parse::<RunId>().unwrap(), request);
        for text in ["", "a", "a@", "@1", "a@x", "a!1"] {
            assert!(text.parse::<RunId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_request_says_what_it_is_for() {
        let job = JobId::new("report").unwrap();
        let fire = Timestamp::from_ms(1_766_595_600_123);
        let cause = Cause::backfill(&job, fire).unwrap();
        assert_eq!(Cause::backfill(&job, fire), Some(cause), "the same run");
        assert_ne!(
            Cause::backfill(&JobId::new("other").unwrap(), fire),
            Some(cause)
        );
        assert_eq!(
            (cause.stands_for(), cause.has_own_definition()),
            (Some(fire), false)
        );
        let run = RunId { job, cause };
        assert_eq!(run.scheduled_at(), fire);
        assert_eq!(run.to_string().parse::<RunId>().unwrap(), run);

        let own = Cause::with_own_definition(fire, Uuid::now_v7()).unwrap();
        assert_eq!((own.stands_for(), own.has_own_definition()), (None, true));
        let plain = Cause::Request(Uuid::now_v7());
        assert_eq!(
            (plain.stands_for(), plain.has_own_definition()),
            (None, false)
        );
        assert_eq!(Cause::backfill(&run.job, Timestamp::from_ms(-1)), None);
    }

    #[test]
    fn a_refused_name_is_told_its_rule() {
        let error = QueueName::new("my queue").unwrap_err();
        assert_eq!(
            error.to_string(),
            "queue \"my queue\" holds ' ': letters, digits and _ - . : are allowed"
        );
        assert!(JobId::new("a\nb").is_err());
        assert!(JobId::new("x".repeat(256)).is_err());
        assert!(JobId::new("täglich um acht").is_ok());
    }

    #[test]
    fn a_session_tells_its_node() {
        let session = SessionId::of(&NodeName::new("web-1").unwrap(), Uuid::now_v7());
        assert_eq!(session.node(), "web-1");
        assert_eq!(SessionId::new(session.as_str()).unwrap(), session);
        assert!(SessionId::new("web-1").is_err());
    }
}
