//! Layouts of little-endian numbers, for values that shared data keeps.

/// Writes bytes behind their length, a number of four bytes, so that no two lists of parts have
/// one text.
pub fn put_part(to: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(part);
}

/// Writes one number after the other. What does not fit is left out.
#[derive(Debug)]
pub struct Writer<'a>(&'a mut [u8]);

impl<'a> Writer<'a> {
    /// From the beginning of these bytes.
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// Writes so many bytes.
    #[inline]
    pub fn put<const N: usize>(&mut self, value: [u8; N]) {
        if let Some((head, rest)) = core::mem::take(&mut self.0).split_first_chunk_mut::<N>() {
            *head = value;
            self.0 = rest;
        }
    }
}

/// Reads one number after the other; none where the bytes have ended.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From the beginning of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads so many bytes.
    #[inline]
    pub fn get<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// Reads a number of two bytes.
    #[inline]
    pub fn short(&mut self) -> Option<u16> {
        self.get().map(u16::from_le_bytes)
    }

    /// Reads a number of four bytes.
    #[inline]
    pub fn number(&mut self) -> Option<u32> {
        self.get().map(u32::from_le_bytes)
    }

    /// Reads what [`put_part`] wrote.
    pub fn part(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }

    /// All that is left.
    #[must_use]
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = [0; 7];
        let mut to = Writer::new(&mut bytes);
        to.put([9]);
        to.put(0x0102_u16.to_le_bytes());
        to.put(u32::MAX.to_le_bytes());
        assert_eq!(bytes, [9, 2, 1, 255, 255, 255, 255]);
        let mut from = Reader::new(&bytes);
        assert_eq!((from.get::<1>(), from.short()), (Some([9]), Some(0x0102)));
        assert_eq!((from.number(), from.is_empty()), (Some(u32::MAX), true));
        assert_eq!(from.get::<1>(), None);
    }

    #[test]
    fn parts_are_as_long_as_they_say() {
        let mut bytes = Vec::new();
        put_part(&mut bytes, b"ab");
        put_part(&mut bytes, b"");
        bytes.extend_from_slice(b"rest");
        let mut from = Reader::new(&bytes);
        assert_eq!((from.part(), from.part()), (Some(&b"ab"[..]), Some(&b""[..])));
        assert_eq!(from.rest(), b"rest");
        assert_eq!(Reader::new(&[5, 0, 0, 0, 1]).part(), None);
        assert_eq!(Reader::new(&[1, 0, 0]).part(), None);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut bytes = [0; 3];
        let mut to = Writer::new(&mut bytes);
        to.put([1, 2]);
        to.put([3, 4]);
        to.put([5]);
        assert_eq!(bytes, [1, 2, 0], "and nothing behind it either");
    }
}
