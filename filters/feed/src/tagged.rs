//! Values that say which whole they are a part of.
//!
//! Shared data has no transactions and forgets no key: where the parts of one whole lie, those of
//! an older one lay before. So each part begins with the number of its whole. Whoever reads looks
//! for the number that the head names, and nobody writes over a part of a newer whole, however
//! long it was held up: two VMs that both think that they are the elected one do no harm.

use postern_filter_shared_data::SharedData;

/// How often a value is written again when another VM was faster.
const ATTEMPTS: u32 = 8;
/// Bytes of the number, the first of every value.
pub(crate) const TAG_BYTES: usize = 4;

/// Another VM has gone on meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overtaken;

/// A value of the whole `number`.
pub(crate) fn tagged(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(TAG_BYTES + bytes.len());
    value.extend_from_slice(&number.to_le_bytes());
    value.extend_from_slice(bytes);
    value
}

/// The number of a value's whole, and what follows.
pub(crate) fn split(value: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = value.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// What follows the number, where it is this one.
pub(crate) fn of(value: &[u8], number: u32) -> Option<&[u8]> {
    let (found, rest) = split(value)?;
    (found == number).then_some(rest)
}

/// Whether `one` came after `other`. Numbers may wrap.
pub(crate) const fn is_after(one: u32, other: u32) -> bool {
    let ahead = one.wrapping_sub(other);
    ahead != 0 && ahead < 1 << 31
}

/// Changes a part of the whole `number`. `change` is given the value that is there, where it is
/// one of this whole, and says what is to be there; none leaves everything as it is.
pub(crate) fn update(
    shared: &dyn SharedData,
    key: &str,
    number: u32,
    mut change: impl FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
) -> Result<(), Overtaken> {
    for _ in 0..ATTEMPTS {
        let (value, version) = shared.get(key).unzip();
        let there = value.as_deref().and_then(split).map(|(there, _)| there);
        if there.is_some_and(|there| is_after(there, number)) {
            return Err(Overtaken);
        }
        let ours = value.filter(|_| there == Some(number));
        let Some(changed) = change(ours) else { return Ok(()) };
        if shared.set(key, &changed, version) {
            return Ok(());
        }
    }
    Err(Overtaken)
}

/// Begins a whole after `after` by writing its first part, and says its number: no other VM can
/// begin one of the same. `place` is where the first part of a whole lies; even and odd numbers
/// have places of their own, so that one is whole while the next one is written.
pub(crate) fn claim(
    shared: &dyn SharedData,
    after: u32,
    place: impl Fn(u32) -> String,
    first: &[u8],
) -> Result<u32, Overtaken> {
    let mut number = after.wrapping_add(1);
    for _ in 0..ATTEMPTS {
        let key = place(number);
        let (value, version) = shared.get(&key).unzip();
        let there = value.as_deref().and_then(split).map(|(there, _)| there);
        if let Some(there) = there.filter(|there| !is_after(number, *there)) {
            // Somebody began one that no head has named. The next number of this place is free.
            number = there.wrapping_add(2);
        }
        if shared.set(&key, &tagged(number, first), version) {
            return Ok(number);
        }
    }
    Err(Overtaken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    fn put(shared: &Memory, number: u32, byte: u8) -> Result<(), Overtaken> {
        update(shared, "k", number, |_| Some(tagged(number, &[byte])))
    }

    fn at(shared: &Memory, key: &str) -> (u32, Vec<u8>) {
        let (value, _) = shared.get(key).unwrap();
        split(&value).map(|(number, bytes)| (number, bytes.to_vec())).unwrap()
    }

    #[test]
    fn numbers_have_an_order_even_where_they_wrap() {
        for (one, other, expected) in
            [(1, 0, true), (0, 1, false), (5, 5, false), (0, u32::MAX, true), (u32::MAX, 0, false)]
        {
            assert_eq!(is_after(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn an_older_part_gives_way_and_a_newer_one_stays() {
        let shared = Memory::default();
        assert_eq!(put(&shared, 4, b'a'), Ok(()));
        assert_eq!(put(&shared, 6, b'b'), Ok(()));
        assert_eq!(put(&shared, 4, b'c'), Err(Overtaken));
        assert_eq!(at(&shared, "k"), (6, b"b".to_vec()));
        let mut seen = None;
        let looked = update(&shared, "k", 8, |value| {
            seen = Some(value.is_some());
            None
        });
        assert_eq!((looked, seen), (Ok(()), Some(false)), "what is older is not shown");
        assert_eq!(at(&shared, "k"), (6, b"b".to_vec()));
    }

    #[test]
    fn whoever_is_slower_looks_again() {
        let shared = Memory::default();
        shared.conflicts.set(3);
        assert_eq!(put(&shared, 1, b'a'), Ok(()));
        shared.conflicts.set(ATTEMPTS);
        assert_eq!(put(&shared, 1, b'b'), Err(Overtaken));
    }

    #[test]
    fn no_number_is_claimed_twice() {
        let shared = Memory::default();
        let place = |number: u32| format!("p{}", number & 1);
        assert_eq!(claim(&shared, 0, place, b"x"), Ok(1));
        assert_eq!(claim(&shared, 1, place, b"y"), Ok(2));
        // Both began after the head's number 1.
        assert_eq!(claim(&shared, 1, place, b"z"), Ok(4));
        assert_eq!(
            (at(&shared, "p1"), at(&shared, "p0")),
            ((1, b"x".to_vec()), (4, b"z".to_vec()))
        );
        // What is no value of ours gives way.
        shared.put("p1", b"abc");
        assert_eq!(claim(&shared, 4, place, b"w"), Ok(5));
    }
}
