//! What a worker serves over HTTP.
//!
//! Every node serves the same, from the store that all share. Read in this order: `server` (who
//! accepts connections, on threads of its own), `routes` (what may be asked and by whom, as a table),
//! `access` (who is let through), `app` (what the handlers share), and then the handlers, by subject.

mod access;
mod api;
mod app;
mod asking;
mod flask;
mod glance;
mod health;
mod metrics;
mod routes;
mod server;
mod tls;

pub use access::{hash, new_token};
pub use app::App;
pub use routes::{Route, Style, routes};
pub use server::{Server, Serving};
