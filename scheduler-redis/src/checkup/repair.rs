//! Mends what nothing of Carillon's own breaks: keys that were deleted or changed by hand, or by another
//! program.
//!
//! Only what is safe while workers work: each repair is checked again in the step that does it, and what
//! might be under way is left alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use redis::{Cmd, cmd};
use scheduler_core::store::{StoreErrorKind, StoreResult};
use scheduler_core::{JobId, Priority, QueueName, RunId, SessionId, Shard as _, Store as _};

use crate::RedisStore;
use crate::codec::{LINED_UP, count_busy};

/// How many entries are read at once.
const PIECE: usize = 1_000;

/// How long after the first look the second one is taken: what is on its way has arrived by then.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// A session's time to live where nobody says.
const TTL: Duration = Duration::from_secs(10);

/// A job's runs in flight that are nowhere: what stands in `busy`, and which words of it.
type Nowhere = BTreeMap<JobId, (String, BTreeSet<String>)>;

impl RedisStore {
    /// Mends what can safely be mended, and says what was done:
    ///
    /// - runs in flight that are in no queue and that nobody holds, and that are older than two
    ///   lives of a session: their places are freed;
    /// - claims of sessions that the shard does not know: the sessions are declared dead, so that
    ///   workers settle what they held; what else is kept of such sessions is deleted;
    /// - claims by queue are counted anew.
    ///
    /// The keyspace is searched, for which the user needs `SCAN`; without it, sessions are left alone.
    ///
    /// # Errors
    ///
    /// What keeps the server from answering.
    pub async fn repair(&self) -> StoreResult<Vec<String>> {
        let mut done = self.bury_unknown_sessions().await?;
        let first = self.nowhere().await?;
        if !first.is_empty() {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            let second = self.nowhere().await?;
            for (job, (seen, words)) in second {
                let before = first.get(&job).map(|(_, words)| words);
                let stray = |word: &String| before.is_some_and(|b| b.contains(word));
                let words: BTreeSet<_> = words.into_iter().filter(stray).collect();
                done.extend(self.free(&job, &seen, &words).await?);
            }
        }
        let before = self.counts().await?;
        self.recount(None).await?;
        if self.counts().await? != before {
            done.push("counted claims by queue anew".to_owned());
        }
        Ok(done)
    }

    async fn free(
        &self,
        job: &JobId,
        seen: &str,
        words: &BTreeSet<String>,
    ) -> StoreResult<Vec<String>> {
        let left: Vec<&str> = seen
            .split(' ')
            .filter(|word| !words.contains(*word))
            .collect();
        let mut call = self.call(&self.scripts().free_busy, None, &[]);
        call.arg(job.as_str()).arg(seen).arg(left.join(" "));
        if words.is_empty() || !call.send::<bool>().await? {
            return Ok(Vec::new());
        }
        let freed = words
            .iter()
            .map(|word| format!("freed the place of {job}{word}, which is nowhere"));
        Ok(freed.collect())
    }

    /// Runs in flight that are nowhere and have been for long enough.
    async fn nowhere(&self) -> StoreResult<Nowhere> {
        let now = self.overview().await?.now;
        let ttl = self
            .sessions()
            .await?
            .iter()
            .map(|session| session.ttl)
            .max();
        let old = now.before(ttl.unwrap_or(TTL) * 2);
        let busy: HashMap<String, String> = self.all("busy").await?;
        // What moves on meanwhile is met in one of these, or in claims again.
        let mut places = self.claimed().await?;
        places.extend(self.waiting().await?);
        places.extend(self.claimed().await?);
        let mut nowhere = Nowhere::new();
        for (job, words) in busy {
            let Ok(id) = JobId::new(&job) else { continue };
            let stray = words.split(' ').filter(|word| !word.starts_with(LINED_UP));
            let stray = stray.filter(|word| {
                let run: Result<RunId, _> = format!("{job}{word}").parse();
                run.is_ok_and(|run| run.scheduled_at() < old && !places.contains(&run.to_string()))
            });
            let stray: BTreeSet<_> = stray.map(str::to_owned).collect();
            if !stray.is_empty() && stray.len() <= count_busy(Some(&words)) {
                nowhere.insert(id, (words, stray));
            }
        }
        Ok(nowhere)
    }

    async fn all(&self, hash: &'static str) -> StoreResult<HashMap<String, String>> {
        let mut all = HashMap::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("HSCAN");
            scan.arg(self.keys().named(hash, None))
                .arg(cursor)
                .arg("COUNT")
                .arg(PIECE);
            let (next, some): (u64, Vec<(String, String)>) = self.query("repair", &scan).await?;
            all.extend(some);
            cursor = next;
            if cursor == 0 {
                return Ok(all);
            }
        }
    }

    async fn counts(&self) -> StoreResult<BTreeMap<String, String>> {
        let counts = self.all("inuse").await?.into_iter();
        Ok(counts.filter(|(_, count)| count != "0").collect())
    }

    async fn known_sessions(&self) -> StoreResult<Vec<String>> {
        let mut known = Vec::new();
        for key in ["nodes", "dead"] {
            let mut range = cmd("ZRANGE");
            range.arg(self.keys().named(key, None)).arg(0).arg(-1);
            known.extend(self.query::<Vec<String>>("repair", &range).await?);
        }
        Ok(known)
    }

    /// All runs that somebody has claimed.
    async fn claimed(&self) -> StoreResult<BTreeSet<String>> {
        let mut runs = BTreeSet::new();
        for session in self.known_sessions().await? {
            let Ok(session) = SessionId::new(session) else {
                continue;
            };
            let mut cursor = 0_u64;
            loop {
                let mut scan = cmd("HSCAN");
                scan.arg(self.keys().named("claims", Some(&session)));
                scan.arg(cursor).arg("COUNT").arg(PIECE);
                let (next, some): (u64, Vec<(String, String)>) =
                    self.query("repair", &scan).await?;
                runs.extend(some.into_iter().map(|(run, _)| run));
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(runs)
    }

    /// All runs that wait.
    async fn waiting(&self) -> StoreResult<BTreeSet<String>> {
        let mut runs = BTreeSet::new();
        let mut names = cmd("SMEMBERS");
        names.arg(self.keys().named("queues", None));
        let queues: Vec<String> = self.query("repair", &names).await?;
        for queue in queues.iter().filter_map(|queue| QueueName::new(queue).ok()) {
            for priority in Priority::ALL {
                let mut range = cmd("LRANGE");
                range.arg(self.keys().ready(&queue, priority));
                // `<attempt> <version> <losses> <run>`
                self.pieces(range, 3, &mut runs).await?;
            }
        }
        let mut range = cmd("ZRANGE");
        range.arg(self.keys().named("retry", None));
        // `<queue> <priority> <attempt> <version> <losses> <run>`
        self.pieces(range, 5, &mut runs).await?;
        Ok(runs)
    }

    /// Reads a list or sorted set to its end; runs stand behind so many words.
    async fn pieces(
        &self,
        range: Cmd,
        words: usize,
        runs: &mut BTreeSet<String>,
    ) -> StoreResult<()> {
        let mut from = 0;
        loop {
            let mut range = range.clone();
            range.arg(from).arg(from + PIECE - 1);
            let texts: Vec<String> = self.query("repair", &range).await?;
            let run = |text: &String| text.splitn(words + 1, ' ').nth(words).map(str::to_owned);
            runs.extend(texts.iter().filter_map(run));
            if texts.len() < PIECE {
                return Ok(());
            }
            from += PIECE;
        }
    }

    /// Sessions that left keys behind and that the shard does not know.
    async fn bury_unknown_sessions(&self) -> StoreResult<Vec<String>> {
        let mut done = Vec::new();
        let prefix = self.keys().named("", None);
        // `{` and `[` mean something in a pattern.
        let pattern: String = prefix
            .chars()
            .flat_map(|c| "*?[]\\^".contains(c).then_some('\\').into_iter().chain([c]))
            .collect();
        let mut found = BTreeSet::new();
        for kind in ["session", "claims"] {
            let mut cursor = 0_u64;
            loop {
                let mut scan = cmd("SCAN");
                scan.arg(cursor)
                    .arg("MATCH")
                    .arg(format!("{pattern}{kind}:*"));
                scan.arg("COUNT").arg(PIECE);
                let answer = self.query::<(u64, Vec<String>)>("repair", &scan).await;
                let (next, keys) = match answer {
                    Err(error) if error.kind() == StoreErrorKind::Refused => {
                        return Ok(vec![format!("left sessions alone: {error}")]);
                    }
                    answer => answer?,
                };
                let named = keys.into_iter().filter_map(|key| {
                    let name = key.strip_prefix(&prefix)?.strip_prefix(kind)?;
                    SessionId::new(name.strip_prefix(':')?).ok()
                });
                found.extend(named);
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        // Read after the keys: one that began meanwhile is among them.
        let known: BTreeSet<String> = self.known_sessions().await?.into_iter().collect();
        for session in found
            .into_iter()
            .filter(|found| !known.contains(found.as_str()))
        {
            let mut call = self.call(&self.scripts().bury, Some(&session), &[]);
            call.arg(session.as_str());
            match call.send::<u64>().await? {
                0 => {}
                1 => done.push(format!("deleted what was left of session {session}")),
                _ => done.push(format!(
                    "declared session {session} dead: workers settle what it held"
                )),
            }
        }
        Ok(done)
    }
}
