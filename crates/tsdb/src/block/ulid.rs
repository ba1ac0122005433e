//! Names of blocks: 48 bits of milliseconds and 80 random ones in Crockford's base 32, so that names sort by creation.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 26;

/// The ULID of a moment; only the low 80 bits of `entropy` are used.
pub(super) fn ulid(now_ms: i64, entropy: u128) -> String {
    let time = u128::from(now_ms.max(0).cast_unsigned() & ((1 << 48) - 1));
    let bits = time << 80 | entropy & ((1 << 80) - 1);
    (0..LEN)
        .rev()
        .map(|i| {
            let digit = usize::try_from(bits >> (5 * i) & 31).expect("five bits");
            char::from(ALPHABET[digit])
        })
        .collect()
}

/// The 128 bits of a ULID; `None` when the text is none.
pub(super) fn parse(text: &str) -> Option<u128> {
    if text.len() != LEN {
        return None;
    }
    let mut bits = 0_u128;
    for (i, b) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|&a| a == b)?;
        if i == 0 && digit > 7 {
            return None;
        }
        bits = bits << 5 | digit as u128;
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_sorts_by_time() {
        // The example of the ULID specification: its first ten digits are the time.
        assert!(ulid(1_469_918_176_385, 0).starts_with("01ARYZ6S41"));
        let (a, b) = (ulid(1_000, u128::MAX), ulid(1_001, 0));
        assert!(a < b);
        assert_eq!(parse(&a), Some(1_000 << 80 | ((1 << 80) - 1)));
        for bad in [
            "",
            "01ARYZ6S41",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "01aryz6s410000000000000000",
            "I1ARYZ6S410000000000000000",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
