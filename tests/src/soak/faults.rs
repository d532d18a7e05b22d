//! What is done to the cluster, drawn from a seed.

use std::time::Duration;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    KillNode,
    KillLeader,
    StopBriefly,
    StopPastTtl,
    StopLeader,
    Terminate,
    KillRedis,
    StopRedis,
    FlushScripts,
    KillConnections,
    CutNode,
    CutAll,
    StallNode,
    LoseReply,
}

impl Fault {
    pub(super) const ALL: [Self; 14] = [
        Self::KillNode,
        Self::KillLeader,
        Self::StopBriefly,
        Self::StopPastTtl,
        Self::StopLeader,
        Self::Terminate,
        Self::KillRedis,
        Self::StopRedis,
        Self::FlushScripts,
        Self::KillConnections,
        Self::CutNode,
        Self::CutAll,
        Self::StallNode,
        Self::LoseReply,
    ];

    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::KillNode => "`kill -9` of a node, back after 0.5-2 s",
            Self::KillLeader => "`kill -9` of the leader, back after 0.5-2 s",
            Self::StopBriefly => "SIGSTOP of a node, 0.1-1 s",
            Self::StopPastTtl => "SIGSTOP of a node past its session's ttl, 4-6 s",
            Self::StopLeader => "SIGSTOP of the leader, 1-6 s",
            Self::Terminate => "SIGTERM of a node, back after 0.5-2 s",
            Self::KillRedis => "`kill -9` of Redis (`appendfsync always`), back after 0.2-1 s",
            Self::StopRedis => "SIGSTOP of Redis, 0.2-2 s",
            Self::FlushScripts => "`SCRIPT FLUSH`",
            Self::KillConnections => "`CLIENT KILL TYPE normal`",
            Self::CutNode => "network of a node cut, 0.5-5 s",
            Self::CutAll => "network of all nodes cut, 0.5-2 s",
            Self::StallNode => "connections of a node stand still for good",
            Self::LoseReply => "the next answer of each node is lost",
        }
    }

    /// For how long.
    pub(super) fn lasts(self, random: &mut fastrand::Rng) -> Duration {
        let ms = match self {
            Self::KillNode | Self::KillLeader | Self::Terminate => 500..2_000,
            Self::StopBriefly => 100..1_000,
            Self::StopPastTtl => 4_000..6_000,
            Self::StopLeader => 1_000..6_000,
            Self::KillRedis => 200..1_000,
            Self::StopRedis => 200..2_000,
            Self::CutNode => 500..5_000,
            Self::CutAll => 500..2_000,
            Self::FlushScripts | Self::KillConnections | Self::StallNode | Self::LoseReply => 0..1,
        };
        Duration::from_millis(random.u64(ms))
    }

    /// Whether it freezes a node, so that its handlers do nothing meanwhile.
    pub(super) const fn freezes(self) -> bool {
        matches!(
            self,
            Self::StopBriefly | Self::StopPastTtl | Self::StopLeader
        )
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub(super) struct Strike {
    pub(super) fault: Fault,
    /// The node; none where it was all of them, or Redis.
    pub(super) node: Option<String>,
    pub(super) at_ms: i64,
    pub(super) mended_ms: i64,
}
