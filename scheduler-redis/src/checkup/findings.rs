//! What follows from what a server says of itself.

use std::time::Duration;

use super::Facts;
use crate::Durability;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be, or just told.
    Fine,
    /// It holds, but not for every case.
    Warning,
    /// A promise does not hold.
    Problem,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What is there.
    pub found: String,
    /// What that breaks; nothing where it is fine.
    pub breaks: &'static str,
    /// How to mend it; nothing where it is fine.
    pub mend: &'static str,
}

impl Finding {
    /// It is as it should be.
    #[must_use]
    pub fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Fine,
            found: found.into(),
            breaks: "",
            mend: "",
        }
    }

    /// It holds, but not for every case.
    #[must_use]
    pub fn warning(
        check: &'static str,
        found: impl Into<String>,
        breaks: &'static str,
        mend: &'static str,
    ) -> Self {
        Self {
            level: Level::Warning,
            breaks,
            mend,
            ..Self::fine(check, found)
        }
    }

    /// A promise does not hold.
    #[must_use]
    pub fn problem(
        check: &'static str,
        found: impl Into<String>,
        breaks: &'static str,
        mend: &'static str,
    ) -> Self {
        Self {
            level: Level::Problem,
            ..Self::warning(check, found, breaks, mend)
        }
    }
}

/// The oldest version whose commands suffice.
const OLDEST: (u32, u32, u32) = (6, 2, 0);

/// An answer that takes longer makes a leader look as if it stood still.
const SLOW: Duration = Duration::from_millis(100);

/// An answer that takes longer is felt in how late runs begin.
const FELT: Duration = Duration::from_millis(10);

/// A clock that is off by more is no longer explained by the way to the server.
const CLOCK_OFF_MS: u64 = 1_000;

impl Facts {
    /// What follows from them, in the order in which it is looked at.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let checks = [
            self.version(),
            self.role(),
            self.eviction(),
            self.memory(),
            self.persistence(),
            self.replication(),
            self.durability(),
            self.latency(),
            self.clock(),
        ];
        checks.into_iter().flatten().collect()
    }

    fn version(&self) -> Option<Finding> {
        let version @ (major, minor, patch) = self.version?;
        let found = format!("{} {major}.{minor}.{patch}", self.kind);
        Some(if version < OLDEST {
            Finding::problem(
                "version",
                found,
                "scripts use commands that it does not have: nothing runs",
                "install Redis 6.2 or later, or Valkey",
            )
        } else if self.is_cluster && !self.by_slot {
            Finding::problem(
                "version",
                format!("{found}, in a Cluster"),
                "what is asked at one address is not asked elsewhere: all stops when the slot goes \
                 to another server",
                "give the store as redis-cluster://host,host, with several servers of the cluster",
            )
        } else {
            Finding::fine("version", found)
        })
    }

    fn role(&self) -> Option<Finding> {
        let role = self.role.as_deref()?;
        Some(if role == "master" {
            Finding::fine("role", "primary")
        } else {
            Finding::problem(
                "role",
                "replica",
                "it refuses writes: nothing runs",
                "give the primary's address, or that of its sentinels",
            )
        })
    }

    fn eviction(&self) -> Option<Finding> {
        let policy = self.eviction.as_deref()?;
        Some(if policy == "noeviction" {
            Finding::fine("eviction", policy)
        } else {
            Finding::problem(
                "eviction",
                policy,
                "no silent loss: a due time that is evicted never fires, and nobody is told",
                "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
            )
        })
    }

    fn memory(&self) -> Option<Finding> {
        let (used, most) = self.memory?;
        let mebibytes = |bytes: u64| bytes / (1 << 20);
        if most == 0 {
            return Some(Finding::fine(
                "memory",
                format!("{} MiB, no limit", mebibytes(used)),
            ));
        }
        let percent = used.saturating_mul(100) / most;
        let found = format!(
            "{} of {} MiB ({percent} %)",
            mebibytes(used),
            mebibytes(most)
        );
        let mend = "raise maxmemory, shorten [history], or purge failed runs";
        Some(match percent {
            ..80 => Finding::fine("memory", found),
            80..95 => Finding::warning("memory", found, "a full Redis refuses new runs", mend),
            95.. => Finding::problem("memory", found, "a full Redis refuses new runs", mend),
        })
    }

    fn persistence(&self) -> Option<Finding> {
        let (append_only, is_written) = self.append_only?;
        if !append_only {
            return Some(Finding::problem(
                "persistence",
                "no append-only file",
                "no silent loss: a restart forgets all jobs, or all since the last snapshot",
                "CONFIG SET appendonly yes, and the same in redis.conf",
            ));
        }
        if !is_written {
            return Some(Finding::problem(
                "persistence",
                "the last write of the append-only file failed",
                "no silent loss: what is acknowledged is not on disk",
                "look into the server's log; most often the disk is full",
            ));
        }
        Some(match self.fsync.as_deref() {
            Some("no") => Finding::warning(
                "persistence",
                "append-only file, synced when the system likes",
                "a crash of the machine loses half a minute of what was acknowledged",
                "CONFIG SET appendfsync everysec, or always",
            ),
            Some(fsync) => Finding::fine("persistence", format!("append-only file, {fsync}")),
            None => Finding::fine("persistence", "append-only file"),
        })
    }

    fn replication(&self) -> Option<Finding> {
        let (replicas, lag) = self.replicas?;
        if replicas == 0 {
            return Some(if self.by_sentinels {
                Finding::problem(
                    "replication",
                    "no replica",
                    "sentinels have nothing to fail over to: nothing runs while the primary is away",
                    "add replicas, or bring them back",
                )
            } else {
                Finding::fine("replication", "no replica")
            });
        }
        let found = format!("{replicas} replicas, {} s behind", lag.as_secs());
        let breaks = "one dispatch per fire, across a failover: a primary that is cut off goes on \
                      beside the new one";
        let mend = "min-replicas-to-write 1 and min-replicas-max-lag 2";
        Some(match self.min_replicas {
            Some((0, _)) => Finding::warning(
                "replication",
                format!("{found}; min-replicas-to-write 0"),
                breaks,
                mend,
            ),
            Some((_, max_lag)) if max_lag > Duration::from_secs(5) => Finding::warning(
                "replication",
                format!("{found}; min-replicas-max-lag {}", max_lag.as_secs()),
                breaks,
                mend,
            ),
            _ => Finding::fine("replication", found),
        })
    }

    fn durability(&self) -> Option<Finding> {
        const CHECK: &str = "durability";
        let Durability::Replicas(wanted) = self.durability else {
            let found = self.durability.to_string();
            return (self.durability != Durability::None).then(|| Finding::fine(CHECK, found));
        };
        let wanted = wanted.get();
        let found = format!("replicas:{wanted}");
        let (replicas, _) = self.replicas?;
        let breaks = "one dispatch per fire, at most once, acknowledged changes: across a failover to \
                      a replica that has not acknowledged them";
        let priorities = self.priorities.as_deref().unwrap_or_default();
        Some(if replicas < wanted {
            Finding::problem(
                CHECK,
                format!("{found}, and {replicas} follow"),
                "nothing runs: claims and changes never count as written",
                "bring replicas back, or ask for fewer",
            )
        } else if priorities.windows(2).any(|pair| pair[0] != pair[1]) {
            Finding::warning(
                CHECK,
                format!("{found}; the replicas' priorities differ: {priorities:?}"),
                breaks,
                "the same replica-priority on all: sentinels go by it before they go by what a replica has",
            )
        } else if wanted < replicas && wanted * 2 <= replicas {
            Finding::warning(
                CHECK,
                format!("{found} of {replicas}"),
                breaks,
                "wait for more than half of the replicas, or for all",
            )
        } else {
            Finding::fine(CHECK, found)
        })
    }

    fn latency(&self) -> Option<Finding> {
        let middle = *self.round_trips.get(self.round_trips.len() / 2)?;
        let longest = *self.round_trips.last()?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let found = format!("{:.2} ms, {:.2} at most", ms(middle), ms(longest));
        Some(if middle > SLOW {
            Finding::problem(
                "latency",
                found,
                "takeover: standbys cannot tell a slow leader from a dead one",
                "bring workers and Redis nearer to each other; look at SLOWLOG and INTRINSIC-LATENCY",
            )
        } else if middle > FELT {
            Finding::warning(
                "latency",
                found,
                "each run begins later by some of these",
                "bring workers and Redis nearer to each other; look at SLOWLOG",
            )
        } else {
            Finding::fine("latency", found)
        })
    }

    fn clock(&self) -> Option<Finding> {
        let ahead = self.clock_ahead_ms?;
        Some(if ahead.unsigned_abs() > CLOCK_OFF_MS {
            Finding::warning(
                "clock",
                format!("the server's is {ahead} ms ahead of this machine's"),
                "schedules go by the server's clock: they ring that much off what people here see",
                "keep both right with NTP",
            )
        } else {
            Finding::fine("clock", format!("{ahead} ms ahead of this machine's"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes one thing of a healthy server another.
    type Spoil = fn(&mut Facts);

    fn healthy() -> Facts {
        Facts {
            kind: "redis".to_owned(),
            version: Some((7, 0, 15)),
            role: Some("master".to_owned()),
            eviction: Some("noeviction".to_owned()),
            memory: Some((1 << 20, 1 << 30)),
            append_only: Some((true, true)),
            fsync: Some("everysec".to_owned()),
            is_cluster: false,
            by_slot: false,
            replicas: Some((2, Duration::from_secs(1))),
            min_replicas: Some((1, Duration::from_secs(2))),
            by_sentinels: true,
            priorities: Some(vec![100, 100]),
            durability: Durability::default(),
            round_trips: vec![Duration::from_micros(200); 20],
            clock_ahead_ms: Some(-3),
        }
    }

    fn worst(facts: &Facts) -> (&'static str, Level) {
        let findings = facts.findings();
        let worst = findings.iter().max_by_key(|finding| finding.level).unwrap();
        (worst.check, worst.level)
    }

    #[test]
    fn a_healthy_server_is_fine_and_what_it_does_not_tell_is_no_fault() {
        assert!(healthy().findings().iter().all(|f| f.level == Level::Fine));
        assert_eq!(healthy().findings().len(), 8);
        assert!(Facts::default().findings().is_empty());
    }

    #[test]
    fn what_breaks_a_promise_is_a_problem_that_says_how_to_mend_it() {
        use Level::{Problem, Warning};
        let cases: [(&str, Level, Spoil); 18] = [
            ("version", Problem, |f| f.version = Some((6, 0, 20))),
            ("version", Problem, |f| f.is_cluster = true),
            ("role", Problem, |f| f.role = Some("slave".to_owned())),
            ("eviction", Problem, |f| {
                f.eviction = Some("allkeys-lru".to_owned());
            }),
            ("memory", Warning, |f| f.memory = Some((80, 100))),
            ("memory", Problem, |f| f.memory = Some((95, 100))),
            ("persistence", Problem, |f| {
                f.append_only = Some((false, true));
            }),
            ("persistence", Problem, |f| {
                f.append_only = Some((true, false));
            }),
            ("persistence", Warning, |f| f.fsync = Some("no".to_owned())),
            ("durability", Problem, |f| {
                f.durability = "replicas:3".parse().unwrap();
            }),
            ("durability", Warning, |f| {
                f.durability = "replicas:2".parse().unwrap();
                f.priorities = Some(vec![100, 1]);
            }),
            ("durability", Warning, |f| {
                f.durability = "replicas:1".parse().unwrap();
            }),
            ("replication", Problem, |f| {
                f.replicas = Some((0, Duration::ZERO));
            }),
            ("replication", Warning, |f| {
                f.min_replicas = Some((0, Duration::ZERO));
            }),
            ("replication", Warning, |f| {
                f.min_replicas = Some((1, Duration::from_secs(10)));
            }),
            ("latency", Warning, |f| {
                f.round_trips = vec![Duration::from_millis(30); 3];
            }),
            ("latency", Problem, |f| {
                f.round_trips = vec![Duration::from_millis(130); 3];
            }),
            ("clock", Warning, |f| f.clock_ahead_ms = Some(-1_500)),
        ];
        for (check, level, spoil) in cases {
            let mut facts = healthy();
            spoil(&mut facts);
            assert_eq!(worst(&facts), (check, level));
            let findings = facts.findings();
            let bad: Vec<_> = findings.iter().filter(|f| f.level > Level::Fine).collect();
            assert_eq!(bad.len(), 1, "{bad:?}");
            assert!(!bad[0].breaks.is_empty() && !bad[0].mend.is_empty());
        }
    }

    #[test]
    fn one_server_without_replicas_is_fine_where_no_sentinels_watch() {
        let mut facts = healthy();
        facts.by_sentinels = false;
        facts.replicas = Some((0, Duration::ZERO));
        assert_eq!(worst(&facts).1, Level::Fine);
        facts.memory = Some((1 << 40, 0));
        assert_eq!(worst(&facts).1, Level::Fine, "no limit");
    }
}
