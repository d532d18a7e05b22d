//! Asking again where an answer was lost.

use std::time::Duration;

use scheduler_core::StoreError;
use scheduler_core::store::StoreResult;
use tokio::time::sleep;

/// How long to wait before each further try: long enough for a connection to be made anew.
const DELAYS: [Duration; 6] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1000),
];

/// Sends the very same request until its outcome is known, or patience ends.
///
/// A store that cannot be reached is an answer: nothing was sent. But after a try whose outcome is
/// unknown, no later failure makes it known, and the error stays "unknown".
pub(crate) async fn until_known<T, F>(ask: impl Fn() -> F) -> StoreResult<T>
where
    F: Future<Output = StoreResult<T>>,
{
    let mut unknown: Option<StoreError> = None;
    let mut delays = DELAYS.iter();
    loop {
        match ask().await {
            Err(error) if error.is_unknown() => unknown = Some(error),
            Err(error) if unknown.is_some() && error.is_transient() => {}
            known => return known,
        }
        let Some(delay) = delays.next() else {
            // Set above, in this round or an earlier one.
            return Err(unknown.expect("only unknown outcomes are asked about again"));
        };
        sleep(*delay).await;
    }
}
