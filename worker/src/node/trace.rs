//! Traces of runs: which trace a run is, said in the words of W3C Trace Context.
//!
//! A run's trace is made of its id, and so is the span of each of its attempts: whoever knows the run
//! knows them, on each node, without anything that would have to be stored with the run or carried
//! along. The leader's span of the dispatch is the root, attempts are its children, and what a handler
//! calls with [`Context::traceparent`](crate::Context::traceparent) is the child of its attempt.

use std::fmt;

#[cfg(any(feature = "otlp", test))]
use scheduler_core::Cause;
use scheduler_core::{Fence, RunId};

/// How runs are traced.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// What tells runs of the same id apart: the namespace, the cluster. All nodes that share a store must
    /// say the same. Defaults to `"default"`.
    pub scope: String,
    /// Which part of all runs is traced: 0 to 1. The others tell those they call not to record them. All
    /// nodes decide alike. Defaults to 1.
    pub sample: f64,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            scope: "default".to_owned(),
            sample: 1.0,
        }
    }
}

/// The number of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId(u128);

/// The number of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanId(u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Tracing {
    /// The trace of a run.
    pub(crate) fn trace(&self, run: &RunId) -> TraceId {
        let text = format!("{}\n{run}", self.scope);
        let high = u128::from(digest(&["trace", &text]));
        let low = u128::from(digest(&["of a run", &text]));
        TraceId((high << 64 | low).max(1))
    }

    /// The span of a run's dispatch, the root of its trace; none where nobody dispatched it by a schedule.
    #[cfg(any(feature = "otlp", test))]
    pub(crate) fn root(&self, run: &RunId) -> Option<SpanId> {
        let Cause::Fire(_) = run.cause else {
            return None;
        };
        let text = format!("{}\n{run}", self.scope);
        Some(SpanId(digest(&["dispatch", &text]).max(1)))
    }

    /// The span of whoever asked for a run by hand.
    #[cfg(feature = "otlp")]
    pub(crate) fn asked(&self, run: &RunId) -> SpanId {
        let text = format!("{}\n{run}", self.scope);
        SpanId(digest(&["asked", &text]).max(1))
    }

    /// The span of asking for a run, in the trace of whoever did.
    #[cfg(feature = "otlp")]
    pub(crate) fn asking(&self, run: &RunId, caller: &Caller) -> SpanId {
        let text = format!("{}\n{run}\n{}", self.scope, caller.span);
        SpanId(digest(&["asking", &text]).max(1))
    }

    /// The span of an attempt.
    pub(crate) fn attempt(&self, run: &RunId, fence: Fence) -> SpanId {
        let text = format!("{}\n{run}\n{fence}", self.scope);
        SpanId(digest(&["attempt", &text]).max(1))
    }

    /// Whether a trace is recorded.
    pub(crate) fn is_sampled(&self, trace: TraceId) -> bool {
        // The lower half is as good as random, and the same everywhere. 53 bits are exact.
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "53 bits of the lower half"
        )]
        let drawn = ((trace.0 as u64) >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < self.sample
    }

    /// What an attempt hands to those it calls.
    pub(crate) fn traceparent(&self, run: &RunId, fence: Fence) -> String {
        let trace = self.trace(run);
        let flags = u8::from(self.is_sampled(trace));
        format!("00-{trace}-{}-{flags:02x}", self.attempt(run, fence))
    }
}

/// The span of whoever asks for something, as W3C's `traceparent` tells it.
#[cfg(feature = "otlp")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) is_sampled: bool,
}

#[cfg(feature = "otlp")]
impl Caller {
    /// Reads `00-<trace>-<span>-<flags>`; none where it is none, which W3C says to pass over.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let number = |text: &str, digits: usize| {
            let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            let is_number = text.len() == digits && text.bytes().all(is_hex);
            is_number.then(|| u128::from_str_radix(text, 16).ok())?
        };
        let mut parts = text.split('-');
        let version = number(parts.next()?, 2)?;
        let trace = number(parts.next()?, 32)?;
        let span = u64::try_from(number(parts.next()?, 16)?).ok()?;
        let flags = number(parts.next()?, 2)?;
        // Later versions may say more behind that, and 255 is none.
        let is_whole = parts.next().is_none() || version > 0;
        (is_whole && version != 255 && trace != 0 && span != 0).then_some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
            is_sampled: flags & 1 == 1,
        })
    }
}

/// FNV-1a, and then mixed as MurmurHash3 ends, so that ids which differ little do not: the same in each
/// version and on each machine.
fn digest(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let mut sum = bytes.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        sum = (sum ^ (sum >> 33)).wrapping_mul(factor);
    }
    sum ^ (sum >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn run(number: u64) -> RunId {
        format!("report@{}", 1_795_372_342_170 + number * 1000)
            .parse()
            .unwrap()
    }

    #[test]
    fn a_run_is_one_trace_on_all_nodes_and_each_attempt_a_span() {
        let tracing = Tracing::default();
        // Written down: nodes of different versions must agree.
        assert_eq!(
            tracing.traceparent(&run(0), Fence(7)),
            "00-8030098be12c68c006b39a3e74a9e85e-afeda557aca2ed4e-01"
        );
        let other = Tracing {
            scope: "staging".to_owned(),
            ..Tracing::default()
        };
        assert_ne!(other.trace(&run(0)), tracing.trace(&run(0)));
        let runs: Vec<_> = (0..1_000).map(run).collect();
        let traces: HashSet<_> = runs.iter().map(|run| tracing.trace(run).0).collect();
        let attempts: HashSet<_> = (0..1_000)
            .map(|fence| tracing.attempt(&run(0), Fence(fence)).0)
            .collect();
        assert_eq!((traces.len(), attempts.len()), (1_000, 1_000));
        let by_hand: RunId = "report!0199f3c0-0000-7000-8000-000000000000"
            .parse()
            .unwrap();
        assert_eq!(tracing.root(&by_hand), None);
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn a_caller_is_read_as_w3c_says() {
        let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let caller = Caller::read(known).unwrap();
        assert_eq!(caller.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(caller.span.to_string(), "00f067aa0ba902b7");
        assert!(caller.is_sampled);
        assert!(Caller::read(&known.replacen("00", "cc", 1)).is_some());
        assert!(Caller::read(&format!("{}-more", known.replacen("00", "cc", 1))).is_some());
        for none in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Caller::read(none), None, "{none}");
        }
    }

    #[test]
    fn a_part_of_all_runs_is_sampled() {
        let sampled = |sample| {
            let tracing = Tracing {
                sample,
                ..Tracing::default()
            };
            let traces = (0..10_000).map(|number| tracing.trace(&run(number)));
            traces.filter(|trace| tracing.is_sampled(*trace)).count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 10_000));
        let tenth = sampled(0.1);
        assert!((800..1_200).contains(&tenth), "{tenth}");
    }
}
