//! An answer that is kept, as bytes.

use postern_request::UnixMillis;
use postern_request::little_endian::{Reader, put_part};

use super::Judged;

/// The first byte. Another one for every other layout.
const FORMAT: u8 = 1;
/// In place of an age that nobody has said.
const UNSAID: u32 = u32::MAX;
/// Workers read their clocks one after the other; ahead by more than this, one was set.
const SKEW_MS: u64 = 1_000;

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it came.
    pub kept_at: UnixMillis,
    /// How old it was then, in seconds.
    pub age_s: u32,
    /// Up to which age it is fresh.
    pub fresh_s: Option<u32>,
    /// Up to which age it may be given out.
    pub good_s: Option<u32>,
    /// Which request it is the answer to, as a whole: a hash of it only says where it lies.
    pub key: &'a [u8],
    /// Its headers.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Its body.
    pub body: &'a [u8],
}

/// What is said of an answer that is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How old it is, in seconds.
    pub age_s: u64,
    /// For how much longer it is fresh; below zero where it is stale.
    pub ttl_s: Option<i64>,
}

impl<'a> Entry<'a> {
    /// An answer whose body is still to come: it goes behind the bytes of this.
    #[must_use]
    pub fn begun(key: &'a [u8], judged: &'a Judged, kept_at: UnixMillis) -> Self {
        let headers = judged.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self {
            kept_at,
            age_s: judged.age_s,
            fresh_s: judged.fresh_s,
            good_s: judged.good_s,
            key,
            headers: headers.collect(),
            body: &[],
        }
    }

    /// The answer as bytes, little-endian: format (1), when it came (8), its age then, and up to
    /// which it is fresh and good (4 each), then parts behind their lengths: the key, and of as many
    /// headers as a number (4) says name and value; the body is what is left.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.kept_at.0.to_le_bytes());
        let ages = [Some(self.age_s), self.fresh_s, self.good_s];
        for age in ages {
            bytes.extend_from_slice(&age.unwrap_or(UNSAID).to_le_bytes());
        }
        put_part(&mut bytes, self.key);
        let count = u32::try_from(self.headers.len()).unwrap_or_default();
        bytes.extend_from_slice(&count.to_le_bytes());
        for (name, value) in &self.headers {
            put_part(&mut bytes, name.as_bytes());
            put_part(&mut bytes, value.as_bytes());
        }
        bytes.extend_from_slice(self.body);
        bytes
    }

    /// Reads what [`Entry::to_bytes`] wrote; anything else is nothing that is kept.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        if from.get::<1>()? != [FORMAT] {
            return None;
        }
        let kept_at = UnixMillis(u64::from_le_bytes(from.get()?));
        let age_s = from.number()?;
        let said = |age: u32| (age != UNSAID).then_some(age);
        let (fresh_s, good_s) = (said(from.number()?), said(from.number()?));
        let key = from.part()?;
        let mut headers = Vec::new();
        // However many they are said to be, they end with the bytes.
        for _ in 0..from.number()? {
            let (name, value) = (from.part()?, from.part()?);
            headers.push((core::str::from_utf8(name).ok()?, core::str::from_utf8(value).ok()?));
        }
        let body = from.rest();
        Some(Self { kept_at, age_s, fresh_s, good_s, key, headers, body })
    }

    /// What is said of it now; none where it is too old, or older than the service allows.
    #[must_use]
    pub fn told(&self, max_age_ms: u64, now: UnixMillis) -> Option<Told> {
        if self.kept_at.0 > now.0.saturating_add(SKEW_MS) {
            // The clock was set back: nobody knows how old it is.
            return None;
        }
        let here_ms = now.millis_since(self.kept_at);
        let age_s = u64::from(self.age_s).saturating_add(here_ms / 1_000);
        if here_ms > max_age_ms || self.good_s.is_some_and(|good_s| age_s >= u64::from(good_s)) {
            return None;
        }
        let age = i64::try_from(age_s).unwrap_or(i64::MAX);
        let ttl_s = self.fresh_s.map(|fresh_s| i64::from(fresh_s).saturating_sub(age));
        Some(Told { age_s, ttl_s })
    }
}

impl Told {
    /// The headers that say so: `age` (RFC 9111 §5.1) and `cache-status` (RFC 9211).
    #[must_use]
    pub fn headers(self) -> [(String, String); 2] {
        let ttl = self.ttl_s.map(|ttl_s| ["; ttl=", &ttl_s.to_string()].concat());
        let status = ["postern; hit", &ttl.unwrap_or_default(), "; detail=circuit-open"].concat();
        [("age".to_owned(), self.age_s.to_string()), ("cache-status".to_owned(), status)]
    }
}
