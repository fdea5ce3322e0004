//! Finding the token in a request: in the same places and order as the filter, by the same
//! readers.

use std::borrow::Cow;

use postern_document::TokenPlace;
use postern_request::headers::{self, HeaderView as _};
use postern_request::{Presented, token_places};

use crate::authorizer::Incoming;

/// Where a request may hold its token.
pub(crate) struct Places<'a> {
    request: &'a Incoming,
    /// All `cookie` headers as one; HTTP/2 lets clients split it.
    cookies: Cow<'a, [u8]>,
    /// All `sec-websocket-protocol` headers as one.
    protocols: Cow<'a, [u8]>,
}

impl<'a> Places<'a> {
    pub(crate) fn of(request: &'a Incoming) -> Self {
        Self {
            request,
            cookies: joined(request, headers::COOKIE, b"; "),
            protocols: joined(request, headers::WEBSOCKET_PROTOCOL, b", "),
        }
    }

    /// What the first place that holds anything holds. What cannot be a token is not passed
    /// over: an upstream might read it as one.
    pub(crate) fn token(&self, places: &[TokenPlace]) -> Presented<'_> {
        let mut held = places.iter().map(|place| self.at(place));
        held.find(|held| *held != Presented::Nothing).unwrap_or(Presented::Nothing)
    }

    fn at(&self, place: &TokenPlace) -> Presented<'_> {
        let single = |name: &str| self.request.headers.single(name);
        match place {
            TokenPlace::Authorization => {
                Presented::from_authorization(single(headers::AUTHORIZATION))
            }
            TokenPlace::Header(name) => Presented::from_header(single(name)),
            TokenPlace::Cookie(name) => token_places::from_cookie(&self.cookies, name).into(),
            TokenPlace::Query(name) => token_places::from_query(&self.request.target, name).into(),
            TokenPlace::WebSocketProtocol(marker) => {
                token_places::from_websocket_protocol(&self.protocols, marker).into()
            }
        }
    }
}

fn joined<'a>(request: &'a Incoming, name: &str, separator: &[u8]) -> Cow<'a, [u8]> {
    let mut joined: Option<Cow<'a, [u8]>> = None;
    request.headers.for_each(&mut |candidate, value| {
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
    joined.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::request;

    fn found(places: &[TokenPlace], target: &str, headers: &[(&str, &str)]) -> String {
        let request = request("GET", target, headers);
        let places_of = Places::of(&request);
        match places_of.token(places) {
            Presented::Nothing => "nothing".to_owned(),
            Presented::Unusable => "unusable".to_owned(),
            Presented::Bearer(token) => String::from_utf8(token.to_vec()).unwrap(),
            Presented::Dpop(token) => format!("dpop {}", String::from_utf8_lossy(token)),
        }
    }

    #[test]
    fn the_first_place_that_holds_something_decides() {
        let all = [
            TokenPlace::Header("x-token".to_owned()),
            TokenPlace::Authorization,
            TokenPlace::Cookie("at".to_owned()),
            TokenPlace::Query("at".to_owned()),
            TokenPlace::WebSocketProtocol("bearer".to_owned()),
        ];
        let header = ("x-token", "a");
        let authorization = ("authorization", "Bearer b");
        let cookie = ("cookie", "x=1; at=c");
        let protocol = ("sec-websocket-protocol", "bearer, e");
        type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)]);
        let cases: &[Case<'_>] = &[
            ("a", "/?at=d", &[protocol, cookie, authorization, header]),
            ("b", "/?at=d", &[protocol, cookie, authorization]),
            ("c", "/?at=d", &[protocol, cookie]),
            ("d", "/?at=d", &[protocol]),
            ("e", "/?x=d", &[protocol]),
            ("nothing", "/", &[("cookie", "x=1"), ("sec-websocket-protocol", "chat")]),
            ("dpop b", "/", &[("authorization", "DPoP b")]),
            ("unusable", "/", &[("authorization", "Basic b"), cookie]),
            ("unusable", "/", &[header, ("x-token", "a"), authorization]),
            ("unusable", "/?at=d", &[("cookie", "at=c; at=c")]),
            ("unusable", "/?at=d&at=d", &[protocol]),
            ("unusable", "/?at=%64", &[protocol]),
        ];
        for (expected, target, headers) in cases {
            assert_eq!(found(&all, target, headers), *expected, "{target} {headers:?}");
        }
        assert_eq!(found(&all[1..2], "/?at=d", &[header, cookie, protocol]), "nothing");
    }

    #[test]
    fn headers_that_may_come_in_parts_are_read_whole() {
        let cookie = [TokenPlace::Cookie("at".to_owned())];
        let parts = [("cookie", "x=1"), ("cookie", "at=c"), ("cookie", "y=2")];
        assert_eq!(found(&cookie, "/", &parts), "c");
        let twice = [("cookie", "at=c"), ("cookie", "at=d")];
        assert_eq!(found(&cookie, "/", &twice), "unusable");
        let protocol = [TokenPlace::WebSocketProtocol("bearer".to_owned())];
        let parts = [("sec-websocket-protocol", "bearer"), ("sec-websocket-protocol", "e, chat")];
        assert_eq!(found(&protocol, "/", &parts), "e");
    }
}
