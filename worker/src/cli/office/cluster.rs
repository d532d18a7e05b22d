//! What may be asked about the workers.

use carillon::core::Store as _;
use carillon::wire::Workers;

use super::{Office, read};
use crate::cli::failure::Failure;

impl Office {
    /// All workers.
    pub(in crate::cli) async fn nodes(&self) -> Result<Workers, Failure> {
        match self {
            Self::Store(store) => {
                let views = read(store, store.nodes().await)?;
                Ok(Workers::new(&views, self.now().await?))
            }
            Self::Api(api) => api.get("/nodes", &[]).await?.done(),
        }
    }
}
