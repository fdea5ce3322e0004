//! What an Envoy asks, in our own terms, and whether it makes sense.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_revocation::bucket::BUCKETS;

const MAX_WORKLOAD: usize = 253;
const MAX_ENVOY_ID: usize = 512;
const MAX_DIGEST: usize = 128;
const MAX_ISSUERS: usize = 64;
const MAX_ISSUER: usize = 512;
/// No piece or delta is cut shorter than this, whatever is asked for.
const LEAST_BYTES: usize = 4_096;

/// What an Envoy has, and what it wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// The workload that it guards.
    pub workload: String,
    /// Its own name.
    pub envoy_id: String,
    /// Digest of the document that it runs.
    pub document_digest: String,
    /// Of the set that it has completely; 0 when it has none.
    pub epoch: u64,
    /// How far that set goes.
    pub cursor: u64,
    /// The snapshot that it is taking.
    pub snapshot: Option<Progress>,
    /// How long the answer may wait.
    pub wait: Duration,
    /// How long it has had no use for what it knows.
    pub idle: Duration,
    /// The most bytes of records that it takes at once.
    pub max_bytes: Option<usize>,
    /// Issuer → digest of the key set that it has.
    pub key_digests: BTreeMap<String, String>,
    /// Issuers of whom it has seen a token that names a key which it does not have.
    pub wanted_keys: Vec<String>,
    /// Of the circuits that it has been told of; 0 when it has been told of none.
    pub circuits_version: u64,
}

/// How far a snapshot has been taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Of its pieces so far; none when it was not said.
    pub epoch: Option<u64>,
    /// The last piece's.
    pub cursor: u64,
    /// The next one wanted; not 0, which is where a snapshot begins.
    pub next_bucket: u32,
}

/// What does not make sense: the asker's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Empty, too long, or not plain text.
    #[error("`workload` is 1 to {MAX_WORKLOAD} visible ASCII characters")]
    Workload,
    /// Empty, too long, or not plain text.
    #[error("`envoy_id` is 1 to {MAX_ENVOY_ID} bytes without control characters")]
    EnvoyId,
    /// Too long, or not plain text.
    #[error("a digest is at most {MAX_DIGEST} visible ASCII characters")]
    Digest,
    /// Too many issuers, or a name that is too long.
    #[error(
        "`key_digests` and `wanted_keys` name at most {MAX_ISSUERS} issuers of {MAX_ISSUER} bytes"
    )]
    Issuers,
    /// There is no such bucket.
    #[error("`snapshot_bucket` is below {BUCKETS}")]
    Bucket,
}

impl Ask {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), AskError> {
        let digests = self.key_digests.values().chain([&self.document_digest]);
        check_asker(&self.workload, &self.envoy_id, digests)?;
        let too_many = self.key_digests.len().max(self.wanted_keys.len()) > MAX_ISSUERS;
        let mut issuers = self.key_digests.keys().chain(&self.wanted_keys);
        if too_many || issuers.any(|issuer| issuer.len() > MAX_ISSUER) {
            return Err(AskError::Issuers);
        }
        if self.snapshot.is_some_and(|progress| progress.next_bucket >= BUCKETS) {
            return Err(AskError::Bucket);
        }
        Ok(())
    }

    /// The most bytes of records to send at once.
    pub(crate) fn bytes_within(&self, most: usize) -> usize {
        self.max_bytes.map_or(most, |wanted| wanted.max(LEAST_BYTES).min(most))
    }
}

/// Whether who asks makes sense, and the digests of what it has.
pub(crate) fn check_asker<'d>(
    workload: &str,
    envoy_id: &str,
    digests: impl IntoIterator<Item = &'d String>,
) -> Result<(), AskError> {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if workload.is_empty() || workload.len() > MAX_WORKLOAD || !visible(workload) {
        return Err(AskError::Workload);
    }
    if envoy_id.is_empty()
        || envoy_id.len() > MAX_ENVOY_ID
        || envoy_id.chars().any(char::is_control)
    {
        return Err(AskError::EnvoyId);
    }
    if digests.into_iter().any(|digest| digest.len() > MAX_DIGEST || !visible(digest)) {
        return Err(AskError::Digest);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask() -> Ask {
        Ask {
            workload: "payments".to_owned(),
            envoy_id: "sidecar~10.0.0.1~a.shop~1".to_owned(),
            ..Ask::default()
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let with = |change: &dyn Fn(&mut Ask)| {
            let mut ask = ask();
            change(&mut ask);
            ask.check()
        };
        let progress = |next_bucket| Some(Progress { epoch: None, cursor: 0, next_bucket });
        assert_eq!(with(&|_| ()), Ok(()));
        assert_eq!(with(&|ask| ask.workload.clear()), Err(AskError::Workload));
        assert_eq!(with(&|ask| ask.workload = "a b".into()), Err(AskError::Workload));
        assert_eq!(with(&|ask| ask.workload = "w".repeat(254)), Err(AskError::Workload));
        assert_eq!(with(&|ask| ask.envoy_id.clear()), Err(AskError::EnvoyId));
        assert_eq!(with(&|ask| ask.envoy_id = "a\nb".into()), Err(AskError::EnvoyId));
        assert_eq!(with(&|ask| ask.envoy_id = "e".repeat(513)), Err(AskError::EnvoyId));
        assert_eq!(with(&|ask| ask.document_digest = "d".repeat(129)), Err(AskError::Digest));
        let one =
            |issuer: &str, digest: &str| BTreeMap::from([(issuer.to_owned(), digest.to_owned())]);
        assert_eq!(with(&|ask| ask.key_digests = one("i", "")), Ok(()));
        assert_eq!(with(&|ask| ask.key_digests = one("i", "\n")), Err(AskError::Digest));
        let long = "i".repeat(513);
        assert_eq!(with(&|ask| ask.key_digests = one(&long, "d")), Err(AskError::Issuers));
        let many: BTreeMap<_, _> = (0..65).map(|at| (at.to_string(), String::new())).collect();
        assert_eq!(with(&|ask| ask.key_digests = many.clone()), Err(AskError::Issuers));
        let wanted = |ask: &mut Ask, times| ask.wanted_keys = vec!["i".repeat(512); times];
        assert_eq!(with(&|ask| wanted(ask, 64)), Ok(()));
        assert_eq!(with(&|ask| wanted(ask, 65)), Err(AskError::Issuers));
        assert_eq!(with(&|ask| ask.wanted_keys = vec![long.clone()]), Err(AskError::Issuers));
        assert_eq!(with(&|ask| ask.snapshot = progress(16_383)), Ok(()));
        assert_eq!(with(&|ask| ask.snapshot = progress(16_384)), Err(AskError::Bucket));
    }

    #[test]
    fn what_is_sent_at_once_is_the_askers_choice_within_bounds() {
        for (wanted, expected) in
            [(None, 100_000), (Some(1), 4_096), (Some(5_000), 5_000), (Some(200_000), 100_000)]
        {
            let ask = Ask { max_bytes: wanted, ..ask() };
            assert_eq!(ask.bytes_within(100_000), expected);
        }
    }
}
