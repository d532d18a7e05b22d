//! Tokens, and users with their passwords.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use super::limits::Limits;
use super::secrets;
use crate::config::{HttpKey, HttpSettings};

/// How many secrets are compared at once: that takes a processor each.
const COMPARED_AT_ONCE: usize = 2;

/// How many secrets that were right are remembered, as keyed hashes.
const REMEMBERED: usize = 1024;

/// All keys of a node.
#[derive(Debug)]
pub(in crate::http) struct Keys {
    keys: Vec<(Kind, HttpKey)>,
    /// Which key opens to a secret that was compared before.
    known: Mutex<HashMap<[u8; 32], usize>>,
    /// Of this process alone: what is remembered is worth nothing elsewhere.
    pepper: hmac::Key,
    comparing: Arc<Semaphore>,
}

/// How a key is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Token,
    User,
}

/// A name and a secret, as somebody presented them.
struct Presented {
    kind: Kind,
    name: String,
    secret: String,
}

/// Why nobody was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nothing was presented, or nothing that opens.
    Unauthorized,
    /// Too much was tried.
    TooMany,
}

impl Keys {
    pub(in crate::http) fn new(settings: &HttpSettings) -> Self {
        let tokens = settings.tokens.iter().map(|key| (Kind::Token, key.clone()));
        let users = settings.users.iter().map(|key| (Kind::User, key.clone()));
        let pepper = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            keys: tokens.chain(users).collect(),
            known: Mutex::default(),
            // Without randomness nothing else of this process would work either.
            pepper: pepper.unwrap_or_else(|_| hmac::Key::new(hmac::HMAC_SHA256, &[])),
            comparing: Arc::new(Semaphore::new(COMPARED_AT_ONCE)),
        }
    }

    /// Whether anybody has to show a key at all.
    pub(super) fn are_wanted(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whose key these headers present.
    pub(super) async fn identify(
        &self,
        headers: &HeaderMap,
        from: IpAddr,
        limits: &Limits,
    ) -> Result<&HttpKey, Unknown> {
        let presented = presented(headers).ok_or(Unknown::Unauthorized)?;
        let tag = self.tag(&presented);
        let known = self.known().get(&tag).copied();
        if let Some((_, key)) = known.and_then(|index| self.keys.get(index)) {
            return Ok(key);
        }
        if !limits.may_try(from) {
            return Err(Unknown::TooMany);
        }
        let index = self.compare(presented).await.ok_or(Unknown::Unauthorized)?;
        self.remember(tag, index);
        self.keys
            .get(index)
            .map(|(_, key)| key)
            .ok_or(Unknown::Unauthorized)
    }

    async fn compare(&self, presented: Presented) -> Option<usize> {
        let is_named =
            |(kind, key): &(Kind, HttpKey)| *kind == presented.kind && key.name == presented.name;
        let index = self.keys.iter().position(is_named);
        let hash = index.and_then(|index| self.keys.get(index));
        let hash = hash.map_or_else(
            || secrets::of_nobody().to_owned(),
            |(_, key)| key.hash.clone(),
        );
        let slot = Arc::clone(&self.comparing).acquire_owned().await.ok()?;
        let compared = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            secrets::is_of(&presented.secret, &hash)
        });
        let is_right = compared.await.unwrap_or(false);
        index.filter(|_| is_right)
    }

    fn remember(&self, tag: [u8; 32], index: usize) {
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(tag, index);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], usize>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tag(&self, presented: &Presented) -> [u8; 32] {
        let kind: &[u8] = match presented.kind {
            Kind::Token => b"token\0",
            Kind::User => b"user\0",
        };
        let mut context = hmac::Context::with_key(&self.pepper);
        context.update(kind);
        context.update(presented.name.as_bytes());
        context.update(b"\0");
        context.update(presented.secret.as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

/// What a request presents: a token, or a user's name and password.
fn presented(headers: &HeaderMap) -> Option<Presented> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        let (name, _) = rest.rsplit_once('.')?;
        return Some(Presented {
            kind: Kind::Token,
            name: name.to_owned(),
            secret: rest.to_owned(),
        });
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (name, secret) = decoded.split_once(':')?;
    Some(Presented {
        kind: Kind::User,
        name: name.to_owned(),
        secret: secret.to_owned(),
    })
}
