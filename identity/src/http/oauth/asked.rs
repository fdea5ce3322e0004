//! What a request brings besides its body: a certificate, where certificates are seen, and where
//! it comes from.

use std::net::IpAddr;

use axum::http::HeaderMap;
use postern_jose::xfcc;
use postern_oauth::{OAuthError, ShownCertificate};

use super::token;
use crate::TokenCall;
use crate::http::caller;
use crate::http::reply::single;
use crate::http::router::Identity;

/// Read out of a request's headers.
pub(super) struct Asked {
    pub(super) certificate: Option<ShownCertificate>,
    address: Option<IpAddr>,
}

impl Asked {
    /// The header that tells of a certificate is believed only where the document says that
    /// somebody writes it who may (`oauth.mutual_tls`): Envoy itself, which drops what comes from
    /// outside, or a proxy in front. Everywhere else it is anybody's word.
    ///
    /// # Errors
    /// `invalid_request` for a certificate that cannot be read: it may be there to bind a token.
    pub(super) fn of(identity: &Identity, headers: &HeaderMap) -> Result<Self, OAuthError> {
        let rules = identity.oauth.rules();
        let certificate = if rules.server.mutual_tls {
            let read = ShownCertificate::read(single(headers, xfcc::HEADER));
            read.map_err(|error| {
                tracing::warn!(%error, "a client's certificate cannot be read");
                OAuthError::invalid_request("The client certificate cannot be read")
            })?
        } else {
            None
        };
        let address = caller::address(headers, rules.trusted_proxies);
        Ok(Self { certificate, address })
    }

    /// The request of an endpoint that takes a form.
    pub(super) fn call<'a>(&'a self, headers: &'a HeaderMap, body: &'a [u8]) -> TokenCall<'a> {
        TokenCall {
            certificate: self.certificate.as_ref(),
            address: self.address,
            ..token::call(headers, body)
        }
    }
}
