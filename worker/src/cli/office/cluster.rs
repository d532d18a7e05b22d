//! What may be asked about the workers.

use carillon::core::Store as _;
use carillon::wire::Workers;

use super::Office;
use crate::cli::failure::Failure;

impl Office {
    /// All workers.
    pub(in crate::cli) async fn nodes(&self) -> Result<Workers, Failure> {
        match self {
            Self::Store(store) => {
                let failed = |error| Self::broken(store, &error);
                let views = store.nodes().await.map_err(failed)?;
                let now = store.overview().await.map_err(failed)?.now;
                Ok(Workers::new(&views, now))
            }
            Self::Api(api) => api.get("/nodes", &[]).await?.done(),
        }
    }
}
