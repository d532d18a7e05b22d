//! Chance, where many should not do the same at one moment.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A random number from 0 to 1.
pub(crate) fn draw() -> f64 {
    // A fresh `RandomState` is the randomness that the standard library has to offer.
    let number = RandomState::new().build_hasher().finish() % 1_000_001;
    f64::from(u32::try_from(number).unwrap_or(0)) / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_lie_in_their_range_and_differ() {
        let drawn: Vec<_> = (0..100).map(|_| draw()).collect();
        assert!(drawn.iter().all(|drawn| (0.0..=1.0).contains(drawn)));
        assert!(drawn.iter().any(|drawn| *drawn < 0.5) && drawn.iter().any(|drawn| *drawn > 0.5));
    }
}
