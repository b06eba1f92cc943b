//! Reading `Cookie` headers, whatever bytes they hold.

/// The names and values in one `Cookie` header: pairs split at `;`, surrounding white space and one
/// pair of quotes around the value removed. A piece without `=` is none.
pub(super) fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    header.split(|byte| *byte == b';').filter_map(|piece| {
        let at = piece.iter().position(|byte| *byte == b'=')?;
        let (name, value) = piece.split_at_checked(at)?;
        Some((trim(name), unquote(trim(value.get(1..)?))))
    })
}

fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().take_while(|byte| is_space(byte)).count();
    let text = text.get(start..).unwrap_or_default();
    let end = text.iter().rev().take_while(|byte| is_space(byte)).count();
    text.get(..text.len() - end).unwrap_or_default()
}

fn unquote(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::pairs;

    fn read(header: &[u8]) -> Vec<(&[u8], &[u8])> {
        pairs(header).collect()
    }

    #[test]
    fn pairs_are_split_at_semicolons_and_the_first_equals_sign() {
        assert_eq!(
            read(b"a=1; b=2=3;c=;=d; e"),
            [
                (b"a".as_slice(), b"1".as_slice()),
                (b"b", b"2=3"),
                (b"c", b""),
                (b"", b"d")
            ]
        );
    }

    #[test]
    fn white_space_and_one_pair_of_quotes_are_removed() {
        assert_eq!(
            read(b" \ta = \"1\" ;b=\"\"2\"\"; c=\""),
            [
                (b"a".as_slice(), b"1".as_slice()),
                (b"b", b"\"2\""),
                (b"c", b"\"")
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_hide_no_other_pair() {
        assert_eq!(
            read(b"\xff=\xfe; a=1"),
            [(b"\xff".as_slice(), b"\xfe".as_slice()), (b"a", b"1")]
        );
    }
}
