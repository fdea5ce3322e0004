//! A device begins (RFC 8628 §3.1, §3.2).

use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_request::json;

use super::{DeviceStage, DeviceState, UserCode, VERIFICATION_PATH};
use crate::authorize::scopes_of_client;
use crate::token::check_grant;
use crate::{
    Client, ClientAuthentication, Form, GrantType, OAuthError, ScopeSet, Secret, ServerRules,
    ShownCertificate, resource,
};

/// A request of the device authorization endpoint. The caller fetches the client and finds out
/// whether it is the one that it says it is, as at the token endpoint (§3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Who the client says it is.
    pub client: ClientAuthentication,
    /// `scope`; none asks for what the client may do.
    pub scope: Option<ScopeSet>,
    /// Where tokens shall be usable (RFC 8707).
    pub resources: Vec<String>,
}

impl DeviceRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(
        authorization: Single<'_>,
        content_type: Single<'_>,
        body: &[u8],
        certificate: Option<&ShownCertificate>,
    ) -> Result<Self, OAuthError> {
        let form = Form::read(content_type, body)?;
        let client = ClientAuthentication::parse(authorization, &form, certificate)?;
        let scope = form.get("scope").map(ScopeSet::parse).transpose();
        Ok(Self {
            client,
            scope: scope.map_err(|_| OAuthError::invalid_scope("A scope is malformed"))?,
            resources: resource::parse(form.all("resource"))?,
        })
    }

    /// Decides, for a client that has proven who it is: what is kept until its user answers.
    ///
    /// # Errors
    /// Why it gets no codes.
    pub fn decide(
        &self,
        client: &Client,
        server: &ServerRules,
        now: UnixMillis,
    ) -> Result<DeviceState, OAuthError> {
        check_grant(client, server, GrantType::DeviceCode)?;
        let scopes = scopes_of_client(self.scope.as_ref(), client)?;
        server.check_resources(client, &self.resources)?;
        let lives_ms = server.device.secs.saturating_mul(1000);
        Ok(DeviceState {
            client_id: client.client_id.clone(),
            scopes,
            resources: self.resources.clone(),
            expires_at: UnixMillis(now.0.saturating_add(lives_ms)),
            interval_secs: server.device.interval_secs,
            polled_at: None,
            stage: DeviceStage::Pending,
        })
    }
}

/// The answer to it (§3.2).
#[derive(Debug, Clone, Copy)]
pub struct DeviceAnswer<'a> {
    /// What the device asks with.
    pub device_code: &'a Secret,
    /// What its user types in.
    pub user_code: &'a UserCode,
    /// The server, whose pages ask.
    pub server: &'a ServerRules,
}

impl DeviceAnswer<'_> {
    /// As JSON.
    #[must_use]
    pub fn body(&self) -> String {
        let code = self.user_code.to_text();
        let page = [self.server.base(), VERIFICATION_PATH].concat();
        // Letters and a dash: nothing of it needs an escape.
        let whole = [page.as_str(), "?user_code=", &code].concat();
        let mut body = String::with_capacity(384);
        let texts = [
            ("{\"device_code\":", self.device_code.expose()),
            (",\"user_code\":", code.as_str()),
            (",\"verification_uri\":", page.as_str()),
            (",\"verification_uri_complete\":", whole.as_str()),
        ];
        for (name, text) in texts {
            body.push_str(name);
            json::write_string(&mut body, text);
        }
        for (name, secs) in [
            (",\"expires_in\":", self.server.device.secs),
            (",\"interval\":", self.server.device.interval_secs),
        ] {
            body.push_str(name);
            body.push_str(&secs.to_string());
        }
        body.push('}');
        body
    }
}
