//! What a user has agreed to, as it is kept behind an authorization code and behind a family of
//! refresh tokens.

use postern_request::UnixMillis;

use crate::kept::{Reader, Writer};
use crate::{Acr, CodeChallenge, ScopeSet};

/// What an authorization code stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeGrant {
    /// Whose code it is.
    pub client_id: String,
    /// `redirect_uri` as it was in the request; none where it was not named (RFC 6749 §4.1.3).
    pub redirect_uri: Option<String>,
    /// Who has agreed (`sub`).
    pub subject: String,
    /// The browser's session that they had.
    pub session_id: String,
    /// What they have agreed to.
    pub scopes: ScopeSet,
    /// Where it may be used, besides the issuer (RFC 8707).
    pub resources: Vec<String>,
    /// What the exchange has to fit to (RFC 7636).
    pub challenge: Option<CodeChallenge>,
    /// `nonce` of the request, for the ID token.
    pub nonce: Option<String>,
    /// When the user has authenticated.
    pub auth_time: UnixMillis,
    /// How well.
    pub acr: Acr,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// The key that the exchange has to prove (RFC 9449 §10).
    pub dpop_jkt: Option<[u8; 32]>,
    /// Whether the user asked to be remembered.
    pub remember: bool,
    /// When the code was made.
    pub issued_at: UnixMillis,
}

impl CodeGrant {
    /// As it is kept. There is nothing secret in it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::default()
            .text("client_id", &self.client_id)
            .maybe_text("redirect_uri", self.redirect_uri.as_deref())
            .text("subject", &self.subject)
            .text("session_id", &self.session_id)
            .scopes("scopes", &self.scopes)
            .texts("resources", &self.resources)
            .maybe_hash("challenge", self.challenge.map(CodeChallenge::to_bytes))
            .maybe_text("nonce", self.nonce.as_deref())
            .moment("auth_time", self.auth_time)
            .acr("acr", self.acr)
            .texts("amr", &self.amr)
            .maybe_hash("dpop_jkt", self.dpop_jkt)
            .flag("remember", self.remember)
            .moment("issued_at", self.issued_at)
            .finish()
    }

    /// Reads what [`CodeGrant::encode`] wrote; none for everything else.
    #[must_use]
    pub fn decode(kept: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(kept)?;
        let grant = Self {
            client_id: reader.text("client_id")?,
            redirect_uri: reader.maybe_text("redirect_uri")?,
            subject: reader.text("subject")?,
            session_id: reader.text("session_id")?,
            scopes: reader.scopes("scopes")?,
            resources: reader.texts("resources")?,
            challenge: reader.maybe_hash("challenge")?.map(CodeChallenge::from_bytes),
            nonce: reader.maybe_text("nonce")?,
            auth_time: reader.moment("auth_time")?,
            acr: reader.acr("acr")?,
            amr: reader.texts("amr")?,
            dpop_jkt: reader.maybe_hash("dpop_jkt")?,
            remember: reader.flag("remember")?,
            issued_at: reader.moment("issued_at")?,
        };
        reader.finish().map(|()| grant)
    }
}

/// What the tokens of a family stand for. It is the same from the first to the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyGrant {
    /// Whose tokens they are.
    pub client_id: String,
    /// Who has agreed (`sub`).
    pub subject: String,
    /// The session of this grant.
    pub session_id: String,
    /// What was granted; an exchange may ask for less, never for more (RFC 6749 §6).
    pub scopes: ScopeSet,
    /// Where it may be used, besides the issuer (RFC 8707).
    pub resources: Vec<String>,
    /// When the user has authenticated.
    pub auth_time: UnixMillis,
    /// How well.
    pub acr: Acr,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// The key that each exchange has to prove: a public client's only proof of who it is
    /// (RFC 9449 §5).
    pub dpop_jkt: Option<[u8; 32]>,
    /// The same by certificate (RFC 8705 §4).
    pub certificate: Option<[u8; 32]>,
    /// Whether the user asked to be remembered.
    pub remember: bool,
}

impl FamilyGrant {
    /// As it is kept. There is nothing secret in it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::default()
            .text("client_id", &self.client_id)
            .text("subject", &self.subject)
            .text("session_id", &self.session_id)
            .scopes("scopes", &self.scopes)
            .texts("resources", &self.resources)
            .moment("auth_time", self.auth_time)
            .acr("acr", self.acr)
            .texts("amr", &self.amr)
            .maybe_hash("dpop_jkt", self.dpop_jkt)
            .maybe_hash("certificate", self.certificate)
            .flag("remember", self.remember)
            .finish()
    }

    /// Reads what [`FamilyGrant::encode`] wrote; none for everything else.
    #[must_use]
    pub fn decode(kept: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(kept)?;
        let grant = Self {
            client_id: reader.text("client_id")?,
            subject: reader.text("subject")?,
            session_id: reader.text("session_id")?,
            scopes: reader.scopes("scopes")?,
            resources: reader.texts("resources")?,
            auth_time: reader.moment("auth_time")?,
            acr: reader.acr("acr")?,
            amr: reader.texts("amr")?,
            dpop_jkt: reader.maybe_hash("dpop_jkt")?,
            certificate: reader.maybe_hash("certificate")?,
            remember: reader.flag("remember")?,
        };
        reader.finish().map(|()| grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use proptest::prelude::*;

    fn scopes() -> impl Strategy<Value = ScopeSet> {
        prop::collection::vec("[!#-Z^-~]{1,8}", 0..6)
            .prop_map(|names| ScopeSet::from_names(names.iter().map(String::as_str)).unwrap())
    }

    fn moment() -> impl Strategy<Value = UnixMillis> {
        (0..=u64::from(u32::MAX) * 1000).prop_map(UnixMillis)
    }

    fn acr() -> impl Strategy<Value = Acr> {
        prop::sample::select(Acr::ALL.to_vec())
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("\\PC{0,12}", 0..4)
    }

    prop_compose! {
        fn family()(
            names in ("\\PC{0,20}", "\\PC{0,20}", "\\PC{0,20}"),
            scopes in scopes(),
            lists in (texts(), texts()),
            auth_time in moment(),
            acr in acr(),
            bound in any::<(Option<[u8; 32]>, Option<[u8; 32]>)>(),
            remember in any::<bool>(),
        ) -> FamilyGrant {
            FamilyGrant {
                client_id: names.0,
                subject: names.1,
                session_id: names.2,
                scopes,
                resources: lists.0,
                auth_time,
                acr,
                amr: lists.1,
                dpop_jkt: bound.0,
                certificate: bound.1,
                remember,
            }
        }
    }

    prop_compose! {
        fn code()(
            family in family(),
            redirect_uri in prop::option::of("\\PC{0,20}"),
            nonce in prop::option::of("\\PC{0,20}"),
            issued_at in moment(),
        ) -> CodeGrant {
            CodeGrant {
                client_id: family.client_id,
                redirect_uri,
                subject: family.subject,
                session_id: family.session_id,
                scopes: family.scopes,
                resources: family.resources,
                challenge: family.certificate.map(CodeChallenge::from_bytes),
                nonce,
                auth_time: family.auth_time,
                acr: family.acr,
                amr: family.amr,
                dpop_jkt: family.dpop_jkt,
                remember: family.remember,
                issued_at,
            }
        }
    }

    proptest! {
        /// What is kept is what was granted.
        #[test]
        fn grants_are_read_as_they_are_written(code in code(), family in family()) {
            prop_assert_eq!(CodeGrant::decode(&code.encode()), Some(code));
            prop_assert_eq!(FamilyGrant::decode(&family.encode()), Some(family));
        }

        /// Whatever stands in the store is read or refused.
        #[test]
        fn anything_else_is_no_grant(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(CodeGrant::decode(&bytes), None);
            prop_assert_eq!(FamilyGrant::decode(&bytes), None);
        }

        /// Half a grant is none: it might lack what binds it.
        #[test]
        fn half_a_grant_is_none(code in code(), keep in 0..1000_usize) {
            let whole = code.encode();
            let cut = whole.get(..whole.len() * keep / 1000).unwrap();
            prop_assert_eq!(CodeGrant::decode(cut), None);
        }
    }

    #[test]
    fn a_grant_with_more_or_less_than_is_known_is_refused() {
        let code = String::from_utf8(fixtures::code_grant().encode()).unwrap();
        let family = String::from_utf8(fixtures::family_grant().encode()).unwrap();
        assert!(CodeGrant::decode(code.as_bytes()).is_some());
        assert!(FamilyGrant::decode(family.as_bytes()).is_some());
        for (from, to) in [
            ("{", "{\"certificate_thumbprint\":\"x\","),
            ("\"remember\":false", "\"remembered\":false"),
            ("\"remember\":false", "\"remember\":0"),
            ("\"acr\":\"urn:postern:acr:1\"", "\"acr\":\"urn:postern:acr:9\""),
            ("\"auth_time\":", "\"auth_time\":-"),
            ("\"client_id\":\"", "\"client_id\":null,\"subjects\":\""),
            ("\"amr\":[", "\"amr\":[1,"),
        ] {
            for kept in [&code, &family] {
                let changed = kept.replacen(from, to, 1);
                assert_ne!(&changed, kept, "{from}");
                assert_eq!(CodeGrant::decode(changed.as_bytes()), None, "{changed}");
                assert_eq!(FamilyGrant::decode(changed.as_bytes()), None, "{changed}");
            }
        }
        assert_eq!(FamilyGrant::decode(code.as_bytes()), None, "a code is no family");
        assert_eq!(CodeGrant::decode(family.as_bytes()), None, "nor the other way round");
    }
}
