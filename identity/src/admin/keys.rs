//! Signing keys: made, listed, retired.

use postern_jose::Algorithm;
use postern_request::UnixMillis;
use postern_store::durable::{DurableStore, PublicSigningKey, SigningKeyRecord};

use crate::keys::{MAX_PUBLISHED_KEYS, active, is_published, newest, signing};
use crate::{IdentityError, KeyEncryptionKey, MAX_LIFETIME_SECS, signing_key};

/// How long a new key is published before it signs: verifiers keep a key set for up to five
/// minutes, a running server reads the keys every few seconds, and both have as long again.
pub const ACTIVATION_DELAY_MS: u64 = 600_000;
/// How much longer than its last token a key is published, for clocks that differ and servers
/// that still sign with it for a moment.
const RETIREMENT_SLACK_MS: u64 = 300_000;

/// How to make the next key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// What it signs with.
    pub algorithm: Algorithm,
    /// How long it is published before it signs. Zero is for emergencies: verifiers that do
    /// not have it yet refuse its tokens.
    pub activate_after_ms: u64,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { algorithm: Algorithm::Rs256, activate_after_ms: ACTIVATION_DELAY_MS }
    }
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and will sign.
    Pending,
    /// Signs.
    Active,
    /// Published for the tokens that it signed.
    Superseded,
    /// Not published any more.
    Retired,
}

impl KeyState {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Retired => "retired",
        }
    }
}

/// A key, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// `kid`
    pub kid: String,
    /// `alg`
    pub algorithm: String,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it may sign.
    pub activates_at: UnixMillis,
    /// From when on it is not published any more.
    pub retires_at: Option<UnixMillis>,
}

/// Makes a key that takes over from the one of its algorithm that signs, if there is one; the
/// very first signs at once. Keys of other algorithms go on.
///
/// # Errors
/// [`IdentityError::Unseal`] when the key-encryption key is not the one that sealed the key
/// in use, [`IdentityError::TooManyKeys`], [`IdentityError::RotatedMeanwhile`] where somebody else
/// was faster, and those of the store. When retiring the older keys fails they just stay
/// published; the next rotation retires them.
pub async fn rotate_keys(
    store: &dyn DurableStore,
    kek: &KeyEncryptionKey,
    rotation: Rotation,
    now: UnixMillis,
) -> Result<KeySummary, IdentityError> {
    let records = store.list_signing_keys().await?;
    rotate_from(store, kek, &records, rotation, now).await
}

/// As [`rotate_keys`], where these are the keys: one that was made since they were read is a reason
/// to make none.
///
/// # Errors
/// As there.
pub(crate) async fn rotate_from(
    store: &dyn DurableStore,
    kek: &KeyEncryptionKey,
    records: &[SigningKeyRecord],
    rotation: Rotation,
    now: UnixMillis,
) -> Result<KeySummary, IdentityError> {
    let public: Vec<PublicSigningKey> = records.iter().map(SigningKeyRecord::public).collect();
    let published = public.iter().filter(|key| is_published(key, now)).count();
    if published >= MAX_PUBLISHED_KEYS {
        return Err(IdentityError::TooManyKeys);
    }
    let signs = active(&public, now);
    if let Some(signs) = records.iter().find(|key| Some(&key.kid) == signs.map(|key| &key.kid)) {
        // Two key-encryption keys in one store would leave half of it closed for good.
        kek.open(&signs.kid, &signs.private_sealed)?;
    }
    let algorithm = rotation.algorithm.as_str();
    let before = newest(&public, algorithm);
    // Of two that are made within a millisecond, the later one has to be the newest all the same.
    let created_at = before.map_or(now, |before| now.max(UnixMillis(before.created_at.0 + 1)));
    let activates_at = match signs {
        None => now,
        Some(_) => UnixMillis(now.0.saturating_add(rotation.activate_after_ms)),
    };
    let new = signing_key::generate(rotation.algorithm)?;
    let record = SigningKeyRecord {
        private_sealed: kek.seal(&new.kid, &new.private)?,
        kid: new.kid,
        algorithm: algorithm.to_owned(),
        public_jwk: new.public_jwk,
        created_at,
        activates_at,
        retires_at: None,
    };
    // By the lock that replicas take which rotate on schedule, too.
    let newest = before.map(|before| before.kid.as_str());
    if !store.insert_signing_key_after(record.clone(), newest).await? {
        return Err(IdentityError::RotatedMeanwhile(algorithm.to_owned()));
    }
    let record = record.public();
    let mut public = public;
    public.push(record.clone());
    retire_superseded(store, &public).await?;
    let state = if activates_at <= now { KeyState::Active } else { KeyState::Pending };
    Ok(summary(&record, state))
}

/// Says of every key that another one of its algorithm takes over from until when it is published:
/// until the last token is over that it can have signed. What says so already stays as it is.
///
/// # Errors
/// Those of the store.
pub(crate) async fn retire_superseded(
    store: &dyn DurableStore,
    keys: &[PublicSigningKey],
) -> Result<(), IdentityError> {
    const LAST_TOKEN_MS: u64 = MAX_LIFETIME_SECS * 1000 + RETIREMENT_SLACK_MS;
    for older in keys.iter().filter(|key| key.retires_at.is_none()) {
        let age = |key: &PublicSigningKey| (key.created_at, key.kid.clone());
        let follows = |key: &&PublicSigningKey| {
            // One that was withdrawn takes over from nobody.
            key.algorithm == older.algorithm && key.retires_at.is_none() && age(key) > age(older)
        };
        let Some(next) = keys.iter().filter(follows).map(|key| key.activates_at).min() else {
            continue;
        };
        let end = UnixMillis(next.0.saturating_add(LAST_TOKEN_MS));
        store.set_signing_key_retirement(&older.kid, end).await?;
    }
    Ok(())
}

/// All keys, oldest first.
///
/// # Errors
/// Those of the store.
pub async fn list_keys(
    store: &dyn DurableStore,
    now: UnixMillis,
) -> Result<Vec<KeySummary>, IdentityError> {
    let records = store.list_public_signing_keys().await?;
    let signs = signing(&records, now);
    let state = |record: &PublicSigningKey| {
        if !is_published(record, now) {
            KeyState::Retired
        } else if signs.iter().any(|signs| signs.kid == record.kid) {
            KeyState::Active
        } else if record.activates_at > now {
            KeyState::Pending
        } else {
            KeyState::Superseded
        }
    };
    Ok(records.iter().map(|record| summary(record, state(record))).collect())
}

/// Takes a key out of use at once, because somebody else may have it: every token that it
/// signed stops being accepted as soon as verifiers read the keys again. Whether another key
/// signs now; if not, `rotate_keys` makes one.
///
/// # Errors
/// [`IdentityError::UnknownKey`] and those of the store.
pub async fn retire_key(
    store: &dyn DurableStore,
    kid: &str,
    now: UnixMillis,
) -> Result<bool, IdentityError> {
    if !store.set_signing_key_retirement(kid, now).await? {
        return Err(IdentityError::UnknownKey(kid.to_owned()));
    }
    Ok(active(&store.list_public_signing_keys().await?, now).is_some())
}

/// Whether something signs where a key is withdrawn: asked before [`retire_key`], where nobody has
/// said that nothing may.
///
/// # Errors
/// [`IdentityError::LastSigningKey`] and those of the store.
pub async fn check_another_signs(
    store: &dyn DurableStore,
    kid: &str,
    now: UnixMillis,
) -> Result<(), IdentityError> {
    let keys = store.list_public_signing_keys().await?;
    let others = keys.iter().filter(|key| key.kid != kid);
    if active(&keys, now).is_some() && active(others, now).is_none() {
        return Err(IdentityError::LastSigningKey);
    }
    Ok(())
}

/// Whether the key-encryption key is the one of this store: it opens a signing key, or there is
/// none. Keys that were retired because another key-encryption key was lost stay closed for good,
/// so that one opens is enough.
///
/// # Errors
/// [`IdentityError::Unseal`] where none opens, and those of the store.
pub async fn check_key(
    store: &dyn DurableStore,
    kek: &KeyEncryptionKey,
) -> Result<(), IdentityError> {
    let records = store.list_signing_keys().await?;
    let opens = records.iter().any(|key| kek.opens(&key.kid, &key.private_sealed));
    match records.into_iter().max_by_key(|key| key.created_at) {
        Some(newest) if !opens => Err(IdentityError::Unseal { kid: newest.kid }),
        _ => Ok(()),
    }
}

fn summary(record: &PublicSigningKey, state: KeyState) -> KeySummary {
    KeySummary {
        kid: record.kid.clone(),
        algorithm: record.algorithm.clone(),
        state,
        created_at: record.created_at,
        activates_at: record.activates_at,
        retires_at: record.retires_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_store::durable::memory::MemoryDurableStore;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn kek() -> KeyEncryptionKey {
        KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap()
    }

    fn rotation() -> Rotation {
        Rotation { algorithm: Algorithm::Es256, ..Rotation::default() }
    }

    #[tokio::test]
    async fn a_key_goes_through_its_states() {
        let store = MemoryDurableStore::new();
        let first = rotate_keys(&store, &kek(), rotation(), NOW).await.unwrap();
        let second = rotate_keys(&store, &kek(), rotation(), UnixMillis(NOW.0 + 1)).await.unwrap();
        assert_eq!((first.state, second.state), (KeyState::Active, KeyState::Pending));
        let start = second.activates_at.0;
        let end = start + MAX_LIFETIME_SECS * 1000 + RETIREMENT_SLACK_MS;
        use KeyState::{Active, Pending, Retired, Superseded};
        for (at, expected) in [
            (NOW.0 + 1, [Active, Pending]),
            (start - 1, [Active, Pending]),
            (start, [Superseded, Active]),
            (end - 1, [Superseded, Active]),
            (end, [Retired, Active]),
        ] {
            let keys = list_keys(&store, UnixMillis(at)).await.unwrap();
            let states: Vec<_> = keys.iter().map(|key| key.state).collect();
            assert_eq!(states, expected, "{at}");
        }
    }

    #[tokio::test]
    async fn a_key_of_another_algorithm_stops_none() {
        let store = MemoryDurableStore::new();
        rotate_keys(&store, &kek(), rotation(), NOW).await.unwrap();
        let rsa = Rotation::default();
        rotate_keys(&store, &kek(), rsa, UnixMillis(NOW.0 + 1)).await.unwrap();
        let long_after = UnixMillis(NOW.0 + 365 * 86_400_000);
        let keys = list_keys(&store, long_after).await.unwrap();
        assert!(keys.iter().all(|key| key.state == KeyState::Active), "{keys:?}");
        assert!(keys.iter().all(|key| key.retires_at.is_none()), "{keys:?}");
    }

    #[tokio::test]
    async fn an_emergency_leaves_no_gap() {
        let store = MemoryDurableStore::new();
        let stolen = rotate_keys(&store, &kek(), rotation(), NOW).await.unwrap();
        let at_once = Rotation { activate_after_ms: 0, ..rotation() };
        let fresh = rotate_keys(&store, &kek(), at_once, UnixMillis(NOW.0 + 1)).await.unwrap();
        assert_eq!(fresh.state, KeyState::Active);
        assert!(retire_key(&store, &stolen.kid, UnixMillis(NOW.0 + 2)).await.unwrap());
        let unknown = retire_key(&store, "none", NOW).await.unwrap_err();
        assert!(matches!(unknown, IdentityError::UnknownKey(_)), "{unknown}");
    }

    #[tokio::test]
    async fn the_last_key_that_signs_is_known() {
        let store = MemoryDurableStore::new();
        let first = rotate_keys(&store, &kek(), rotation(), NOW).await.unwrap();
        let second = rotate_keys(&store, &kek(), rotation(), UnixMillis(NOW.0 + 1)).await.unwrap();
        let soon = UnixMillis(NOW.0 + 1);
        let last = check_another_signs(&store, &first.kid, soon).await;
        assert!(matches!(last, Err(IdentityError::LastSigningKey)), "the next one only waits");
        check_another_signs(&store, &second.kid, soon).await.unwrap();
        check_another_signs(&store, "none", soon).await.unwrap();
        check_another_signs(&store, &first.kid, second.activates_at).await.unwrap();
        retire_key(&store, &first.kid, soon).await.unwrap();
        // Nothing signs, so that nothing is lost.
        check_another_signs(&store, &second.kid, soon).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_is_a_stores_own_where_it_opens_a_signing_key_of_it() {
        let store = MemoryDurableStore::new();
        let own = KeyEncryptionKey::from_text(&"0123456789abcdef".repeat(4)).unwrap();
        let other = KeyEncryptionKey::from_text(&"fedcba9876543210".repeat(4)).unwrap();
        check_key(&store, &other).await.unwrap();
        let rotation = Rotation { algorithm: Algorithm::Es256, ..Rotation::default() };
        let lost = rotate_keys(&store, &other, rotation, NOW).await.unwrap();
        let refused = check_key(&store, &own).await;
        assert!(matches!(refused, Err(IdentityError::Unseal { kid }) if kid == lost.kid));
        // A key-encryption key that was lost leaves keys behind that nobody opens any more.
        retire_key(&store, &lost.kid, NOW).await.unwrap();
        rotate_keys(&store, &own, rotation, NOW).await.unwrap();
        check_key(&store, &own).await.unwrap();
    }
}
