//! How much of a matrix is tried.
//!
//! Invariant: without `MATRIX=all` it is a part, which is chosen the same way each time.

/// Whether `MATRIX=all` is set: every point of the crash matrix and every fault at every request.
#[must_use]
pub fn everything() -> bool {
    std::env::var_os("MATRIX").is_some_and(|value| value == "all")
}

/// One in `share` of these and at least one of them, from another one on at each `turn`.
#[must_use]
pub fn part<T>(all: Vec<T>, share: usize, turn: usize) -> Vec<T> {
    let first = turn % all.len().clamp(1, share);
    all.into_iter().skip(first).step_by(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_all_turns_are_the_whole() {
        let all: Vec<_> = (0..8).collect();
        let mut tried: Vec<_> = (0..3).flat_map(|turn| part(all.clone(), 3, turn)).collect();
        tried.sort_unstable();
        assert_eq!(tried, all);
    }

    #[test]
    fn part_of_a_few_is_not_empty() {
        for turn in 0..4 {
            assert_eq!(part(vec!['a', 'b'], 3, turn).len(), 1, "{turn}");
        }
        assert!(part(Vec::<char>::new(), 3, 1).is_empty());
    }
}
