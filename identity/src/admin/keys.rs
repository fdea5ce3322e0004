//! Signing keys: made, listed, retired.

use postern_jose::Algorithm;
use postern_request::UnixMillis;
use postern_store::durable::{DurableStore, SigningKeyRecord};

use crate::keys::{MAX_PUBLISHED_KEYS, active, is_published, signing};
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
/// in use, [`IdentityError::TooManyKeys`], and those of the store. When retiring the older
/// keys fails they just stay published; the next rotation retires them.
pub async fn rotate_keys(
    store: &dyn DurableStore,
    kek: &KeyEncryptionKey,
    rotation: Rotation,
    now: UnixMillis,
) -> Result<KeySummary, IdentityError> {
    let mut records = store.list_signing_keys().await?;
    records.retain(|record| is_published(record, now));
    if records.len() >= MAX_PUBLISHED_KEYS {
        return Err(IdentityError::TooManyKeys);
    }
    let activates_at = match active(&records, now) {
        None => now,
        Some(signs) => {
            // Two key-encryption keys in one store would leave half of it closed for good.
            kek.open(&signs.kid, &signs.private_sealed)?;
            UnixMillis(now.0.saturating_add(rotation.activate_after_ms))
        }
    };
    let new = signing_key::generate(rotation.algorithm)?;
    let record = SigningKeyRecord {
        private_sealed: kek.seal(&new.kid, &new.private)?,
        kid: new.kid,
        algorithm: rotation.algorithm.as_str().to_owned(),
        public_jwk: new.public_jwk,
        created_at: now,
        activates_at,
        retires_at: None,
    };
    store.insert_signing_key(record.clone()).await?;
    let last_token_ms = MAX_LIFETIME_SECS * 1000 + RETIREMENT_SLACK_MS;
    let end = UnixMillis(activates_at.0.saturating_add(last_token_ms));
    let superseded: Vec<&SigningKeyRecord> = records
        .iter()
        .filter(|older| older.retires_at.is_none() && older.algorithm == record.algorithm)
        .collect();
    for older in superseded {
        store.set_signing_key_retirement(&older.kid, end).await?;
    }
    let state = if activates_at <= now { KeyState::Active } else { KeyState::Pending };
    Ok(summary(&record, state))
}

/// All keys, oldest first.
///
/// # Errors
/// Those of the store.
pub async fn list_keys(
    store: &dyn DurableStore,
    now: UnixMillis,
) -> Result<Vec<KeySummary>, IdentityError> {
    let records = store.list_signing_keys().await?;
    let signs = signing(&records, now);
    let state = |record: &SigningKeyRecord| {
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
    Ok(active(&store.list_signing_keys().await?, now).is_some())
}

fn summary(record: &SigningKeyRecord, state: KeyState) -> KeySummary {
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
}
