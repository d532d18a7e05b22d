//! The store in one process: for embedding without any server, and for tests.
/// The store in one process.
#[derive(Clone, Debug)]
pub struct MemoryStore;
