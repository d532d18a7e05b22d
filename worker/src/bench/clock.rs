//! The server's clock, to the microsecond.

use anyhow::Result;

use crate::bench::server::Probe;
use crate::clock::{boottime, wall_us};

/// How often the server is asked; the quickest answer counts.
const ASKED: usize = 50;

/// What time it is at the server, as this process knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerTime {
    /// The server's clock minus [`boottime`], in microseconds.
    offset_us: i64,
}

impl ServerTime {
    /// Compares the clocks.
    pub(super) async fn compare(probe: &mut Probe) -> Result<Self> {
        let mut best = None;
        for _ in 0..ASKED {
            let sent = micros();
            let Some(said) = probe.time_us().await? else {
                // A store in this process goes by the machine's clock.
                let offset_us = wall_us() - micros();
                return Ok(Self { offset_us });
            };
            let took = micros() - sent;
            let offset_us = said - (sent + took / 2);
            if best.is_none_or(|(quickest, _)| took < quickest) {
                best = Some((took, offset_us));
            }
        }
        Ok(Self {
            offset_us: best.map_or(0, |(_, offset)| offset),
        })
    }

    /// Microseconds since 1970, by the server's clock.
    pub(super) fn now_us(self) -> i64 {
        micros() + self.offset_us
    }

    /// The same in milliseconds.
    pub(super) fn now_ms(self) -> i64 {
        self.now_us().div_euclid(1000)
    }

    /// Sleeps until this moment, in milliseconds since 1970.
    pub(super) async fn sleep_until(self, ms: i64) {
        let left = ms.saturating_mul(1000).saturating_sub(self.now_us());
        let left = u64::try_from(left).unwrap_or(0);
        tokio::time::sleep(std::time::Duration::from_micros(left)).await;
    }
}

fn micros() -> i64 {
    i64::try_from(boottime().as_micros()).unwrap_or(i64::MAX)
}
