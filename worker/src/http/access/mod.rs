//! Who may ask: keys, what they open, and what is refused before a handler sees it.
//!
//! `keys` knows names, secrets and roles; `limits` counts requests and failed tries per client;
//! `guard` stands before each handler that is not open to anybody, and asks both. `secrets` makes and
//! checks what is configured.

mod guard;
mod keys;
mod limits;
mod secrets;

pub(super) use guard::{Wanted, guard, hardened};
pub(super) use keys::Keys;
pub(super) use limits::Limits;
pub use secrets::{hash, new_token};
