//! What a request asks to revoke, and which part of the list one asks for.

use postern_request::UnixMillis;
use postern_request::json::{self, Value};
use postern_revocation::{Revocation, RevocationKind, check_reason};

use crate::revoking::{self, DEFAULT_REMEMBER, Unclear};
use crate::settings;

/// Entries a page, when nobody says.
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// Why a request makes no sense: the caller's fault. No text repeats what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Senseless {
    /// No object.
    #[error("The body is a JSON object")]
    Form,
    /// A member that means nothing here.
    #[error("The body has `token`, or `kind`, `value`, `issuer` and `remember`; and `reason`")]
    Member,
    /// A member that is no text.
    #[error("Every member is a text")]
    Text,
    /// A token, and a name of something.
    #[error("Say either `token`, or `kind` and `value`")]
    Both,
    /// Neither.
    #[error("Say what to revoke: `token`, or `kind` and `value`")]
    Nothing,
    /// No such kind.
    #[error("`kind` is one of token, session, subject, client and key")]
    Kind,
    /// Nobody says whose tokens.
    #[error("Say in `issuer` whose tokens are meant: the document has no issuer of its own")]
    Issuer,
    /// No duration.
    #[error("`remember` is a duration of at least a second, such as 30s, 15m or 30d")]
    Remember,
    /// It cannot be revoked.
    #[error(transparent)]
    Unclear(#[from] Unclear),
    /// No page.
    #[error("`after` is a sequence number and `limit` a number from 1 to {}", MAX_LIMIT)]
    Page,
}

/// What to revoke, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub revocation: Revocation,
    /// Why, for audits.
    pub reason: Option<String>,
}

impl Order {
    /// Reads a body. `own_issuer` is meant where none is named.
    ///
    /// # Errors
    /// When it is not clear what is meant.
    pub fn read(body: &[u8], own_issuer: Option<&str>, now: UnixMillis) -> Result<Self, Senseless> {
        let body = json::parse(body).map_err(|_| Senseless::Form)?;
        let members = Members::of(body.as_object().ok_or(Senseless::Form)?)?;
        if let Some(reason) = members.reason {
            check_reason(reason).map_err(Unclear::from)?;
        }
        let revocation = members.revocation(own_issuer, now)?;
        Ok(Self { revocation, reason: members.reason.map(str::to_owned) })
    }
}

/// The members of a body.
#[derive(Default)]
struct Members<'a> {
    token: Option<&'a str>,
    kind: Option<&'a str>,
    issuer: Option<&'a str>,
    value: Option<&'a str>,
    remember: Option<&'a str>,
    reason: Option<&'a str>,
}

impl<'a> Members<'a> {
    fn of(object: &'a [(String, Value)]) -> Result<Self, Senseless> {
        let mut members = Self::default();
        for (name, value) in object {
            let place = match name.as_str() {
                "token" => &mut members.token,
                "kind" => &mut members.kind,
                "issuer" => &mut members.issuer,
                "value" => &mut members.value,
                "remember" => &mut members.remember,
                "reason" => &mut members.reason,
                _ => return Err(Senseless::Member),
            };
            *place = Some(value.as_str().ok_or(Senseless::Text)?);
        }
        Ok(members)
    }

    fn revocation(
        &self,
        own_issuer: Option<&str>,
        now: UnixMillis,
    ) -> Result<Revocation, Senseless> {
        let named = [self.kind, self.issuer, self.value, self.remember];
        match (self.token, self.kind, self.value) {
            (Some(_), ..) if named.iter().any(Option::is_some) => Err(Senseless::Both),
            (Some(token), ..) => Ok(revoking::of_token(token, now)?),
            (None, Some(kind), Some(value)) => {
                let kind = RevocationKind::parse(kind).ok_or(Senseless::Kind)?;
                let issuer = self.issuer.or(own_issuer).ok_or(Senseless::Issuer)?;
                let remember = self.remember.unwrap_or(DEFAULT_REMEMBER);
                let remember = settings::seconds(remember).map_err(|_| Senseless::Remember)?;
                Ok(revoking::named(kind, issuer, value, remember, now)?)
            }
            _ => Err(Senseless::Nothing),
        }
    }
}

/// A part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Begins after this number.
    pub after: u64,
    /// So many entries at most.
    pub limit: u32,
}

impl Page {
    /// Reads `after=…&limit=…`, both optional.
    ///
    /// # Errors
    /// When there is anything else, or one of them twice.
    pub fn read(query: Option<&str>) -> Result<Self, Senseless> {
        let (mut after, mut limit) = (None, None);
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, number) = pair.split_once('=').ok_or(Senseless::Page)?;
            let place = match name {
                "after" => &mut after,
                "limit" => &mut limit,
                _ => return Err(Senseless::Page),
            };
            let number: u64 = number.parse().map_err(|_| Senseless::Page)?;
            if place.replace(number).is_some() {
                return Err(Senseless::Page);
            }
        }
        let limit = limit.map_or(Ok(DEFAULT_LIMIT), u32::try_from);
        let limit = limit.map_err(|_| Senseless::Page)?;
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Senseless::Page);
        }
        Ok(Self { after: after.unwrap_or_default(), limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_revocation::RevocationError;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn read(body: &str) -> Result<Order, Senseless> {
        Order::read(body.as_bytes(), Some("https://own.test"), NOW)
    }

    #[test]
    fn what_is_meant_is_read() {
        let order = read(r#"{"kind":"subject","value":"alice","reason":"left"}"#).unwrap();
        let revocation = &order.revocation;
        assert_eq!(revocation.kind(), RevocationKind::Subject);
        assert_eq!((revocation.issuer(), revocation.value()), ("https://own.test", "alice"));
        assert_eq!(revocation.expires_at(), 1_800_000_000 + 30 * 86_400);
        assert_eq!(order.reason.as_deref(), Some("left"));
        let order = read(r#"{"kind":"key","value":"k","issuer":"i","remember":"90s"}"#).unwrap();
        assert_eq!(order.revocation.issuer(), "i");
        assert_eq!(order.revocation.expires_at(), 1_800_000_090);
        assert_eq!(order.reason, None);
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        let long = format!(r#"{{"kind":"key","value":"v","reason":"{}"}}"#, "r".repeat(257));
        for (body, expected) in [
            ("", Senseless::Form),
            ("[]", Senseless::Form),
            (r#"{"kind":"key","kind":"key","value":"v"}"#, Senseless::Form),
            ("{}", Senseless::Nothing),
            (r#"{"kind":"key"}"#, Senseless::Nothing),
            (r#"{"value":"v"}"#, Senseless::Nothing),
            (r#"{"kind":"key","value":"v","x":"y"}"#, Senseless::Member),
            (r#"{"kind":"key","value":7}"#, Senseless::Text),
            (r#"{"kind":"key","value":"v","reason":null}"#, Senseless::Text),
            (r#"{"kind":"user","value":"v"}"#, Senseless::Kind),
            (r#"{"kind":"key","value":"v","remember":"0s"}"#, Senseless::Remember),
            (r#"{"kind":"key","value":"v","remember":"soon"}"#, Senseless::Remember),
            (r#"{"token":"a.b.c","kind":"key"}"#, Senseless::Both),
            (r#"{"token":"a.b.c","remember":"1h"}"#, Senseless::Both),
            (r#"{"kind":"key","value":""}"#, Unclear::Named(RevocationError::Value).into()),
            (long.as_str(), Unclear::Named(RevocationError::Reason).into()),
        ] {
            assert_eq!(read(body), Err(expected), "{body}");
        }
        let token = read(r#"{"token":"a.b.c"}"#);
        assert!(matches!(token, Err(Senseless::Unclear(Unclear::NoToken(_)))), "{token:?}");
        let nobodys = Order::read(br#"{"kind":"key","value":"v"}"#, None, NOW);
        assert_eq!(nobodys, Err(Senseless::Issuer));
    }

    #[test]
    fn pages_are_read_strictly() {
        for (query, expected) in [
            (None, Ok((0, 20))),
            (Some(""), Ok((0, 20))),
            (Some("after=7"), Ok((7, 20))),
            (Some("limit=100&after=18446744073709551615"), Ok((u64::MAX, 100))),
            (Some("limit=0"), Err(Senseless::Page)),
            (Some("limit=101"), Err(Senseless::Page)),
            (Some("limit=4294967297"), Err(Senseless::Page)),
            (Some("after=-1"), Err(Senseless::Page)),
            (Some("after=1&after=2"), Err(Senseless::Page)),
            (Some("page=1"), Err(Senseless::Page)),
            (Some("after"), Err(Senseless::Page)),
        ] {
            let page = Page::read(query).map(|page| (page.after, page.limit));
            assert_eq!(page, expected, "{query:?}");
        }
    }
}
