//! The token of a request: in which of a document's places it stands, and how it is kept from
//! upstreams.
//!
//! The filters, the server and the offline tools look with this code, each at headers as it holds
//! them ([`Carrier`]), so that all of them see the same token.

use std::borrow::Cow;

use crate::denial::Denial;
use crate::headers::{self, HeaderView, Single};
use crate::presented::Presented;
use crate::token_places::{self, Find};

/// How the lines of these lists are joined.
const COOKIES: &[u8] = b"; ";
const PROTOCOLS: &[u8] = b", ";

/// Stands for the target among the headers that [`strip`] changes.
pub const TARGET: &str = ":path";

/// Where a token may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// `authorization`, with the scheme `Bearer` or `DPoP`.
    Authorization,
    /// Another header, by its name in lower case; it holds the token itself.
    Header(String),
    /// The cookie of this name.
    Cookie(String),
    /// The query parameter of this name.
    Query(String),
    /// Behind this marker in `sec-websocket-protocol`.
    WebSocketProtocol(String),
}

impl TokenPlace {
    /// The header beside `authorization` in which such tokens stand.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Authorization | Self::Query(_) => None,
            Self::Header(name) => Some(name),
            Self::Cookie(_) => Some(headers::COOKIE),
            Self::WebSocketProtocol(_) => Some(headers::WEBSOCKET_PROTOCOL),
        }
    }
}

/// A request's headers and target, as whoever looks for a token holds them.
pub trait Carrier<'a> {
    /// Path and query; none when it is missing or not text.
    fn target(&self) -> Option<&'a str>;

    /// The header `authorization`.
    fn authorization(&self) -> Single<'a>;

    /// Another header in which tokens may stand, and which makes sense once.
    fn single(&self, name: &str) -> Single<'a>;

    /// Another header in which tokens may stand, and which is a list. Several of them mean one,
    /// joined by the separator.
    fn list(&self, name: &str, separator: &[u8]) -> Option<Cow<'a, [u8]>>;
}

/// A request of which all headers are at hand.
#[derive(Clone, Copy)]
pub struct WholeRequest<'a> {
    /// Path and query.
    pub target: &'a str,
    /// All headers.
    pub headers: &'a dyn HeaderView,
}

impl<'a> Carrier<'a> for WholeRequest<'a> {
    fn target(&self) -> Option<&'a str> {
        Some(self.target)
    }

    fn authorization(&self) -> Single<'a> {
        self.headers.single(headers::AUTHORIZATION)
    }

    fn single(&self, name: &str) -> Single<'a> {
        self.headers.single(name)
    }

    fn list(&self, name: &str, separator: &[u8]) -> Option<Cow<'a, [u8]>> {
        let mut joined: Option<Cow<'a, [u8]>> = None;
        self.headers.for_each(&mut |candidate, value| {
            if candidate != name {
                return;
            }
            if let Some(all) = &mut joined {
                let all = all.to_mut();
                all.extend_from_slice(separator);
                all.extend_from_slice(value);
            } else {
                joined = Some(Cow::Borrowed(value));
            }
        });
        joined
    }
}

/// A token as a request presents it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownToken<'a> {
    /// Its text; whether it is one is for its reader to say.
    pub text: Cow<'a, [u8]>,
    /// With the scheme `DPoP`: its holder means to prove possession of its key (RFC 9449 §7.1).
    pub with_proof: bool,
}

impl ShownToken<'_> {
    fn into_owned(self) -> ShownToken<'static> {
        ShownToken { text: Cow::Owned(self.text.into_owned()), with_proof: self.with_proof }
    }
}

/// Whether any of these places can hold what must not get any further: addresses and cookies end
/// up in logs, an upstream answers for the subprotocols that it is offered, and where there are
/// several places, what stands in all but one of them was never verified.
#[must_use]
pub const fn are_stripped(places: &[TokenPlace]) -> bool {
    !matches!(places, [] | [TokenPlace::Authorization | TokenPlace::Header(_)])
}

/// The token in the first place that holds anything. What cannot be a token there is refused and
/// never passed over: the upstream might read it. So is one with the scheme `DPoP` where no such
/// tokens are taken.
///
/// # Errors
/// The refusal.
pub fn find<'a>(
    places: &[TokenPlace],
    request: &impl Carrier<'a>,
    accepts_dpop: bool,
) -> Result<Option<ShownToken<'a>>, Denial> {
    for place in places {
        match at(place, request)? {
            None => {}
            Some(shown) if shown.with_proof && !accepts_dpop => return Err(unusable()),
            shown => return Ok(shown),
        }
    }
    Ok(None)
}

fn at<'a>(
    place: &TokenPlace,
    request: &impl Carrier<'a>,
) -> Result<Option<ShownToken<'a>>, Denial> {
    match place {
        TokenPlace::Authorization => shown(Presented::from_authorization(request.authorization())),
        TokenPlace::Header(name) => shown(Presented::from_header(request.single(name))),
        TokenPlace::Query(name) => match request.target() {
            Some(target) => shown(token_places::from_query(target, name).into()),
            None => Ok(None),
        },
        TokenPlace::Cookie(name) => {
            let list = request.list(headers::COOKIE, COOKIES);
            within(list, |list| token_places::from_cookie(list, name))
        }
        TokenPlace::WebSocketProtocol(marker) => {
            let list = request.list(headers::WEBSOCKET_PROTOCOL, PROTOCOLS);
            within(list, |list| token_places::from_websocket_protocol(list, marker))
        }
    }
}

/// The token within a list, which is one header or several that were joined.
fn within<'a>(
    list: Option<Cow<'a, [u8]>>,
    find: impl for<'l> Fn(&'l [u8]) -> Find<'l>,
) -> Result<Option<ShownToken<'a>>, Denial> {
    match list {
        None => Ok(None),
        Some(Cow::Borrowed(list)) => shown(find(list).into()),
        Some(Cow::Owned(list)) => Ok(shown(find(&list).into())?.map(ShownToken::into_owned)),
    }
}

fn shown(presented: Presented<'_>) -> Result<Option<ShownToken<'_>>, Denial> {
    let (text, with_proof) = match presented {
        Presented::Nothing => return Ok(None),
        Presented::Unusable => return Err(unusable()),
        Presented::Bearer(text) => (text, false),
        Presented::Dpop(text) => (text, true),
    };
    Ok(Some(ShownToken { text: Cow::Borrowed(text), with_proof }))
}

fn unusable() -> Denial {
    Denial::invalid_token("token_unusable")
}

/// Takes tokens out of all places from which they must not get any further, whichever decided: of
/// headers, only the one that decided stays.
///
/// `change` is told each header that is another one then, with what is left in place of all that
/// the request has under its name, or that nothing is: the header has to go then. The target
/// comes as [`TARGET`].
pub fn strip<'a>(
    places: &[TokenPlace],
    request: &impl Carrier<'a>,
    change: &mut dyn FnMut(&str, Option<&[u8]>),
) {
    let holds = |place: &TokenPlace| !matches!(at(place, request), Ok(None));
    for (index, place) in places.iter().enumerate() {
        let header = match place {
            TokenPlace::Authorization => headers::AUTHORIZATION,
            TokenPlace::Header(name) => name.as_str(),
            _ => continue,
        };
        if holds(place) && places.iter().take(index).any(holds) {
            change(header, None);
        }
    }
    if let Some(target) = request.target() {
        let names = places.iter().filter_map(|place| match place {
            TokenPlace::Query(name) => Some(name),
            _ => None,
        });
        let left = names.fold(Cow::Borrowed(target), |left, name| {
            let without = token_places::without_query(&left, name);
            if without == *left { left } else { Cow::Owned(without) }
        });
        if let Cow::Owned(left) = left {
            change(TARGET, Some(left.as_bytes()));
        }
    }
    let is_cookie = |name: &[u8]| {
        places.iter().any(|place| match place {
            TokenPlace::Cookie(known) => known.as_bytes() == name,
            _ => false,
        })
    };
    if let Some(list) = request.list(headers::COOKIE, COOKIES)
        && let Some(left) = token_places::without_cookies(&list, is_cookie)
    {
        change(headers::COOKIE, unless_empty(&left));
    }
    let markers = places.iter().filter_map(|place| match place {
        TokenPlace::WebSocketProtocol(marker) => Some(marker),
        _ => None,
    });
    if let Some(list) = request.list(headers::WEBSOCKET_PROTOCOL, PROTOCOLS) {
        let left = markers.fold(Cow::Borrowed(&*list), |left, marker| {
            let without = token_places::without_websocket_protocol(&left, marker);
            if without == *left { left } else { Cow::Owned(without) }
        });
        if let Cow::Owned(left) = left {
            change(headers::WEBSOCKET_PROTOCOL, unless_empty(&left));
        }
    }
}

/// A header with nothing left in it has to go.
fn unless_empty(left: &[u8]) -> Option<&[u8]> {
    Some(left).filter(|left| !left.is_empty())
}

#[cfg(test)]
mod tests;
