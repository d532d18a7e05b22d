//! Signals that tell a process to stop.

use std::io;

use tokio_util::sync::CancellationToken;

/// The exit status of a process that was told twice: as if SIGINT had ended it.
const EXIT_AT_ONCE: i32 = 130;

/// A token that SIGTERM or Ctrl-C cancels. A second signal ends the process at once: whoever waits
/// for handlers to end may have lost patience.
///
/// For binaries: it takes over both signals for the rest of the process's life.
///
/// # Errors
///
/// Where the system does not let the process listen to signals, or without a tokio runtime.
#[cfg(unix)]
pub fn shutdown_signal() -> io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    // Listening begins here, not when the task is polled first: no signal falls in between.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    // Ends with the process: there is nobody to join it.
    tokio::spawn(async move {
        for seen in 0_u32.. {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if seen > 0 {
                tracing::warn!("{name} again: exiting at once");
                std::process::exit(EXIT_AT_ONCE);
            }
            tracing::info!("{name}: shutting down (once more to exit at once)");
            shutdown.cancel();
        }
    });
    Ok(token)
}

/// A token that Ctrl-C cancels. A second one ends the process at once.
///
/// # Errors
///
/// None on this system.
#[cfg(not(unix))]
pub fn shutdown_signal() -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            shutdown.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(EXIT_AT_ONCE);
        }
    });
    Ok(token)
}
