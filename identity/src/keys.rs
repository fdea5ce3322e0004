//! The signing keys of a running server: which one signs, which ones are published.
//!
//! A key is published from the moment it is made and signs only after a while, when every
//! verifier can have it; it is published on until the last token that it can have signed is
//! over. See [`crate::admin`] for how long that is.
//!
//! Each algorithm has a key of its own that signs: clients choose by which one their ID tokens
//! are signed, and a new key of one algorithm does not stop that of another.

pub(crate) mod schedule;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use postern_jose::{Algorithm, Key, KeySet};
use postern_request::UnixMillis;
use postern_store::durable::{DurableStore, PublicSigningKey, Sealed};
use tokio::time::MissedTickBehavior;

use crate::seal::KeyEncryptionKey;
use crate::sign::SigningPair;
use crate::{Clock, IdentityError, signing_key};

/// Most keys that are published at once; verifiers read no more than twice as many.
pub const MAX_PUBLISHED_KEYS: usize = 16;

/// The keys that are published, kept up to date with the store.
pub struct KeyRing {
    store: Arc<dyn DurableStore>,
    kek: Option<KeyEncryptionKey>,
    keys: ArcSwap<Vec<RingKey>>,
}

struct RingKey {
    record: PublicSigningKey,
    public: Key,
    private: Option<Arc<SigningPair>>,
}

impl KeyRing {
    /// Reads the keys. Without a key-encryption key tokens can be checked and not made.
    ///
    /// # Errors
    /// The store's, and [`IdentityError::Unseal`] when a key that should sign cannot be opened.
    /// Having no key at all is not an error: the first one may still be made.
    pub async fn load(
        store: Arc<dyn DurableStore>,
        kek: Option<KeyEncryptionKey>,
        now: UnixMillis,
    ) -> Result<Self, IdentityError> {
        let ring = Self { store, kek, keys: ArcSwap::default() };
        ring.refresh(now).await?;
        Ok(ring)
    }

    /// Reads the keys again; on failure those of before stay.
    ///
    /// # Errors
    /// As [`KeyRing::load`].
    pub async fn refresh(&self, now: UnixMillis) -> Result<(), IdentityError> {
        let records = self.records().await?;
        let signs = signing(records.iter().map(|(record, _)| record), now);
        let signs: Vec<String> = signs.into_iter().map(|record| record.kid.clone()).collect();
        let before = self.keys.load_full();
        let mut keys = Vec::with_capacity(records.len());
        for (record, sealed) in records.into_iter().filter(|(key, _)| is_published(key, now)) {
            let known = before.iter().find(|key| key.record.kid == record.kid);
            let opened = match known {
                Some(RingKey { public, private: Some(private), .. }) => {
                    Ok((public.clone(), Some(Arc::clone(private))))
                }
                _ => self.read(&record, sealed.as_ref()),
            };
            match opened {
                Ok((public, private)) => keys.push(RingKey { record, public, private }),
                Err(error) if signs.contains(&record.kid) => return Err(error),
                // It does not sign yet, or not any more: no reason to stop.
                Err(error) => tracing::warn!(kid = record.kid, %error, "signing key left out"),
            }
        }
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// All keys. Who has nothing to open them with does not read what is sealed of them.
    async fn records(&self) -> Result<Vec<(PublicSigningKey, Option<Sealed>)>, IdentityError> {
        if self.kek.is_none() {
            let keys = self.store.list_public_signing_keys().await?;
            return Ok(keys.into_iter().map(|key| (key, None)).collect());
        }
        let keys = self.store.list_signing_keys().await?;
        Ok(keys.into_iter().map(|key| (key.public(), Some(key.private_sealed))).collect())
    }

    fn read(
        &self,
        record: &PublicSigningKey,
        sealed: Option<&Sealed>,
    ) -> Result<(Key, Option<Arc<SigningPair>>), IdentityError> {
        let bad = |reason| IdentityError::SigningKey { kid: record.kid.clone(), reason };
        let algorithm =
            Algorithm::parse(&record.algorithm).ok_or_else(|| bad("its algorithm is unknown"))?;
        let public = signing_key::public_key(&record.public_jwk)
            .filter(|key| key.algorithm == algorithm && key.id.as_ref() == Some(&record.kid))
            .ok_or_else(|| bad("its public half does not fit its record"))?;
        let (Some(kek), Some(sealed)) = (&self.kek, sealed) else { return Ok((public, None)) };
        let private = kek.open(&record.kid, sealed)?;
        let private = SigningPair::open(algorithm, &record.kid, &private)
            .ok_or_else(|| bad("its private half is not a key of its algorithm"))?;
        Ok((public, Some(Arc::new(private))))
    }

    /// What signs now: by this algorithm, or without one, the key that may since last.
    ///
    /// # Errors
    /// [`IdentityError::NoSigningKey`], and [`IdentityError::SigningKey`] where the key is sealed.
    pub(crate) fn signer(
        &self,
        algorithm: Option<Algorithm>,
        now: UnixMillis,
    ) -> Result<Arc<SigningPair>, IdentityError> {
        let keys = self.keys.load();
        let fits =
            |key: &&RingKey| algorithm.is_none_or(|algorithm| key.public.algorithm == algorithm);
        let kid = active(keys.iter().filter(fits).map(|key| &key.record), now)
            .map(|record| record.kid.as_str())
            .ok_or(IdentityError::NoSigningKey)?;
        let key = keys.iter().find(|key| key.record.kid == kid);
        key.and_then(|key| key.private.clone()).ok_or_else(|| IdentityError::SigningKey {
            kid: kid.to_owned(),
            reason: "it is sealed, and no key-encryption key was given",
        })
    }

    /// As [`KeyRing::signer`], and where no key of this algorithm signs, any that does: an
    /// operator who has made none yet still issues tokens.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn signer_by_preference(
        &self,
        algorithm: Option<Algorithm>,
        now: UnixMillis,
    ) -> Result<Arc<SigningPair>, IdentityError> {
        match self.signer(algorithm, now) {
            Err(IdentityError::NoSigningKey) if algorithm.is_some() => self.signer(None, now),
            other => other,
        }
    }

    /// The JWK Set (RFC 7517 §5) of what is published.
    #[must_use]
    pub fn jwks(&self, now: UnixMillis) -> String {
        let keys = self.keys.load();
        let published = keys.iter().filter(|key| is_published(&key.record, now));
        let jwks: Vec<&str> = published.map(|key| key.record.public_jwk.as_str()).collect();
        format!("{{\"keys\":[{}]}}", jwks.join(","))
    }

    /// What is published, for `postern_jose::verify`.
    #[must_use]
    pub fn key_set(&self, now: UnixMillis) -> KeySet {
        let keys = self.keys.load();
        let published = keys.iter().filter(|key| is_published(&key.record, now));
        KeySet { keys: published.map(|key| key.public.clone()).collect(), skipped: Vec::new() }
    }

    /// Whether a key of this id is published still.
    #[must_use]
    pub(crate) fn publishes(&self, kid: &str, now: UnixMillis) -> bool {
        let keys = self.keys.load();
        keys.iter().any(|key| key.record.kid == kid && is_published(&key.record, now))
    }

    /// The algorithms of what is published, none twice; a superseded key's among them.
    #[must_use]
    pub fn algorithms(&self, now: UnixMillis) -> Vec<Algorithm> {
        let mut all: Vec<_> = self.key_set(now).keys.iter().map(|key| key.algorithm).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The algorithms that something signs with now, none twice.
    #[must_use]
    pub(crate) fn signing_algorithms(&self, now: UnixMillis) -> Vec<Algorithm> {
        let keys = self.keys.load();
        let opened = keys.iter().filter(|key| key.private.is_some());
        let signs =
            opened.filter(|key| is_published(&key.record, now) && key.record.activates_at <= now);
        let mut all: Vec<_> = signs.map(|key| key.public.algorithm).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Whether a key is published: always, until it retires.
pub(crate) fn is_published(record: &PublicSigningKey, now: UnixMillis) -> bool {
    record.retires_at.is_none_or(|end| now < end)
}

/// The key that signs: of those that are published and may, the one that may since last.
pub(crate) fn active<'a>(
    records: impl IntoIterator<Item = &'a PublicSigningKey>,
    now: UnixMillis,
) -> Option<&'a PublicSigningKey> {
    records
        .into_iter()
        .filter(|record| is_published(record, now) && record.activates_at <= now)
        .max_by(|a, b| {
            (a.activates_at, a.created_at, &a.kid).cmp(&(b.activates_at, b.created_at, &b.kid))
        })
}

/// The keys that sign: of each algorithm the one that [`active`] chooses.
pub(crate) fn signing<'a>(
    records: impl IntoIterator<Item = &'a PublicSigningKey>,
    now: UnixMillis,
) -> Vec<&'a PublicSigningKey> {
    let records: Vec<&PublicSigningKey> = records.into_iter().collect();
    let mut algorithms: Vec<&str> = records.iter().map(|one| one.algorithm.as_str()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    let of = |algorithm: &str| {
        active(records.iter().copied().filter(|one| one.algorithm == algorithm), now)
    };
    algorithms.into_iter().filter_map(of).collect()
}

/// The key of an algorithm that was made last, retired or not; of several, the one with the last
/// `kid`, as the store has it.
pub(crate) fn newest<'a>(
    records: impl IntoIterator<Item = &'a PublicSigningKey>,
    algorithm: &str,
) -> Option<&'a PublicSigningKey> {
    records
        .into_iter()
        .filter(|record| record.algorithm == algorithm)
        .max_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)))
}

/// Keeps a ring up to date for as long as it is polled: spawn it, and abort it at the end. So
/// `postern keys rotate` reaches a running server within `period`.
pub async fn refresh_every(ring: Arc<KeyRing>, period: Duration, clock: Clock) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = ring.refresh(clock()).await {
            tracing::warn!(%error, "signing keys could not be read again, the old ones stay");
        }
    }
}

#[cfg(test)]
mod tests;
