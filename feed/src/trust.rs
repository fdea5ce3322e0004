//! Who an exchange comes from. Nothing that a client can write into a request is believed,
//! unless the settings say who else wrote it.
//!
//! In this order: the certificate of the TLS connection; a feed credential; what our own proxy
//! forwarded, where that is set; and, with nothing set at all, this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::peer::{PeerIdentity, certificate, forwarded};

/// Whose word `x-forwarded-client-cert` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedClientCert {
    /// Anybody's: it is not looked at.
    #[default]
    Ignored,
    /// That of the sidecar beside this server, which has ended the mesh's mutual TLS: believed
    /// on connections from this machine.
    FromLocalProxy,
    /// Believed on every connection: only where nobody but the mesh can reach the port.
    FromAnyone,
}

impl ForwardedClientCert {
    fn is_believed(self, remote: Option<IpAddr>) -> bool {
        match self {
            Self::Ignored => false,
            Self::FromLocalProxy => remote.is_some_and(is_local_proxy),
            Self::FromAnyone => true,
        }
    }
}

/// A credential for Envoys that have no certificate: 256 random bits, known here by their hash.
#[derive(Clone, PartialEq, Eq)]
pub struct FeedCredential {
    /// What its holder is called.
    pub name: String,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
}

/// Whom to believe now: with another document that may be others.
pub type CurrentTrust = Arc<dyn Fn() -> Arc<Trust> + Send + Sync>;

/// Whom to believe.
#[derive(Clone, Default)]
pub struct Trust {
    forwarded: ForwardedClientCert,
    credentials: Vec<FeedCredential>,
}

/// What an exchange brings along.
#[derive(Clone, Copy, Default)]
pub struct Arrival<'a> {
    /// The connection's other end.
    pub remote: Option<IpAddr>,
    /// Its certificate in DER, checked when the connection was made.
    pub certificate: Option<&'a [u8]>,
    /// The last `x-forwarded-client-cert`.
    pub forwarded: Option<&'a [u8]>,
    /// `x-postern-feed-credential`
    pub credential: Option<&'a [u8]>,
}

/// Why nobody knows who asks: the asker's fault, or that of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// A certificate without a SPIFFE id.
    #[error("the client's certificate has no SPIFFE id")]
    Certificate,
    /// A credential that is not one of ours.
    #[error("the feed credential is not known")]
    Credential,
    /// A forwarded certificate without a SPIFFE id.
    #[error("the forwarded client certificate has no SPIFFE id")]
    Forwarded,
    /// Nothing that is believed.
    #[error("the client has not proved who it is")]
    Nothing,
}

impl Trust {
    /// Believes forwarded certificates as said, and these credentials. With neither, it believes
    /// this machine.
    #[must_use]
    pub const fn new(forwarded: ForwardedClientCert, credentials: Vec<FeedCredential>) -> Self {
        Self { forwarded, credentials }
    }

    /// The same at any time.
    #[must_use]
    pub fn always(self) -> CurrentTrust {
        let trust = Arc::new(self);
        Arc::new(move || Arc::clone(&trust))
    }

    /// Who it is.
    ///
    /// # Errors
    /// When it is nobody known. What is shown and wrong is refused, never passed over for
    /// something weaker.
    pub fn identify(&self, arrival: &Arrival<'_>) -> Result<PeerIdentity, Unidentified> {
        if let Some(der) = arrival.certificate {
            return spiffe(certificate::spiffe_id(der), Unidentified::Certificate);
        }
        if let Some(credential) = arrival.credential {
            return self.holder_of(credential).ok_or(Unidentified::Credential);
        }
        if self.forwarded.is_believed(arrival.remote)
            && let Some(header) = arrival.forwarded
        {
            return spiffe(forwarded::spiffe_id(header), Unidentified::Forwarded);
        }
        let nothing_set =
            self.forwarded == ForwardedClientCert::Ignored && self.credentials.is_empty();
        // What a proxy forwarded came from elsewhere, whatever the connection says.
        let direct = arrival.forwarded.is_none() && arrival.remote.is_some_and(is_this_machine);
        if nothing_set && direct {
            return Ok(PeerIdentity::Loopback);
        }
        Err(Unidentified::Nothing)
    }

    /// All are compared, so that the time taken tells nothing.
    fn holder_of(&self, credential: &[u8]) -> Option<PeerIdentity> {
        let digest: [u8; 32] = Sha256::digest(credential).into();
        let mut holder = None;
        for known in &self.credentials {
            if bool::from(known.sha256.as_slice().ct_eq(digest.as_slice())) {
                holder = Some(PeerIdentity::Credential(known.name.clone()));
            }
        }
        holder
    }
}

fn spiffe(id: Option<String>, otherwise: Unidentified) -> Result<PeerIdentity, Unidentified> {
    id.map(PeerIdentity::Spiffe).ok_or(otherwise)
}

/// Not all of 127.0.0.0/8: an Istio sidecar connects from 127.0.0.6 on behalf of callers from
/// anywhere.
fn is_this_machine(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address == Ipv4Addr::LOCALHOST,
        IpAddr::V6(address) => address == Ipv6Addr::LOCALHOST,
    }
}

/// A sidecar: from this machine, or from the addresses by which Istio's mark what they pass on.
fn is_local_proxy(address: IpAddr) -> bool {
    /// Istio's inbound passthrough address.
    const ISTIO_V6: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6);
    let address = address.to_canonical();
    address.is_loopback() || address == IpAddr::V6(ISTIO_V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORWARDED: &[u8] = b"By=spiffe://mesh/server;URI=spiffe://mesh/payments";

    fn from(address: &str) -> Arrival<'static> {
        Arrival { remote: Some(address.parse().unwrap()), ..Arrival::default() }
    }

    fn credential(name: &str, secret: &str) -> FeedCredential {
        FeedCredential { name: name.to_owned(), sha256: Sha256::digest(secret).into() }
    }

    #[test]
    fn with_nothing_set_only_this_machine_is_believed() {
        let trust = Trust::default();
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(trust.identify(&from(address)), Ok(PeerIdentity::Loopback), "{address}");
        }
        for address in ["127.0.0.6", "::6", "10.0.0.1", "2001:db8::1"] {
            let found = trust.identify(&from(address));
            assert_eq!(found, Err(Unidentified::Nothing), "{address}");
        }
        assert_eq!(trust.identify(&Arrival::default()), Err(Unidentified::Nothing));
        let forwarded = Arrival { forwarded: Some(FORWARDED), ..from("127.0.0.1") };
        assert_eq!(trust.identify(&forwarded), Err(Unidentified::Nothing));
    }

    #[test]
    fn a_forwarded_certificate_is_believed_where_it_is_set() {
        let payments = || Ok(PeerIdentity::Spiffe("spiffe://mesh/payments".to_owned()));
        let local = Trust::new(ForwardedClientCert::FromLocalProxy, Vec::new());
        let anyone = Trust::new(ForwardedClientCert::FromAnyone, Vec::new());
        for (trust, address, expected) in [
            (&local, "127.0.0.6", payments()),
            (&local, "127.0.0.1", payments()),
            (&local, "::6", payments()),
            (&local, "10.0.0.1", Err(Unidentified::Nothing)),
            (&anyone, "10.0.0.1", payments()),
        ] {
            let arrival = Arrival { forwarded: Some(FORWARDED), ..from(address) };
            assert_eq!(trust.identify(&arrival), expected, "{address}");
        }
        let without = Arrival { forwarded: Some(b"Hash=1"), ..from("127.0.0.6") };
        assert_eq!(local.identify(&without), Err(Unidentified::Forwarded));
        let nothing = local.identify(&from("127.0.0.1"));
        assert_eq!(nothing, Err(Unidentified::Nothing), "something is set, so it is wanted");
    }

    #[test]
    fn credentials_name_their_holders() {
        let credentials = vec![credential("edge", "one"), credential("shop", "two")];
        let trust = Trust::new(ForwardedClientCert::Ignored, credentials);
        let with = |secret: &'static [u8]| Arrival { credential: Some(secret), ..from("10.0.0.1") };
        for (secret, expected) in [
            (&b"one"[..], Ok(PeerIdentity::Credential("edge".to_owned()))),
            (&b"two"[..], Ok(PeerIdentity::Credential("shop".to_owned()))),
            (&b""[..], Err(Unidentified::Credential)),
            (&b"ONE"[..], Err(Unidentified::Credential)),
        ] {
            assert_eq!(trust.identify(&with(secret)), expected);
        }
        assert_eq!(trust.identify(&from("127.0.0.1")), Err(Unidentified::Nothing));
    }

    #[test]
    fn what_is_wrong_is_not_passed_over() {
        let trust = Trust::default();
        let wrong = Arrival { credential: Some(b"guess"), ..from("127.0.0.1") };
        assert_eq!(trust.identify(&wrong), Err(Unidentified::Credential));
        let wrong = Arrival { certificate: Some(b"no certificate"), ..from("127.0.0.1") };
        assert_eq!(trust.identify(&wrong), Err(Unidentified::Certificate));
    }
}
