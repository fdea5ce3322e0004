//! The token in a request: where it stands, and how it is kept from upstreams.

use std::borrow::Cow;

use postern_document::TokenPlace;
use postern_filter_host::Effects;
use postern_request::token_places::{self, Find};
use postern_request::{Denial, Presented, headers};

use crate::request::RequestHeaders;

/// How the lines of these lists are joined.
const COOKIES: &[u8] = b"; ";
const PROTOCOLS: &[u8] = b", ";

/// A token as a request presents it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    pub(crate) token: Cow<'a, [u8]>,
    /// Its holder means to prove possession of its key (RFC 9449 §7.1).
    pub(crate) with_proof: bool,
}

impl Shown<'_> {
    fn into_owned(self) -> Shown<'static> {
        Shown { token: Cow::Owned(self.token.into_owned()), with_proof: self.with_proof }
    }
}

/// Headers beside `authorization` in which tokens may stand.
pub(crate) fn header_of(place: &TokenPlace) -> Option<&str> {
    match place {
        TokenPlace::Authorization | TokenPlace::Query(_) => None,
        TokenPlace::Header(name) => Some(name),
        TokenPlace::Cookie(_) => Some(headers::COOKIE),
        TokenPlace::WebSocketProtocol(_) => Some(headers::WEBSOCKET_PROTOCOL),
    }
}

/// Whether any of these places can hold what must not get any further: addresses and cookies end
/// up in logs, an upstream answers for the subprotocols that it is offered, and where there are
/// several places, what stands in all but one of them was never verified.
pub(crate) fn is_stripped(places: &[TokenPlace]) -> bool {
    !matches!(places, [] | [TokenPlace::Authorization | TokenPlace::Header(_)])
}

/// The token in the first place that holds one. What cannot be a token there is refused and
/// never passed over: the upstream might read it.
pub(crate) fn find<'a>(
    places: &[TokenPlace],
    request: &RequestHeaders<'a>,
    accepts_dpop: bool,
) -> Result<Option<Shown<'a>>, Denial> {
    for place in places {
        match at(place, request)? {
            None => {}
            Some(shown) if shown.with_proof && !accepts_dpop => return Err(unusable()),
            shown => return Ok(shown),
        }
    }
    Ok(None)
}

fn at<'a>(place: &TokenPlace, request: &RequestHeaders<'a>) -> Result<Option<Shown<'a>>, Denial> {
    match place {
        TokenPlace::Authorization => shown(Presented::from_authorization(request.authorization)),
        TokenPlace::Header(name) => shown(Presented::from_header(request.single(name))),
        TokenPlace::Query(name) => match request.target {
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
) -> Result<Option<Shown<'a>>, Denial> {
    match list {
        None => Ok(None),
        Some(Cow::Borrowed(list)) => shown(find(list).into()),
        Some(Cow::Owned(list)) => Ok(shown(find(&list).into())?.map(Shown::into_owned)),
    }
}

fn shown(presented: Presented<'_>) -> Result<Option<Shown<'_>>, Denial> {
    let (token, with_proof) = match presented {
        Presented::Nothing => return Ok(None),
        Presented::Unusable => return Err(unusable()),
        Presented::Bearer(token) => (token, false),
        Presented::Dpop(token) => (token, true),
    };
    Ok(Some(Shown { token: Cow::Borrowed(token), with_proof }))
}

fn unusable() -> Denial {
    Denial::invalid_token("token_unusable")
}

/// Takes tokens out of all places from which they must not get any further, whichever decided: of
/// headers, only the one that decided stays.
pub(crate) fn strip(
    places: &[TokenPlace],
    request: &RequestHeaders<'_>,
    effects: &mut dyn Effects,
) {
    let mut decided = false;
    for place in places {
        let holds = !matches!(at(place, request), Ok(None));
        let header = match place {
            TokenPlace::Authorization => Some(headers::AUTHORIZATION),
            TokenPlace::Header(name) => Some(name.as_str()),
            _ => None,
        };
        if let Some(header) = header.filter(|_| decided && holds) {
            effects.remove_header(header);
        }
        decided |= holds;
    }
    if let Some(target) = request.target {
        let names = places.iter().filter_map(|place| match place {
            TokenPlace::Query(name) => Some(name),
            _ => None,
        });
        let left = names.fold(Cow::Borrowed(target), |left, name| {
            let without = token_places::without_query(&left, name);
            if without == *left { left } else { Cow::Owned(without) }
        });
        // Envoy routes again by itself, to the same route: only the query is another one.
        if let Cow::Owned(left) = left {
            effects.rewrite_header(":path", left.as_bytes());
        }
    }
    let cookies = places.iter().filter_map(|place| match place {
        TokenPlace::Cookie(name) => Some(name.as_str()),
        _ => None,
    });
    let list = request.list(headers::COOKIE, COOKIES);
    strip_list(headers::COOKIE, list, cookies, token_places::without_cookie, effects);
    let markers = places.iter().filter_map(|place| match place {
        TokenPlace::WebSocketProtocol(marker) => Some(marker.as_str()),
        _ => None,
    });
    let list = request.list(headers::WEBSOCKET_PROTOCOL, PROTOCOLS);
    let without = token_places::without_websocket_protocol;
    strip_list(headers::WEBSOCKET_PROTOCOL, list, markers, without, effects);
}

/// Takes names out of a list. A header in which nothing is left goes.
fn strip_list<'p>(
    header: &str,
    list: Option<Cow<'_, [u8]>>,
    names: impl Iterator<Item = &'p str>,
    without: impl Fn(&[u8], &str) -> Vec<u8>,
    effects: &mut dyn Effects,
) {
    let Some(list) = list else { return };
    let mut left = Cow::Borrowed(&*list);
    for name in names {
        let without = without(&left, name);
        if without != *left {
            left = Cow::Owned(without);
        }
    }
    match left {
        Cow::Borrowed(_) => {}
        Cow::Owned(left) if left.is_empty() => effects.remove_header(header),
        Cow::Owned(left) => effects.rewrite_header(header, &left),
    }
}
