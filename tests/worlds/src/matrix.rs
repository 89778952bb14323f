//! How much of a matrix is tried.

/// Whether `MATRIX=all` is set: every point of the crash matrix and every fault at every request. Else a
/// part, which is chosen the same way each time.
#[must_use]
pub fn everything() -> bool {
    std::env::var_os("MATRIX").is_some_and(|value| value == "all")
}
