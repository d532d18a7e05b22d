//! Secrets: made, hashed, and compared.

use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

/// How many random bytes a token holds.
const TOKEN_BYTES: usize = 32;

/// A new token for this name, `NAME.SECRET`: the name says whose hash it is compared with.
///
/// # Errors
///
/// A system that has no randomness to give.
pub fn new_token(name: &str) -> std::io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    let random = SystemRandom::new().fill(&mut bytes);
    random.map_err(|_| std::io::Error::other("the system has no randomness to give"))?;
    Ok(format!("{name}.{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is kept of a token or a password: an Argon2id hash, with a salt of its own.
///
/// # Errors
///
/// A system that has no randomness to give.
pub fn hash(secret: &str) -> std::io::Result<String> {
    let hash = Argon2::default().hash_password(secret.as_bytes());
    let hash: PasswordHash = hash.map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(hash.to_string())
}

/// Whether `secret` is what `hash` was made of. Takes long on purpose, and as long where it is not.
pub(super) fn is_of(secret: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        let verified = Argon2::default().verify_password(secret.as_bytes(), &hash);
        verified.is_ok()
    })
}

/// A hash that no secret is of: compared with where there is no such name, so that names cannot be
/// told apart by how long a refusal takes.
pub(super) fn of_nobody() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let token = new_token("nobody").unwrap_or_default();
        hash(&token).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_by_its_hash_alone() {
        let token = new_token("ops").unwrap();
        assert!(token.starts_with("ops."), "{token}");
        let hash = hash(&token).unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(!hash.contains(&token[4..]), "{hash}");
        assert!(is_of(&token, &hash));
        assert!(!is_of("ops.other", &hash));
        assert!(!is_of(&token, of_nobody()));
        assert_ne!(new_token("ops").unwrap(), token);
    }
}
