//! Parts of long lists by their place, for people who look through them. Programs go by ids.

use postern_request::UnixMillis;

use super::MAX_PAGE;

/// Which part of a list. Records go by when they were made, and those of one moment by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageAsk {
    /// Whether the newest comes first.
    pub newest_first: bool,
    /// So many are passed over.
    pub offset: u64,
    /// So many at most; no more than [`MAX_PAGE`].
    pub limit: u32,
}

/// A part of a list, and how long the whole is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The part.
    pub records: Vec<T>,
    /// How many there are in all.
    pub total: u64,
}

impl PageAsk {
    /// The part of a list that is at hand as a whole. `key` is when a record was made, and its id.
    pub fn of<T>(self, mut all: Vec<T>, key: impl Fn(&T) -> (UnixMillis, String)) -> Paged<T> {
        let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
        all.sort_by_cached_key(key);
        if self.newest_first {
            all.reverse();
        }
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.limit.min(MAX_PAGE)).unwrap_or(usize::MAX);
        Paged { records: all.into_iter().skip(offset).take(limit).collect(), total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_out_of_the_order() {
        let all = [(3, "c"), (1, "a"), (2, "z"), (2, "b")];
        let all: Vec<(u64, &str)> = all.to_vec();
        let page = |newest_first, offset, limit| {
            let ask = PageAsk { newest_first, offset, limit };
            let page = ask.of(all.clone(), |(at, id)| (UnixMillis(*at), (*id).to_owned()));
            assert_eq!(page.total, 4);
            page.records.into_iter().map(|(_, id)| id).collect::<String>()
        };
        assert_eq!(page(false, 0, 10), "abzc");
        assert_eq!(page(true, 0, 10), "czba");
        assert_eq!(page(true, 1, 2), "zb");
        assert_eq!(page(true, 4, 2), "");
        assert_eq!(page(true, u64::MAX, u32::MAX), "");
    }
}
