//! Pairs of texts in one piece of memory.
//!
//! A remembered token's headers are read on every request that brings it. With thousands of
//! tokens remembered none of this is in the processor's cache, and what counts is how many
//! places must be fetched: one, not two for each header.

/// Pairs of texts, each pair in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Packed {
    /// For each pair, where its name and its value end; then the texts.
    ends: Vec<(u32, u32)>,
    text: String,
}

impl Packed {
    /// Copies the pairs. Beyond 4 GiB of text they are left out; no header is a millionth of it.
    pub(crate) fn new(pairs: &[(String, String)]) -> Self {
        let mut packed = Self::default();
        let size = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        packed.text.reserve_exact(size);
        packed.ends.reserve_exact(pairs.len());
        for (name, value) in pairs {
            packed.text.push_str(name);
            let name_end = packed.text.len();
            packed.text.push_str(value);
            let ends = (u32::try_from(name_end), u32::try_from(packed.text.len()));
            if let (Ok(name), Ok(value)) = ends {
                packed.ends.push((name, value));
            }
        }
        packed
    }

    /// The pairs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, value_end)| {
            let piece = |from: u32, to: u32| {
                let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
                self.text.get(range)
            };
            let name = piece(start, name_end).unwrap_or_default();
            start = value_end;
            (name, piece(name_end, value_end).unwrap_or_default())
        })
    }

    /// Bytes on the heap.
    pub(crate) const fn weight(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<(u32, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let pairs = [("x-a", "1"), ("x-empty", ""), ("x-ü", "é")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let packed = Packed::new(&pairs);
        let out: Vec<_> = packed.iter().collect();
        assert_eq!(out, [("x-a", "1"), ("x-empty", ""), ("x-ü", "é")]);
        assert_eq!(Packed::new(&[]).iter().count(), 0);
        assert!(packed.weight() >= 16);
    }
}
