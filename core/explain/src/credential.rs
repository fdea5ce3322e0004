//! Tokens as a request presents them: where one stands, and whether it holds.

use std::cell::Cell;

use postern_document::{Document, JwksSource, TokenPlace};
use postern_jose::{
    Claims, ClaimsRules, CompactJws, Key, KeyMaterial, KeySet, KeyType, SignatureVerifier,
    TokenError, VerifiedToken, VerifyError,
};
use postern_request::{Denial, ShownToken, headers};

use crate::assume::Part;
use crate::claims::unreadable;
use crate::request::{Request, Shown};
use crate::step::{By, Stage, Verdict};
use crate::walk::Walk;

static NOTHING_GIVEN: Shown = Shown::Headers;
static USUAL_PLACE: TokenPlace = TokenPlace::Authorization;

/// Stands where a key would that counts as known. No key looks so.
pub(crate) const GIVEN_KEY: &[u8] = b"a key that counts as known";

/// Stands where a cookie's value would that opens a session. It has the form of one.
pub(crate) const GIVEN_SESSION: &str =
    "00000000-0000-4000-8000-000000000000.a-session-that-counts-as-known-for-explain-";

/// Target and headers with the credential that is given beside them, in the place where the
/// document takes it.
pub(crate) fn presented(
    document: &Document,
    request: &Request,
) -> (String, Vec<(String, Vec<u8>)>) {
    let (mut target, mut sent) = (request.target.clone(), request.headers.clone());
    let mut add = |name: &str, value: Vec<u8>| sent.push((name.to_owned(), value));
    match &request.shown {
        Shown::Headers => {}
        Shown::Key(_) => add(headers::API_KEY, GIVEN_KEY.to_vec()),
        Shown::Session(_) => {
            if let Some(cookie) = &document.session {
                let value = [cookie.name.as_str(), "=", GIVEN_SESSION].concat();
                add(headers::COOKIE, value.into_bytes());
            }
        }
        Shown::Claims(given) => {
            let token = given.to_token();
            let scheme = if given.with_proof { "DPoP " } else { "Bearer " };
            let with_scheme = || [scheme, &token].concat().into_bytes();
            match place_of_given(document) {
                TokenPlace::Authorization => add(headers::AUTHORIZATION, with_scheme()),
                TokenPlace::Header(name) => add(name, with_scheme()),
                TokenPlace::Cookie(name) => {
                    add(headers::COOKIE, [name, "=", &token].concat().into_bytes());
                }
                TokenPlace::WebSocketProtocol(marker) => {
                    let value = [marker, ", ", &token].concat().into_bytes();
                    add(headers::WEBSOCKET_PROTOCOL, value);
                }
                TokenPlace::Query(name) => {
                    let mark = if target.contains('?') { "&" } else { "?" };
                    target = [&target, mark, name, "=", &token].concat();
                }
            }
        }
    }
    (target, sent)
}

/// `authorization` where the document takes it, else what it names first.
fn place_of_given(document: &Document) -> &TokenPlace {
    let places = &document.token_places;
    let usual = places.iter().find(|place| **place == USUAL_PLACE);
    usual.or(places.first()).unwrap_or(&USUAL_PLACE)
}

/// What is given of a token: nothing of one that the headers hold beside it.
pub(crate) fn given_by<'s>(shown: &'s Shown, token: &ShownToken<'_>) -> &'s Shown {
    match shown {
        Shown::Claims(given) if *given.to_token().as_bytes() == *token.text => shown,
        _ => &NOTHING_GIVEN,
    }
}

/// Checks signatures, but takes for granted those by keys that are not at hand.
struct AtHand<'v> {
    verifier: &'v mut dyn SignatureVerifier,
    granted: &'v Cell<bool>,
}

impl SignatureVerifier for AtHand<'_> {
    fn verify(&mut self, key: &Key, input: &[u8], signature: &[u8]) -> Result<bool, VerifyError> {
        if self.granted.get() {
            return Ok(true);
        }
        self.verifier.verify(key, input, signature)
    }
}

/// A set with one key, which may have signed this token.
fn key_of(token: &str) -> Option<KeySet> {
    let jws = CompactJws::parse(token).ok()?;
    let algorithm = jws.algorithm;
    let material = match algorithm.key_type() {
        KeyType::Rsa => KeyMaterial::Rsa {
            // A signature of no such length is none, whoever's key it would be.
            modulus: vec![0xff; jws.signature.len().clamp(256, 1024)],
            exponent: vec![1, 0, 1],
        },
        KeyType::Ec(curve) => {
            let coordinate = vec![0; curve.coordinate_bytes()];
            KeyMaterial::Ec { curve, x: coordinate.clone(), y: coordinate }
        }
        KeyType::Ed25519 => KeyMaterial::Ed25519 { point: vec![0; 32] },
    };
    let key = Key::new(jws.key_id, algorithm, material);
    Some(KeySet { keys: vec![key], skipped: Vec::new() })
}

impl Walk<'_, '_> {
    /// Whether a token holds, by the issuers of the document. Steps say so under `by`.
    pub(crate) fn verify(
        &mut self,
        by: By,
        token: &ShownToken<'_>,
        shown: &Shown,
    ) -> Result<VerifiedToken, Denial> {
        let (shown, granted) = (given_by(shown, token), Cell::new(false));
        let verified = self.judge_token(&token.text, shown, &granted);
        let verified = match verified {
            Ok(verified) => verified,
            Err(error) => {
                let text = self.why_not(&token.text, error);
                let denial = error.to_denial();
                return Err(self.deny(Stage::Credential, by, denial, Vec::new(), text));
            }
        };
        let issuer = verified.claims.issuer().to_owned();
        let signature = match (shown, granted.get()) {
            (Shown::Claims(_), _) => "claims as given".to_owned(),
            (_, true) => {
                self.assumed(format!("the keys of {issuer} are not at hand: signatures hold"));
                "signature not checked".to_owned()
            }
            (_, false) => {
                let kid = verified.key_id.as_deref().map(|kid| format!(" (kid {kid})"));
                format!("signature holds{}", kid.unwrap_or_default())
            }
        };
        let left = verified.claims.expires_at.saturating_sub(self.assume.now.as_secs());
        let text = format!(
            "iss {issuer}, sub {}, {} left, {signature}",
            verified.principal().subject,
            span(left)
        );
        let verdict = match (shown, granted.get()) {
            (Shown::Claims(_), _) => Verdict::Assumed("the claims count as signed"),
            (_, true) => Verdict::Assumed("its signature counts as good"),
            (_, false) => Verdict::Passed,
        };
        self.push(Stage::Credential, by, verdict, Vec::new(), text);
        Ok(verified)
    }

    fn judge_token(
        &mut self,
        token: &[u8],
        shown: &Shown,
        granted: &Cell<bool>,
    ) -> Result<VerifiedToken, TokenError> {
        let token = core::str::from_utf8(token).map_err(|_| TokenError::Form)?;
        let (document, assume) = (self.document, self.assume);
        let is_given = matches!(shown, Shown::Claims(_));
        let made_up = key_of(token);
        let keys_of = |index: usize| {
            let entry = document.issuers.get(index)?;
            let issuer = entry.issuer.issuer.clone();
            if assume.has_failed(&Part::IssuerKeys { issuer, never: true }) {
                return None;
            }
            let at_hand = match &entry.jwks {
                JwksSource::Inline(keys) => Some(keys),
                JwksSource::Uri { .. }
                | JwksSource::Service { .. }
                | JwksSource::Discovery { .. } => assume.keys.get(index).and_then(Option::as_ref),
            };
            match at_hand.filter(|_| !is_given) {
                Some(keys) => Some(keys),
                None => {
                    granted.set(true);
                    made_up.as_ref()
                }
            }
        };
        let mut verifier = AtHand { verifier: &mut *self.verifier, granted };
        let issuers = &document.issuers;
        if document.bound.are_taken() {
            postern_jose::verify_bound(token, issuers, keys_of, &mut verifier, assume.now)
        } else {
            postern_jose::verify(token, issuers, keys_of, &mut verifier, assume.now)
        }
    }

    /// The failed check in the document's words.
    fn why_not(&self, token: &[u8], error: TokenError) -> String {
        let claims = core::str::from_utf8(token).ok().and_then(claims_of);
        let issuers = &self.document.issuers;
        let of_token = |claims: &Claims| {
            issuers.iter().find(|entry| entry.issuer.issuer == claims.issuer()).cloned()
        };
        let now = self.assume.now.as_secs();
        match (error, &claims) {
            (TokenError::Issuer, _) if issuers.is_empty() => {
                "the document takes no tokens: `credentials.jwt` is missing".to_owned()
            }
            (TokenError::Issuer, _) => {
                let known = issuers.iter().map(|entry| entry.issuer.issuer.as_str());
                format!("`iss` is none of {}", known.collect::<Vec<_>>().join(", "))
            }
            (TokenError::Audience, Some(claims)) => match of_token(claims) {
                Some(entry) => format!("`aud` names none of {}", entry.issuer.audiences.join(", ")),
                None => error.to_string(),
            },
            (TokenError::Required, Some(claims)) => match of_token(claims) {
                Some(entry) => {
                    format!("one of {} is missing", entry.issuer.rules.required.join(", "))
                }
                None => error.to_string(),
            },
            (TokenError::Expired, Some(claims)) => {
                format!("ended {} ago", span(now.saturating_sub(claims.expires_at)))
            }
            (TokenError::NotYet, Some(claims)) => {
                let start = claims.not_before.unwrap_or_default();
                format!("begins in {}", span(start.saturating_sub(now)))
            }
            (TokenError::Claims, _) => {
                unreadable(self.document, token).unwrap_or_else(|| error.to_string())
            }
            _ => error.to_string(),
        }
    }
}

/// What a token says, verified or not.
fn claims_of(token: &str) -> Option<Claims> {
    Claims::parse(&CompactJws::parse(token).ok()?.payload, &ClaimsRules::default()).ok()
}

/// A time in its largest unit, rounded down.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
