//! How much searching one question may cost.
//!
//! Exclusions and combinations search by leaps: ask a part where it fires next, go there, ask again.
//! Some never arrive, and they may be nested, so all leaps of one question are counted together.

/// The leaps that are left for a question.
#[derive(Debug)]
pub(crate) struct Leaps(u32);

impl Leaps {
    /// What a question has: some milliseconds.
    const MOST: u32 = 50_000;

    pub(crate) fn new() -> Self {
        Self(Self::MOST)
    }

    /// Takes one; `None` when there are none left, which ends the search.
    pub(crate) fn take(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }

    /// Runs one of `parts` parts that are still to be asked, with its share of what is left: one that
    /// never arrives must not silence the others.
    pub(crate) fn share<T>(&mut self, parts: usize, ask: impl FnOnce(&mut Self) -> T) -> T {
        let parts = u32::try_from(parts).unwrap_or(u32::MAX).max(1);
        let mut share = Self(self.0 / parts);
        let given = share.0;
        let answer = ask(&mut share);
        self.0 -= given - share.0;
        answer
    }
}
