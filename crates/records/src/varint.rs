//! Variable-length numbers of records: zigzag, seven bits per byte, least significant first.

use bytes::BufMut;

/// Most bytes of a 32-bit number.
pub(crate) const MAX_VARINT_BYTES: usize = 5;
/// Most bytes of a 64-bit number.
pub(crate) const MAX_VARLONG_BYTES: usize = 10;

/// Folds one more byte into a number of at most `BYTES` bytes. Gives `Some(number)` when it is complete.
#[derive(Default)]
pub(crate) struct VarintDecoder {
    value: u64,
    bytes: usize,
}

impl VarintDecoder {
    /// Errors when the number does not end within `max_bytes` or has more bits than `bits`.
    pub(crate) fn push(&mut self, byte: u8, max_bytes: usize, bits: u32) -> Result<Option<i64>, &'static str> {
        let shift = 7 * self.bytes as u32;
        let payload = u64::from(byte & 0x7f);
        if self.bytes == max_bytes || (shift + 7 > bits && payload >> (bits - shift) != 0) {
            return Err("a variable-length number is too long");
        }
        self.value |= payload << shift;
        self.bytes += 1;
        if byte & 0x80 != 0 {
            return if self.bytes == max_bytes { Err("a variable-length number is too long") } else { Ok(None) };
        }
        Ok(Some((self.value >> 1) as i64 ^ -((self.value & 1) as i64)))
    }
}

/// Reads a number of at most 32 bits from the front of `input`.
pub(crate) fn read_varint(input: &mut &[u8]) -> Result<i32, &'static str> {
    // Fits: the decoder lets 32 bits through, and zigzag maps them onto i32.
    read(input, MAX_VARINT_BYTES, 32).map(|value| value as i32)
}

/// Reads a number of at most 64 bits from the front of `input`.
pub(crate) fn read_varlong(input: &mut &[u8]) -> Result<i64, &'static str> {
    read(input, MAX_VARLONG_BYTES, 64)
}

fn read(input: &mut &[u8], max_bytes: usize, bits: u32) -> Result<i64, &'static str> {
    let mut decoder = VarintDecoder::default();
    loop {
        let Some((&byte, rest)) = input.split_first() else {
            return Err("a variable-length number is cut off");
        };
        *input = rest;
        if let Some(value) = decoder.push(byte, max_bytes, bits)? {
            return Ok(value);
        }
    }
}

/// Writes a number of 32 bits.
pub(crate) fn put_varint(output: &mut impl BufMut, value: i32) {
    put_varlong(output, value.into());
}

/// Writes a number of 64 bits.
pub(crate) fn put_varlong(output: &mut impl BufMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        output.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    output.put_u8(rest as u8);
}

/// Bytes that `put_varlong` writes.
pub(crate) const fn varlong_size(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_encodings() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (i32::MAX.into(), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN.into(), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut written = Vec::new();
            put_varlong(&mut written, value);
            assert_eq!(written, bytes, "{value}");
            assert_eq!(varlong_size(value), bytes.len(), "{value}");
            assert_eq!(read_varint(&mut &written[..]).map(i64::from), Ok(value));
            assert_eq!(read_varlong(&mut &written[..]), Ok(value));
        }
    }

    #[test]
    fn extremes_round_trip() {
        for value in [i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1] {
            let mut written = Vec::new();
            put_varlong(&mut written, value);
            assert_eq!(written.len(), MAX_VARLONG_BYTES);
            assert_eq!(varlong_size(value), MAX_VARLONG_BYTES);
            assert_eq!(read_varlong(&mut &written[..]), Ok(value));
        }
    }

    #[test]
    fn overlong_numbers_are_refused() {
        assert!(read_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]).is_err(), "33 bits");
        assert!(read_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]).is_err(), "six bytes");
        assert!(read_varlong(&mut &[0xff; 11][..]).is_err(), "eleven bytes");
        assert!(
            read_varlong(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..]).is_err(),
            "65 bits"
        );
        assert!(read_varint(&mut &[0x80][..]).is_err(), "cut off");
        assert!(read_varint(&mut &[][..]).is_err(), "nothing");
    }
}
