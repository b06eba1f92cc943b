//! Random bytes from the operating system: the only source of ids, secrets and revisions.

/// `N` bytes from the operating system's generator.
///
/// # Panics
///
/// If the operating system has no randomness to give. There is nothing safe to do without it, and no
/// input, network or disk can bring it about.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a process without randomness must not go on"
    )]
    getrandom::fill(&mut bytes).expect("the operating system's random generator answers");
    bytes
}
