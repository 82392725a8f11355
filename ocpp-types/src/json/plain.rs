//! The part of a JSON string that needs no unescaping.

/// The number of bytes before the first one with a special meaning in a JSON string: a quote, a
/// backslash, or a control character.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut index = 0;
    for word in words {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            // The lowest set bit belongs to the first special byte.
            return index + (special.trailing_zeros() / 8) as usize;
        }
        index += 8;
    }
    index + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count()
}

/// Sets the highest bit of each special byte; above the first of them, other bits may be set as
/// well.
#[inline]
fn special(word: u64) -> u64 {
    // The subtraction of n makes a byte below n borrow and sets its highest bit, which was not set
    // before.
    let below = |word: u64, n: u8| word.wrapping_sub(each(n)) & !word;
    (below(word, 0x20) | below(word ^ each(b'"'), 1) | below(word ^ each(b'\\'), 1)) & each(0x80)
}

/// A word of eight equal bytes.
#[inline]
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::plain;

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=u8::MAX {
            let special = byte < 0x20 || byte == b'"' || byte == b'\\';
            for filler in [b' ', b'a', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                for (length, place) in
                    (1..20).flat_map(|length| (0..length).map(move |place| (length, place)))
                {
                    let mut bytes: Vec<u8> = vec![filler; length];
                    bytes[place] = byte;
                    let expected = if special { place } else { length };
                    assert_eq!(plain(&bytes), expected, "{byte} at {place} of {length}");
                }
            }
        }
    }
}
