//! In whose name commands change things.

use carillon::audit::{Author, Via};

/// `user@host`, as far as both are known.
pub(super) fn whoever_this_is() -> String {
    let user = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    match user.filter(|user| !user.is_empty()) {
        Some(user) => format!("{user}@{host}"),
        None => host.into_owned(),
    }
}

/// Whoever types the command.
pub(super) fn author() -> Author {
    Author::new(whoever_this_is(), Via::Cli)
}
