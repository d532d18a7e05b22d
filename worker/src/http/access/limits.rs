//! How much one client may ask, and how often it may be wrong.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How many secrets a client may have compared per second; of those that were wrong or are new.
const TRIES: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// How many it may have compared at once.
const TRIES_AT_ONCE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// After how many requests clients are forgotten who ask no more.
const FORGET_EVERY: u32 = 10_000;

/// Counts per client's address.
#[derive(Debug)]
pub(in crate::http) struct Limits {
    requests: Option<DefaultKeyedRateLimiter<IpAddr>>,
    tries: DefaultKeyedRateLimiter<IpAddr>,
    refusals: DefaultKeyedRateLimiter<IpAddr>,
    asked: AtomicU32,
}

impl Limits {
    /// So many requests per second and client, or however many.
    pub(in crate::http) fn new(requests: Option<NonZeroU32>) -> Self {
        Self {
            requests: requests.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            tries: RateLimiter::keyed(Quota::per_second(TRIES).allow_burst(TRIES_AT_ONCE)),
            refusals: RateLimiter::keyed(Quota::per_second(TRIES).allow_burst(TRIES_AT_ONCE)),
            asked: AtomicU32::new(0),
        }
    }

    /// Whether a client may ask at this moment.
    pub(super) fn may_ask(&self, from: IpAddr) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked.is_multiple_of(FORGET_EVERY) {
            if let Some(requests) = &self.requests {
                requests.retain_recent();
            }
            self.tries.retain_recent();
            self.refusals.retain_recent();
        }
        let limited = self.requests.as_ref();
        limited.is_none_or(|requests| requests.check_key(&from).is_ok())
    }

    /// Whether another refusal of a client's is written down at this moment: few enough that whoever may
    /// do nothing cannot push out what others did.
    pub(super) fn may_be_noted(&self, from: IpAddr) -> bool {
        self.refusals.check_key(&from).is_ok()
    }

    /// Whether a client may have a secret compared at this moment.
    pub(super) fn may_try(&self, from: IpAddr) -> bool {
        self.tries.check_key(&from).is_ok()
    }
}
