//! Carillon's promises, put to the proof where tests with real processes cannot reach: every
//! interleaving of a small cluster ([`model`]), and many histories of a larger one ([`simulation`]).
//!
//! What is covered by which of them, and what is not, stands in `docs/proofs.md`.

pub mod model;
pub mod simulation;
