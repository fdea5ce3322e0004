//! Clients: listed, registered, changed, deleted.

use postern_oauth::{AuthMethod, GrantType, Secret};
use postern_request::UnixMillis;
use postern_revocation::RevocationKind;
use postern_store::durable::{ClientKind, ClientRecord, PageAsk, Paged};

use super::{Operators, REMEMBER_SECS};
use crate::admin::client_edit::judge;
use crate::admin::{Actor, ClientEdit, grants_left_out, scopes_never_granted};
use crate::{IdentityError, audit, random};

/// A client after it was registered or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientWithSecret {
    /// What is stored.
    pub record: ClientRecord,
    /// The secret, where one was made: only a hash of it is stored.
    pub secret: Option<Secret>,
}

impl Operators {
    /// A part of the list of clients.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn clients(&self, ask: PageAsk) -> Result<Paged<ClientRecord>, IdentityError> {
        Ok(self.store.page_clients(ask).await?)
    }

    /// The client with this id.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the store.
    pub async fn client(&self, client_id: &str) -> Result<ClientRecord, IdentityError> {
        self.store.find_client(client_id).await?.ok_or(IdentityError::NotFound("client"))
    }

    /// Registers a client. Where nothing is said of its grants, a confidential one speaks for
    /// itself, and a public one gets codes and refresh tokens.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`] and those of the store.
    pub async fn create_client(
        &self,
        kind: ClientKind,
        mut edit: ClientEdit,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<ClientWithSecret, IdentityError> {
        if edit.grant_types.is_none() {
            edit.grant_types = Some(match kind {
                ClientKind::Confidential => vec![GrantType::ClientCredentials],
                ClientKind::Public => {
                    vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
                }
            });
        }
        let mut record = ClientRecord::new(random::uuid()?, String::new(), kind, now);
        self.judge_reach(&edit)?;
        edit.apply(&mut record);
        judge(&record)?;
        let secret = renew_secret(&mut record)?;
        self.store.insert_client(record.clone()).await?;
        let grants = record.grant_types.join(" ");
        let detail = [("type", kind.as_str()), ("grants", grants.as_str())];
        self.write_down("client.created", &record.client_id, &detail, by, now).await?;
        Ok(ClientWithSecret { record, secret })
    }

    /// Changes a client. One that is switched off loses the tokens that it has; one that is to
    /// prove who it is by a secret, and has none, gets one.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`] and those of the stores.
    pub async fn change_client(
        &self,
        client_id: &str,
        edit: ClientEdit,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<ClientWithSecret, IdentityError> {
        let mut record = self.client(client_id).await?;
        // Also of one that is off: a call that broke off before the tokens ended is made again.
        let is_switched_off = edit.is_active == Some(false);
        self.judge_reach(&edit)?;
        let changed = edit.apply(&mut record);
        // What could not be made today can be switched off all the same.
        if !(is_switched_off && changed.iter().all(|name| *name == "isActive")) {
            judge(&record)?;
        }
        // Asked for before anything is changed.
        let issuer = if is_switched_off { Some(self.issuer()?) } else { None };
        if changed.is_empty() {
            if let Some(issuer) = issuer {
                self.end_tokens_of(issuer, client_id, now).await?;
            }
            return Ok(ClientWithSecret { record, secret: None });
        }
        let has_secret = record.secret_sha256.is_some();
        let secret = match (by_secret(&record), has_secret) {
            (true, false) => renew_secret(&mut record)?,
            (true, true) => None,
            (false, _) => {
                record.secret_sha256 = None;
                None
            }
        };
        let changed = changed.join(" ");
        self.keep_client(&mut record, &changed, by, now).await?;
        if let Some(issuer) = issuer {
            self.end_tokens_of(issuer, client_id, now).await?;
        }
        Ok(ClientWithSecret { record, secret })
    }

    /// Gives a client another secret; the one before is not good any more. Its tokens go on.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`] where it has no secret, and those
    /// of the store.
    pub async fn rotate_client_secret(
        &self,
        client_id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<Secret, IdentityError> {
        let mut record = self.client(client_id).await?;
        let Some(secret) = renew_secret(&mut record)? else {
            let reason = "this client does not prove who it is by a secret";
            return Err(IdentityError::invalid("authentication method", reason));
        };
        self.keep_client(&mut record, "secret", by, now).await?;
        Ok(secret)
    }

    /// Deletes a client, everybody's consents to it, and the tokens that it has. Its refresh
    /// tokens are good for nothing: nobody can prove to be it.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the stores.
    pub async fn delete_client(
        &self,
        client_id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        let issuer = self.issuer()?;
        let entry = audit::entry(now, by.as_str(), "client.deleted", client_id, &[]);
        let was_there = self.store.delete_client(client_id, &entry).await?;
        // Also where it was gone: a command that broke off in between is called again.
        self.end_tokens_of(issuer, client_id, now).await?;
        if was_there { Ok(()) } else { Err(IdentityError::NotFound("client")) }
    }

    /// Keeps a record that was read and changed, unless somebody else has changed it meanwhile:
    /// their change would be undone, be it another secret.
    async fn keep_client(
        &self,
        record: &mut ClientRecord,
        changed: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        let from = record.updated_at;
        // No two changes have one moment.
        record.updated_at = now.max(UnixMillis(from.0.saturating_add(1)));
        let id = record.client_id.as_str();
        let detail = [("changed", changed)];
        let entry = audit::entry(now, by.as_str(), "client.changed", id, &detail);
        if self.store.change_client(record.clone(), from, &entry).await? {
            return Ok(());
        }
        self.client(id).await?;
        let reason = "somebody else has changed it this moment: look at it again";
        Err(IdentityError::invalid("client", reason))
    }

    async fn end_tokens_of(
        &self,
        issuer: &str,
        client_id: &str,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        const WHY: &str = "client_ended";
        self.revoke(RevocationKind::Client, issuer, client_id, REMEMBER_SECS, WHY, now).await
    }

    /// Where a document is at hand: scopes and grants that it does not know would never be
    /// granted.
    fn judge_reach(&self, edit: &ClientEdit) -> Result<(), IdentityError> {
        let Some(document) = &self.document else { return Ok(()) };
        let document = document.load();
        let unknown = edit.scopes.as_ref().map(|scopes| scopes_never_granted(&document, scopes));
        if let Some(scope) = unknown.unwrap_or_default().first() {
            let reason = format!("`oauth.scopes` of the document says nothing of `{scope}`");
            return Err(IdentityError::invalid("scopes", reason));
        }
        let grants = edit.grant_types.as_deref().unwrap_or_default();
        if let Some(grant) = grants_left_out(&document, grants).first() {
            let reason =
                format!("the document lets nobody have tokens by `{grant}` (`oauth.grants`)");
            return Err(IdentityError::invalid("grant types", reason));
        }
        Ok(())
    }

    fn issuer(&self) -> Result<&str, IdentityError> {
        const WHY: &str = "there is no issuer whose tokens could end: name the document";
        self.issuer.as_deref().ok_or(IdentityError::NotHere(WHY))
    }
}

fn by_secret(record: &ClientRecord) -> bool {
    let method = AuthMethod::parse(&record.auth_method);
    matches!(method, Some(AuthMethod::Basic | AuthMethod::Post))
}

/// Another secret, where the client proves who it is by one.
fn renew_secret(record: &mut ClientRecord) -> Result<Option<Secret>, IdentityError> {
    if !by_secret(record) {
        return Ok(None);
    }
    let secret = random::secret()?;
    record.secret_sha256 = Some(random::sha256(secret.expose().as_bytes()));
    Ok(Some(secret))
}
