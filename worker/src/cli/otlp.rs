//! `carillon run`: traces and metrics for a collector.

use carillon::Scheduler;
use carillon::config::Settings;
use carillon::core::Sharded;
use carillon::http::App;
use carillon::otlp::Exporter;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::failure::Failure;

/// An export under way.
pub(super) struct Exporting {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Begins to export what this node does, where it is configured to.
pub(super) fn export<S: Sharded>(
    settings: &Settings,
    scheduler: &Scheduler<S>,
) -> Result<Option<Exporting>, Failure> {
    let Some(otlp) = settings.otlp.clone() else {
        return Ok(None);
    };
    let app = App::new(scheduler, settings.http.clone());
    let exporter = Exporter::new(app, settings.tracing.clone(), otlp)?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(exporter.run(stop.clone()));
    info!("traces and metrics are exported by OTLP");
    Ok(Some(Exporting { stop, task }))
}

impl Exporting {
    /// Sends the last of it, within bounds, and ends.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}
