//! `carillon run`: serving HTTP beside the node.

use std::io;

use carillon::Scheduler;
use carillon::config::{DEFAULT_BIND, HttpBind, HttpSettings};
use carillon::core::Sharded;
use carillon::http::{App, Server, Serving};
use tracing::{info, warn};

use super::failure::{Failure, HINT};

/// A server at the configured address; none where nothing is to be served.
fn bind(settings: &HttpSettings) -> Result<Option<Server>, Failure> {
    match settings.bind {
        HttpBind::Off => Ok(None),
        HttpBind::At(address) => Server::bind(address).map(Some).map_err(|error| {
            Failure::Refused(format!(
                "http.bind: {address} cannot be had: {error}\n\
                 {HINT}give another address, or \"off\", with --http or [http] bind"
            ))
        }),
        HttpBind::Default => match Server::bind(DEFAULT_BIND) {
            Ok(server) => Ok(Some(server)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                info!(
                    "{DEFAULT_BIND} is taken, mostly by another worker: HTTP is not served by this one"
                );
                Ok(None)
            }
            Err(error) => {
                warn!("{DEFAULT_BIND} cannot be had, HTTP is not served: {error}");
                Ok(None)
            }
        },
    }
}

/// Begins to serve what this node has to show, where it is configured to.
pub(super) fn serve<S: Sharded>(
    settings: &HttpSettings,
    scheduler: &Scheduler<S>,
) -> Result<Option<Serving>, Failure> {
    let Some(server) = bind(settings)? else {
        return Ok(None);
    };
    let app = App::new(scheduler, settings.clone());
    let serving = server.serve(app).map_err(|error| match settings.tls {
        Some(_) => Failure::Refused(format!("http.cert_file: {error}")),
        None => error.into(),
    })?;
    info!("HTTP is served at {}", serving.url());
    Ok(Some(serving))
}
