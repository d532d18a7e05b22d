//! What is done to the cluster, drawn from a seed.

use std::time::Duration;

use super::lost::Lost;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    KillNode,
    KillLeader,
    StopBriefly,
    StopPastTtl,
    StopLeader,
    Terminate,
    StepClock,
    KillRedis,
    KillRedisEverySecond,
    CutTail,
    CutTailEverySecond,
    StopRedis,
    FillRedis,
    ReadOnlyRedis,
    FlushScripts,
    KillConnections,
    CutNode,
    CutAll,
    ResetNode,
    ResetAll,
    StallNode,
    HoldRequests,
    HoldReplies,
    DelayNode,
    DelayAll,
    LoseReply,
}

/// What a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Any one node.
    Node,
    /// The node that leads.
    Leader,
    /// Redis, or all nodes at once.
    All,
}

impl Fault {
    pub(super) const ALL: [Self; 26] = [
        Self::KillNode,
        Self::KillLeader,
        Self::StopBriefly,
        Self::StopPastTtl,
        Self::StopLeader,
        Self::Terminate,
        Self::StepClock,
        Self::KillRedis,
        Self::KillRedisEverySecond,
        Self::CutTail,
        Self::CutTailEverySecond,
        Self::StopRedis,
        Self::FillRedis,
        Self::ReadOnlyRedis,
        Self::FlushScripts,
        Self::KillConnections,
        Self::CutNode,
        Self::CutAll,
        Self::ResetNode,
        Self::ResetAll,
        Self::StallNode,
        Self::HoldRequests,
        Self::HoldReplies,
        Self::DelayNode,
        Self::DelayAll,
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
            Self::StepClock => "clock of a node stepped by up to 12 hours either way, 2-8 s",
            Self::KillRedis => "`kill -9` of Redis (`appendfsync always`), back after 0.2-1 s",
            Self::KillRedisEverySecond => {
                "`kill -9` of Redis (`appendfsync everysec`), back at once"
            }
            Self::CutTail => "Redis loses what it wrote last 0.2-1 s (`appendfsync always`)",
            Self::CutTailEverySecond => {
                "Redis loses what it wrote last 0.2-1 s (`appendfsync everysec`)"
            }
            Self::StopRedis => "SIGSTOP of Redis, 0.2-2 s",
            Self::FillRedis => "memory of Redis is full (`noeviction`), 0.5-3 s",
            Self::ReadOnlyRedis => "Redis answers `READONLY`, as a replica, 0.5-2 s",
            Self::FlushScripts => "`SCRIPT FLUSH`",
            Self::KillConnections => "`CLIENT KILL TYPE normal`",
            Self::CutNode => "network of a node cut, 0.5-5 s",
            Self::CutAll => "network of all nodes cut, 0.5-2 s",
            Self::ResetNode => "connections of a node reset",
            Self::ResetAll => "connections of all nodes reset",
            Self::StallNode => "connections of a node stand still for good",
            Self::HoldRequests => "requests of a node do not arrive, 0.5-4 s, and then they do",
            Self::HoldReplies => "answers to a node do not arrive, 0.5-4 s, and then they do",
            Self::DelayNode => "each packet of a node takes 20-300 ms longer, 1-4 s",
            Self::DelayAll => "each packet of all nodes takes 20-300 ms longer, 1-4 s",
            Self::LoseReply => "the next answer of each node is lost",
        }
    }

    pub(super) const fn target(self) -> Target {
        match self {
            Self::KillLeader | Self::StopLeader => Target::Leader,
            Self::KillNode
            | Self::StopBriefly
            | Self::StopPastTtl
            | Self::Terminate
            | Self::StepClock
            | Self::CutNode
            | Self::ResetNode
            | Self::StallNode
            | Self::HoldRequests
            | Self::HoldReplies
            | Self::DelayNode => Target::Node,
            Self::KillRedis
            | Self::KillRedisEverySecond
            | Self::CutTail
            | Self::CutTailEverySecond
            | Self::StopRedis
            | Self::FillRedis
            | Self::ReadOnlyRedis
            | Self::FlushScripts
            | Self::KillConnections
            | Self::CutAll
            | Self::ResetAll
            | Self::DelayAll
            | Self::LoseReply => Target::All,
        }
    }

    /// For how long.
    pub(super) fn lasts(self, random: &mut fastrand::Rng) -> Duration {
        let ms = match self {
            Self::KillNode | Self::KillLeader | Self::Terminate => 500..2_000,
            Self::StopBriefly => 100..1_000,
            Self::StopPastTtl => 4_000..6_000,
            Self::StopLeader => 1_000..6_000,
            Self::StepClock => 2_000..8_000,
            Self::KillRedis
            | Self::KillRedisEverySecond
            | Self::CutTail
            | Self::CutTailEverySecond => 200..1_000,
            Self::StopRedis => 200..2_000,
            Self::FillRedis => 500..3_000,
            Self::ReadOnlyRedis => 500..2_000,
            Self::CutNode => 500..5_000,
            Self::CutAll => 500..2_000,
            Self::HoldRequests | Self::HoldReplies => 500..4_000,
            Self::DelayNode | Self::DelayAll => 1_000..4_000,
            Self::FlushScripts
            | Self::KillConnections
            | Self::ResetNode
            | Self::ResetAll
            | Self::StallNode
            | Self::LoseReply => 0..1,
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
    /// What Redis came back without, where it lost anything.
    pub(super) lost: Lost,
}
