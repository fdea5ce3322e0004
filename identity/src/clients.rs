//! Client records in the protocol's terms.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_jose::Algorithm;
use postern_oauth::{AuthMethod, Client, ClientKind, GrantType, ScopeSet, Secret};
use postern_store::StoreError;
use postern_store::durable::{self, ClientRecord};

use crate::random;

/// The client of a record. Grant types that this build does not know are left out: another
/// build may have written them.
pub(crate) fn client_of(record: &ClientRecord) -> Result<Client, StoreError> {
    let scopes = ScopeSet::from_names(record.scopes.iter().map(String::as_str))
        .map_err(|_| StoreError::Corrupt("scopes of a client".to_owned()))?;
    let (kind, auth_method) = match record.kind {
        durable::ClientKind::Public => (ClientKind::Public, AuthMethod::None),
        durable::ClientKind::Confidential => (ClientKind::Confidential, AuthMethod::Basic),
    };
    Ok(Client {
        client_id: record.client_id.clone(),
        kind,
        auth_method,
        grant_types: record.grant_types.iter().filter_map(|name| GrantType::parse(name)).collect(),
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        scopes,
        resources: Vec::new(),
        require_pkce: true,
        require_consent: true,
        require_par: false,
        bind_dpop: false,
        access_token_lifetime_secs: record.access_token_lifetime_secs,
        refresh_token_lifetime_secs: 0,
        id_token_alg: Algorithm::Rs256,
        may_introspect: false,
        may_act_for: Vec::new(),
        is_active: record.is_active,
    })
}

/// Whether the secret is the client's. What is not there is hashed and compared all the same,
/// so that an unknown client takes as long as a wrong secret.
pub(crate) fn secret_matches(record: Option<&ClientRecord>, presented: Option<&Secret>) -> bool {
    let kept = record.and_then(|record| record.secret_sha256);
    let hash = random::sha256(presented.map_or("", Secret::expose).as_bytes());
    let equal = verify_slices_are_equal(&hash.0, &kept.map_or([0; 32], |kept| kept.0)).is_ok();
    equal && kept.is_some() && presented.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_request::UnixMillis;

    fn record() -> ClientRecord {
        let (id, name) = ("web".to_owned(), "Web".to_owned());
        let kind = durable::ClientKind::Confidential;
        ClientRecord {
            secret_sha256: Some(random::sha256(b"s3cret")),
            grant_types: vec!["client_credentials".to_owned(), "urn:later".to_owned()],
            scopes: vec!["read".to_owned()],
            access_token_lifetime_secs: 60,
            ..ClientRecord::new(id, name, kind, UnixMillis(1))
        }
    }

    #[test]
    fn only_the_right_secret_of_a_client_that_has_one_matches() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let bare = ClientRecord { secret_sha256: None, ..record() };
        let of_empty = ClientRecord { secret_sha256: Some(random::sha256(b"")), ..record() };
        for (client, presented, expected) in [
            (Some(record()), Some(secret("s3cret")), true),
            (Some(record()), Some(secret("S3cret")), false),
            (Some(record()), None, false),
            (Some(bare), Some(secret("s3cret")), false),
            (Some(of_empty), None, false),
            (None, Some(secret("s3cret")), false),
            (None, None, false),
        ] {
            let matches = secret_matches(client.as_ref(), presented.as_ref());
            assert_eq!(matches, expected, "{client:?} {presented:?}");
        }
    }

    #[test]
    fn records_of_another_build_are_read_as_far_as_they_are_known() {
        let client = client_of(&record()).unwrap();
        assert_eq!(client.grant_types, [GrantType::ClientCredentials]);
        let damaged = ClientRecord { scopes: vec!["a\"b".to_owned()], ..record() };
        assert!(matches!(client_of(&damaged), Err(StoreError::Corrupt(_))));
    }
}
