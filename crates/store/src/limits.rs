//! How long the store is waited for, and how much is read from it.

use std::time::Duration;

/// How long the store is waited for, and how much is read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// Without a byte of a blob.
    pub stall: Duration,
    /// For a sealed object or a claim in all, retries included.
    pub small: Duration,
    /// How often a request is repeated that a server failed at.
    pub retries: usize,
    /// How long after the first try it is repeated at most.
    pub retry_within: Duration,
    /// The slowest that a blob may go in all, in bytes for each second, besides what a small object takes.
    pub slowest: u64,
    /// The largest sealed object, in bytes.
    pub sealed_bytes: u64,
    /// The largest plan or kernel cache, in bytes, compressed or not.
    pub blob_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            stall: Duration::from_secs(10),
            small: Duration::from_secs(10),
            retries: 2,
            retry_within: Duration::from_secs(5),
            slowest: 64 << 10,
            sealed_bytes: 16 << 20,
            blob_bytes: 16 << 30,
        }
    }
}
