//! What a worker serves over HTTP.
//!
//! Every node serves the same, from the store that all share. Read in this order: `server` (who
//! accepts connections, on threads of its own), `routes` (what may be asked, as a table), `app`
//! (what the handlers share), and then the handlers, by subject.

mod app;
mod health;
mod routes;
mod server;

pub use app::App;
pub use routes::router;
pub use server::{Server, Serving};
