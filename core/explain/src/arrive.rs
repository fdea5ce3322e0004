//! What an Envoy takes of a request before anybody decides.

use postern_request::ErrorCode;
use postern_request::normalize::{Normalization, Rejected, normalize};

use crate::envoy::{self, Incoming, Sent, Size};
use crate::step::{By, Stage, Verdict};
use crate::walk::{Stop, Walk};
use crate::{failure, readable};

impl Walk<'_, '_> {
    /// The request as those behind Envoy see it.
    pub(crate) fn arrive(&mut self, sent: Sent) -> Result<Incoming, Stop> {
        let is_edge = self.here.is_edge();
        let (headers, dropped) = envoy::headers(self.document, is_edge, &sent);
        let hops = envoy::hops(self.document, is_edge);
        let client = envoy::client(hops, &headers, sent.address);
        if let Some(client) = client {
            let text = match hops {
                0 => format!("{client}, of the connection"),
                hops => format!("{client}, behind {hops} trusted"),
            };
            self.push(Stage::Address, By::Envoy, Verdict::Passed, Vec::new(), text);
        }
        self.read(&sent)?;
        let target = self.normalize(&sent.target)?;
        self.count_headers(&target, &sent)?;
        self.check_upgrade(&sent)?;
        if !dropped.is_empty() {
            let text = format!("dropped: {}", dropped.join(", "));
            self.push(Stage::Headers, By::Envoy, Verdict::Passed, Vec::new(), text);
        }
        let Sent { method, scheme, authority, address, certificate, peer, .. } = sent;
        Ok(Incoming {
            method,
            scheme,
            authority,
            target,
            headers,
            address,
            client,
            certificate,
            peer,
        })
    }

    /// What Envoy makes of all but the path.
    fn read(&mut self, sent: &Sent) -> Result<(), Stop> {
        if let Some(why) = readable::unreadable(sent) {
            let denial = failure::of_envoy(ErrorCode::BadRequest);
            return Err(self.answer(Stage::Headers, 400, denial, Vec::new(), why));
        }
        if readable::is_connect(sent) {
            let denial = failure::of_envoy(ErrorCode::NotFound);
            let text = "no route takes CONNECT";
            return Err(self.answer(Stage::Route, 404, denial, Vec::new(), text));
        }
        if readable::is_of_http2(sent) {
            let text = format!("{} is taken with HTTP/2 alone; with HTTP/1 it is 400", sent.method);
            self.assumed(text);
        }
        Ok(())
    }

    /// Nothing is told to take upgrades; only proxies of Istio's are.
    fn check_upgrade(&mut self, sent: &Sent) -> Result<(), Stop> {
        let Some(to) = readable::upgrade(sent) else { return Ok(()) };
        if self.assume.policies.is_some() && to.eq_ignore_ascii_case("websocket") {
            self.assumed("proxies of Istio's take the upgrade to a WebSocket");
            return Ok(());
        }
        let denial = failure::of_envoy(ErrorCode::Forbidden);
        let text = "no upgrade is taken";
        Err(self.answer(Stage::Headers, 403, denial, Vec::new(), text))
    }

    fn normalize(&mut self, target: &str) -> Result<String, Stop> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let read_with = |dot_parameters| match query {
            // A `#` is no more allowed behind the `?` than before it.
            Some(query) if query.contains('#') => Err(Rejected::Fragment),
            Some(query) if query.bytes().any(|byte| byte <= 0x20 || byte >= 0x7f) => {
                Err(Rejected::Character)
            }
            _ => normalize(path, Normalization { dot_parameters, ..Normalization::ENVOY }),
        };
        let (read, later) = (read_with(false), read_with(true));
        if later != read {
            let text = match later {
                Ok(other) => format!("later ones read {other}"),
                Err(rejected) => format!("later ones refuse it: {rejected}"),
            };
            self.assumed(format!("an Envoy before CVE-2026-73551 was fixed; {text}"));
        }
        let read = match read {
            Ok(read) => read,
            Err(rejected) => {
                if rejected == Rejected::Fragment {
                    self.assumed("an Envoy of one's own; Istio's proxies cut off what follows #");
                }
                let (denial, text) =
                    (failure::of_envoy(ErrorCode::BadRequest), rejected.to_string());
                return Err(self.answer(Stage::Normalize, 400, denial, Vec::new(), text));
            }
        };
        let text =
            if read == path { format!("{read}, as sent") } else { format!("{path} → {read}") };
        self.push(Stage::Normalize, By::Envoy, Verdict::Passed, Vec::new(), text);
        Ok(match query {
            Some(query) => [&read, "?", query].concat(),
            None => read,
        })
    }

    fn count_headers(&mut self, target: &str, sent: &Sent) -> Result<(), Stop> {
        match envoy::size_of(target, &sent.headers) {
            Size::Fits => Ok(()),
            Size::Barely => {
                self.assumed("so many headers are taken with HTTP/1 alone");
                Ok(())
            }
            Size::TooLarge => {
                let denial = failure::of_envoy(ErrorCode::PayloadTooLarge);
                let text =
                    "more than 100 headers with those that Envoy adds, or than 60 KiB of them";
                Err(self.answer(Stage::Headers, 431, denial, Vec::new(), text))
            }
        }
    }
}
