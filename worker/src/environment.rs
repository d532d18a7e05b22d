//! Variables of the environment.

/// The variable that holds the store's password.
pub const PASSWORD_VARIABLE: &str = "CARILLON_REDIS_PASSWORD";

/// The variable that holds the sentinels' password.
pub const SENTINEL_PASSWORD_VARIABLE: &str = "CARILLON_SENTINEL_PASSWORD";

/// Variables that hold a password, or may. They are no business of the commands that jobs run.
#[cfg(feature = "task-shell")]
pub(crate) const SECRET_VARIABLES: [&str; 4] = [
    PASSWORD_VARIABLE,
    SENTINEL_PASSWORD_VARIABLE,
    "CARILLON_STORE",
    "CARILLON_TOKEN",
];
