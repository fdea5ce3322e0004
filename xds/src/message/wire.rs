//! How fields stand on the wire.

const VARINT: u8 = 0;
const DOUBLE: u8 = 1;
const BYTES: u8 = 2;

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn put_key(number: u32, form: u8, out: &mut Vec<u8>) {
    put_varint((u64::from(number) << 3) | u64::from(form), out);
}

/// A whole number.
pub(super) fn put_number(number: u32, value: u64, out: &mut Vec<u8>) {
    put_key(number, VARINT, out);
    put_varint(value, out);
}

/// A number with a fraction.
pub(super) fn put_double(number: u32, value: f64, out: &mut Vec<u8>) {
    put_key(number, DOUBLE, out);
    out.extend(value.to_le_bytes());
}

/// A text, bytes, or a message.
pub(super) fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_key(number, BYTES, out);
    put_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the specification of the encoding has them.
    #[test]
    fn numbers_and_texts_stand_as_specified() {
        let number = |value| {
            let mut out = Vec::new();
            put_number(1, value, &mut out);
            out
        };
        assert_eq!(number(0), [0x08, 0]);
        assert_eq!(number(127), [0x08, 0x7f]);
        assert_eq!(number(150), [0x08, 0x96, 0x01]);
        let minus_two = number((-2i64).cast_unsigned());
        assert_eq!(minus_two.len(), 11);
        assert_eq!((minus_two[1], minus_two[10]), (0xfe, 0x01));
        let mut text = Vec::new();
        put_bytes(2, b"testing", &mut text);
        assert_eq!(text, *b"\x12\x07testing");
        let mut far = Vec::new();
        put_double(16, 1.0, &mut far);
        assert_eq!(far, [0x81, 0x01, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }
}
