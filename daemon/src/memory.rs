//! Free memory, which glibc keeps after a burst of changes and clients.

/// Gives what is free back to the system. It takes milliseconds.
#[expect(unsafe_code, reason = "calls glibc")]
pub fn give_back() {
    // SAFETY: any thread may call it at any time.
    unsafe { libc::malloc_trim(0) };
}
