//! Which count a request is about, and how many keys one asks for.

use axum::extract::Query;
use axum::http::Uri;
use postern_request::principal::Credential;

use crate::counts::{Meant, Unclear};

/// The longest query. No header that a limit counts by can be longer in a request.
const MAX_QUERY_BYTES: usize = 16_384;
/// Keys, when nobody says.
const DEFAULT_TOP: usize = 20;
const MAX_TOP: usize = 1000;

/// Why a request makes no sense: the caller's fault. No text repeats what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Senseless {
    /// Above [`MAX_QUERY_BYTES`].
    #[error("The query has at most {} bytes", MAX_QUERY_BYTES)]
    TooLong,
    /// Not encoded as queries are.
    #[error("The query is not encoded properly")]
    Form,
    /// A parameter that means nothing here.
    #[error(
        "The query has `limit`, `part`, `without`, `route`, `tier`, `client`, `issuer` and \
         `credential`; or `domain` and `entry`"
    )]
    Parameter,
    /// A parameter that stands once.
    #[error("Only `part`, `without` and `entry` may be there several times")]
    Repeated,
    /// A limit, and a domain.
    #[error("Say either `limit`, or `domain` and `entry`")]
    Both,
    /// Neither.
    #[error("Say what is meant: `limit`, or `domain` and `entry`")]
    Nothing,
    /// No kind of credential.
    #[error("`credential` is jwt, api_key or session")]
    Credential,
    /// Not so many.
    #[error("`n` is a number from 1 to {}, and there is nothing else to say", MAX_TOP)]
    Top,
    /// Nobody asks this server for descriptors.
    #[error("This server has no rate limit service")]
    NoService,
    /// It is not clear which count is meant.
    #[error(transparent)]
    Unclear(#[from] Unclear),
}

/// Which count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Of a limit of the document.
    Limit(Meant),
    /// Of the rate limit service.
    Descriptor {
        /// The domain.
        domain: String,
        /// `KEY=VALUE` each.
        entries: Vec<String>,
    },
}

impl Which {
    /// Reads the query.
    ///
    /// # Errors
    /// When it is not clear what is meant.
    pub fn read(uri: &Uri) -> Result<Self, Senseless> {
        let mut meant = Meant::default();
        let (mut limit, mut domain, mut entries) = (None, None, Vec::new());
        let mut kind = None;
        for (name, value) in parameters(uri)? {
            let place = match name.as_str() {
                "limit" => Place::Once(&mut limit),
                "part" => Place::Often(&mut meant.parts),
                "without" => Place::Often(&mut meant.without),
                "route" => Place::Once(&mut meant.route),
                "tier" => Place::Once(&mut meant.tier),
                "client" => Place::Once(&mut meant.client),
                "issuer" => Place::Once(&mut meant.issuer),
                "credential" => Place::Once(&mut kind),
                "domain" => Place::Once(&mut domain),
                "entry" => Place::Often(&mut entries),
                _ => return Err(Senseless::Parameter),
            };
            match place {
                Place::Often(values) => values.push(value),
                Place::Once(empty) if empty.is_none() => *empty = Some(value),
                Place::Once(_) => return Err(Senseless::Repeated),
            }
        }
        meant.credential = kind.as_deref().map(credential).transpose()?;
        let of_limits = limit.is_some() || meant != Meant::default();
        let of_descriptors = domain.is_some() || !entries.is_empty();
        match (limit, domain) {
            _ if of_limits && of_descriptors => Err(Senseless::Both),
            (Some(limit), _) => Ok(Self::Limit(Meant { limit, ..meant })),
            (None, Some(domain)) if !entries.is_empty() => Ok(Self::Descriptor { domain, entries }),
            (None, _) => Err(Senseless::Nothing),
        }
    }
}

/// Where the value of a parameter goes.
enum Place<'a> {
    Once(&'a mut Option<String>),
    Often(&'a mut Vec<String>),
}

/// Reads `n=…`: how many keys.
///
/// # Errors
/// When there is anything else, or `n` is out of bounds.
pub fn top(uri: &Uri) -> Result<usize, Senseless> {
    match parameters(uri)?.as_slice() {
        [] => Ok(DEFAULT_TOP),
        [(name, number)] if name == "n" => {
            let number = number.parse().ok().filter(|number| (1..=MAX_TOP).contains(number));
            number.ok_or(Senseless::Top)
        }
        _ => Err(Senseless::Top),
    }
}

fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, Senseless> {
    if uri.query().is_some_and(|query| query.len() > MAX_QUERY_BYTES) {
        return Err(Senseless::TooLong);
    }
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).map_err(|_| Senseless::Form)
}

fn credential(text: &str) -> Result<Credential, Senseless> {
    let known = [Credential::Jwt, Credential::ApiKey, Credential::Session];
    known.into_iter().find(|kind| kind.as_str() == text).ok_or(Senseless::Credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/admin/limits{query}").parse().unwrap()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_meant_is_read() {
        let query = "?limit=per-user&part=claim.sub%3Dal+ice&part=ip=192.0.2.1&without=host\
                     &route=r&tier=t&client=c&issuer=https%3A%2F%2Fi.test&credential=jwt";
        let meant = Meant {
            limit: "per-user".to_owned(),
            parts: texts(&["claim.sub=al ice", "ip=192.0.2.1"]),
            without: texts(&["host"]),
            route: Some("r".to_owned()),
            tier: Some("t".to_owned()),
            client: Some("c".to_owned()),
            issuer: Some("https://i.test".to_owned()),
            credential: Some(Credential::Jwt),
        };
        assert_eq!(Which::read(&uri(query)), Ok(Which::Limit(meant)));
        let descriptor = Which::read(&uri("?entry=path=/a&domain=shop&entry=user"));
        let entries = texts(&["path=/a", "user"]);
        assert_eq!(descriptor, Ok(Which::Descriptor { domain: "shop".to_owned(), entries }));
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        let long = format!("?limit=l&part=header.x={}", "v".repeat(MAX_QUERY_BYTES));
        for (query, expected) in [
            ("", Senseless::Nothing),
            ("?part=ip=192.0.2.1", Senseless::Nothing),
            ("?domain=shop", Senseless::Nothing),
            ("?entry=user", Senseless::Nothing),
            ("?limit=l&domain=shop&entry=user", Senseless::Both),
            ("?domain=shop&entry=user&tier=t", Senseless::Both),
            ("?limit=l&key=ip", Senseless::Parameter),
            ("?limit=l&limit=l", Senseless::Repeated),
            ("?limit=l&credential=jwt&credential=jwt", Senseless::Repeated),
            ("?limit=l&credential=JWT", Senseless::Credential),
            (long.as_str(), Senseless::TooLong),
        ] {
            assert_eq!(Which::read(&uri(query)), Err(expected), "{query}");
        }
    }

    #[test]
    fn so_many_keys_and_no_more() {
        for (query, expected) in [
            ("", Ok(20)),
            ("?n=1", Ok(1)),
            ("?n=1000", Ok(1000)),
            ("?n=0", Err(Senseless::Top)),
            ("?n=1001", Err(Senseless::Top)),
            ("?n=-1", Err(Senseless::Top)),
            ("?n=1&n=2", Err(Senseless::Top)),
            ("?limit=5", Err(Senseless::Top)),
        ] {
            assert_eq!(top(&uri(query)), expected, "{query}");
        }
    }
}
