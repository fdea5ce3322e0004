//! Keys of clients: as they are registered, or wherever the client publishes them (RFC 7591 §2,
//! `jwks` and `jwks_uri`).
//!
//! A set that was fetched is good for five minutes. A key that is not in it may be a new one, so
//! the set is fetched again then, but not more often than every ten seconds: anybody can name a
//! key. Where a set cannot be had, nothing is said of its client: an old one might still hold a
//! key that its owner has taken back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use postern_jose::{KeySet, KeySetError, base64url};
use postern_oauth::OAuthError;
use postern_request::UnixMillis;
use postern_request::json::{self, Value};
use postern_store::durable::{ClientOrigin, ClientRecord};
use tokio::sync::Mutex as AsyncMutex;

use crate::ports::Outbound;
use crate::random;

/// How long a set is good.
const GOOD_MS: u64 = 300_000;
/// The least time from one try to the next.
const PACE_MS: u64 = 10_000;
/// Most sets of either that are kept: of clients that operators made, and of those that registered
/// themselves.
const MOST_KEPT: usize = 1000;

/// What a client's key set holds.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// What it signs with.
    pub(crate) set: KeySet,
    /// SHA-256 of certificates of its own (RFC 8705 §2.2.2).
    pub(crate) certificates: Vec<[u8; 32]>,
}

impl Keys {
    fn parse(text: &[u8]) -> Option<Self> {
        let set = match KeySet::parse(text) {
            Ok(set) => set,
            // There may be certificates all the same.
            Err(KeySetError::Empty) => KeySet::default(),
            Err(_) => return None,
        };
        let value = json::parse(text).ok()?;
        let keys = value.get("keys").and_then(Value::as_array)?;
        Some(Self { set, certificates: keys.iter().filter_map(certificate).collect() })
    }
}

/// The hash of the first certificate of a key (RFC 7517 §4.7), which is in plain base64.
fn certificate(key: &Value) -> Option<[u8; 32]> {
    let text = key.get("x5c")?.as_array()?.first()?.as_str()?;
    let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    Some(random::sha256(&base64url::decode(&text)?).0)
}

/// A set that is fetched.
#[derive(Default)]
struct Slot {
    tried_at: Option<UnixMillis>,
    fetched: Option<(UnixMillis, Arc<Keys>)>,
}

impl Slot {
    fn good(&self, now: UnixMillis) -> Option<&Arc<Keys>> {
        let (at, keys) = self.fetched.as_ref()?;
        (now.millis_since(*at) < GOOD_MS).then_some(keys)
    }

    fn was_just_tried(&self, now: UnixMillis) -> bool {
        self.tried_at.is_some_and(|at| now.millis_since(at) < PACE_MS)
    }
}

/// Sets by where they are.
#[derive(Default)]
struct Slots(Mutex<HashMap<String, Arc<AsyncMutex<Slot>>>>);

impl Slots {
    fn at(&self, uri: &str, now: UnixMillis) -> Arc<AsyncMutex<Slot>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST_KEPT && !slots.contains_key(uri) {
            slots.retain(|_, slot| match slot.try_lock() {
                Ok(slot) => slot.tried_at.is_some_and(|at| now.millis_since(at) < GOOD_MS),
                // Somebody is about to fetch it.
                Err(_) => true,
            });
            if slots.len() >= MOST_KEPT {
                // Starting over is simpler than age.
                slots.clear();
            }
        }
        Arc::clone(slots.entry(uri.to_owned()).or_default())
    }
}

/// How sets are had, and those that are. What anybody may have written is asked by other rules
/// than what an operator has, and however much of it there is, it pushes nothing of theirs out.
struct Source {
    outbound: Arc<dyn Outbound>,
    slots: Slots,
}

impl Source {
    fn new(outbound: Arc<dyn Outbound>) -> Self {
        Self { outbound, slots: Slots::default() }
    }
}

/// Knows clients' keys.
pub(crate) struct ClientKeys {
    for_operators: Source,
    for_anybody: Source,
}

impl ClientKeys {
    pub(crate) fn new(for_operators: Arc<dyn Outbound>, for_anybody: Arc<dyn Outbound>) -> Self {
        Self { for_operators: Source::new(for_operators), for_anybody: Source::new(for_anybody) }
    }

    /// The keys of a client, looked up for a token that names `kid`; none where it has none.
    ///
    /// # Errors
    /// `temporarily_unavailable` where they cannot be fetched.
    pub(crate) async fn of(
        &self,
        record: &ClientRecord,
        kid: Option<&str>,
        now: UnixMillis,
    ) -> Result<Option<Arc<Keys>>, OAuthError> {
        if let Some(text) = &record.jwks {
            return Ok(Keys::parse(text.as_bytes()).map(Arc::new));
        }
        let Some(uri) = &record.jwks_uri else { return Ok(None) };
        let source = match record.origin {
            ClientOrigin::Registered { .. } => &self.for_anybody,
            ClientOrigin::Operator => &self.for_operators,
        };
        let slot = source.slots.at(uri, now);
        // One fetches, and the others wait for what it gets.
        let mut slot = slot.lock().await;
        if let Some(keys) = slot.good(now) {
            let is_there = kid.is_none_or(|kid| keys.set.has_id(kid));
            if is_there || slot.was_just_tried(now) {
                return Ok(Some(Arc::clone(keys)));
            }
        } else if slot.was_just_tried(now) {
            return Err(OAuthError::unavailable());
        }
        slot.tried_at = Some(now);
        match source.outbound.get(uri).await.map(|body| Keys::parse(&body)) {
            Ok(Some(keys)) => slot.fetched = Some((now, Arc::new(keys))),
            Ok(None) => {
                tracing::warn!(client = record.client_id, "a client's `jwks_uri` has no key set");
            }
            Err(error) => {
                tracing::warn!(client = record.client_id, %error, "a client's keys are away");
            }
        }
        // What could not be fetched again is good until its time is over.
        slot.good(now).map(|keys| Some(Arc::clone(keys))).ok_or(OAuthError::unavailable())
    }
}

#[cfg(test)]
mod tests {
    use postern_jose::Algorithm;
    use postern_store::BoxFuture;
    use postern_store::durable::ClientKind;

    use super::*;
    use crate::oauth::fixture::{NOW, later};
    use crate::ports::{FormAnswer, OutboundError};
    use crate::signing_key;

    /// Somebody's key set, and how often it was asked for.
    #[derive(Default)]
    struct Published(Mutex<(String, u32)>);

    impl Published {
        fn say(&self, text: &str) {
            text.clone_into(&mut self.0.lock().unwrap().0);
        }

        fn asked(&self) -> u32 {
            self.0.lock().unwrap().1
        }
    }

    impl Outbound for Published {
        fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<u8>, OutboundError>> {
            let mut held = self.0.lock().unwrap();
            held.1 += 1;
            let answer = match held.0.as_str() {
                "" => Err(OutboundError::Refused(503)),
                text => Ok(text.as_bytes().to_vec()),
            };
            Box::pin(std::future::ready(answer))
        }

        fn post_form<'a>(
            &'a self,
            _: &'a str,
            _: Option<(&'a str, &'a str)>,
            _: String,
        ) -> BoxFuture<'a, Result<FormAnswer, OutboundError>> {
            Box::pin(std::future::ready(Err(OutboundError::Refused(404))))
        }
    }

    fn record() -> ClientRecord {
        let (id, name) = ("web".to_owned(), "Web".to_owned());
        ClientRecord {
            jwks_uri: Some("https://web.example/jwks".to_owned()),
            ..ClientRecord::new(id, name, ClientKind::Confidential, NOW)
        }
    }

    /// A set with a key of this id.
    fn set(kid: &str) -> String {
        let new = signing_key::generate(Algorithm::Es256).unwrap();
        let jwk = new.public_jwk.replace(&new.kid, kid);
        format!("{{\"keys\":[{jwk}]}}")
    }

    #[tokio::test]
    async fn a_set_is_fetched_once_and_again_for_a_new_key_but_not_at_anybodys_word() {
        let (named, written) = (Arc::new(Published::default()), Arc::new(Published::default()));
        let keys =
            ClientKeys::new(Arc::<Published>::clone(&named), Arc::<Published>::clone(&written));
        let (record, one) = (record(), set("one"));
        named.say(&one);
        let has = async |kid: &str, now| {
            let found = keys.of(&record, Some(kid), now).await?;
            Ok::<_, OAuthError>(found.is_some_and(|found| found.set.has_id(kid)))
        };
        for (kid, after_ms, expected, asked) in [
            ("one", 0, true, 1),
            ("one", 1, true, 1),
            ("two", 2, false, 1),
            ("two", PACE_MS, false, 2),
            ("three", PACE_MS + 1, false, 2),
            ("one", GOOD_MS + PACE_MS - 1, true, 2),
            ("one", GOOD_MS + PACE_MS, true, 3),
        ] {
            assert_eq!(has(kid, later(after_ms)).await, Ok(expected), "{kid} {after_ms}");
            assert_eq!(named.asked(), asked, "{kid} {after_ms}");
        }
        named.say(&set("two"));
        let at = GOOD_MS + 2 * PACE_MS;
        assert_eq!(has("two", later(at)).await, Ok(true), "a new one");
        assert_eq!(has("one", later(at)).await, Ok(false), "and the old one is gone");
        assert_eq!(written.asked(), 0);
    }

    #[tokio::test]
    async fn where_keys_cannot_be_had_nothing_is_said() {
        let (named, written) = (Arc::new(Published::default()), Arc::new(Published::default()));
        let keys =
            ClientKeys::new(Arc::<Published>::clone(&named), Arc::<Published>::clone(&written));
        let registered = ClientRecord {
            origin: ClientOrigin::Registered { expires_unused_at: later(1) },
            ..record()
        };
        for (answer, after_ms, asked) in [("", 0, 1), ("", 1, 1), ("{}", PACE_MS, 2)] {
            written.say(answer);
            let found = keys.of(&registered, None, later(after_ms)).await;
            assert_eq!(found.err(), Some(OAuthError::unavailable()), "{answer}");
            assert_eq!(written.asked(), asked);
        }
        written.say(&set("one"));
        assert!(keys.of(&registered, None, later(2 * PACE_MS)).await.unwrap().is_some());
        // What was there stays for its time, and no longer.
        written.say("");
        let at = |millis| later(2 * PACE_MS + millis);
        assert!(keys.of(&registered, Some("two"), at(PACE_MS)).await.unwrap().is_some());
        assert!(keys.of(&registered, None, at(GOOD_MS)).await.is_err());
        assert_eq!(named.asked(), 0, "not with an operator's reach");
    }

    #[tokio::test]
    async fn however_many_register_an_operators_set_stays_and_so_does_its_pace() {
        let (named, written) = (Arc::new(Published::default()), Arc::new(Published::default()));
        let keys =
            ClientKeys::new(Arc::<Published>::clone(&named), Arc::<Published>::clone(&written));
        named.say(&set("one"));
        assert!(keys.of(&record(), Some("one"), NOW).await.unwrap().is_some());
        let most = u32::try_from(MOST_KEPT).unwrap();
        for at in 0..=most {
            let registered = ClientRecord {
                origin: ClientOrigin::Registered { expires_unused_at: later(1) },
                jwks_uri: Some(format!("https://web.example/{at}")),
                ..record()
            };
            assert!(keys.of(&registered, None, later(1)).await.is_err(), "nobody answers");
        }
        assert_eq!(written.asked(), most + 1);
        // Known still, and not asked for again at the word of a key that nobody has.
        for kid in ["one", "two"] {
            assert!(keys.of(&record(), Some(kid), later(2)).await.unwrap().is_some(), "{kid}");
        }
        assert_eq!(named.asked(), 1);
    }

    #[tokio::test]
    async fn registered_keys_are_not_fetched() {
        let published = Arc::new(Published::default());
        let outbound: Arc<dyn Outbound> = published;
        let keys = ClientKeys::new(Arc::clone(&outbound), outbound);
        let inline = ClientRecord { jwks: Some(set("one")), ..record() };
        let found = keys.of(&inline, None, NOW).await.unwrap().unwrap();
        assert!(found.set.has_id("one") && found.certificates.is_empty());
        let damaged = ClientRecord { jwks: Some("[]".to_owned()), ..record() };
        assert!(keys.of(&damaged, None, NOW).await.unwrap().is_none());
        let without = ClientRecord { jwks_uri: None, ..record() };
        assert!(keys.of(&without, None, NOW).await.unwrap().is_none());
    }

    #[test]
    fn certificates_are_known_by_their_hash() {
        let text = r#"{"keys":[{"kty":"RSA","x5c":["YWJj","ZGVm"]},{"kty":"RSA","x5c":["+/+/"]},{"kty":"RSA","x5c":[1]}]}"#;
        let keys = Keys::parse(text.as_bytes()).unwrap();
        let expected = [random::sha256(b"abc").0, random::sha256(&[0xfb, 0xff, 0xbf]).0];
        assert_eq!(keys.certificates, expected);
        assert!(keys.set.keys.is_empty());
        for bad in ["", "{}", "[]", r#"{"keys":1}"#] {
            assert!(Keys::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
