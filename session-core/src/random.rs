//! Random bytes from the operating system: the only source of ids, secrets and revisions.

use std::cell::RefCell;

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

/// How many numbers a thread draws at once.
const BLOCK: usize = 32;

/// 64 bits from the operating system's generator, for what is compared and is no secret: a thread draws a
/// block of them at once, because the call into the system costs more than most steps in memory.
///
/// # Panics
///
/// As [`bytes`].
pub(crate) fn number() -> u64 {
    thread_local! {
        static NUMBERS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }
    NUMBERS.with_borrow_mut(|numbers| {
        numbers.pop().unwrap_or_else(|| {
            let block = bytes::<{ BLOCK * 8 }>();
            let (drawn, _) = block.as_chunks();
            numbers.extend(drawn.iter().skip(1).map(|bytes| u64::from_be_bytes(*bytes)));
            drawn.first().map_or(0, |bytes| u64::from_be_bytes(*bytes))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_are_never_handed_out_twice() {
        let draw = || (0..BLOCK * 10).map(|_| number()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let drawn = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        assert_eq!(drawn.collect::<BTreeSet<_>>().len(), 4 * BLOCK * 10);
    }
}
