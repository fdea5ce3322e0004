//! The table `oauth2_clients`.

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{AuditEntry, ClientKind, ClientOrigin, ClientRecord, PageAsk, Paged};

use crate::audit::audited;
use crate::column::{Columns, corrupt, write_hash, write_list, write_number, write_time};
use crate::database::{Database, on};
use crate::error::store_error;
use crate::page::{list, page};

/// Stands for every resource.
const ALL: &str = "*";

/// All but when it was registered, which does not change; `bind!` has them in this order.
macro_rules! columns {
    () => {
        "client_id, secret_hash, name, type, grant_types, response_types, redirect_uris, \
         post_logout_redirect_uris, scopes, require_pkce, require_consent, require_par, \
         bind_dpop, access_token_lifetime_secs, refresh_token_lifetime_secs, \
         rate_limit_policy, auth_method, jwks, jwks_uri, tls_subject, resources, \
         may_introspect_for, may_introspect, may_act_for, id_token_alg, logo_uri, client_uri, \
         policy_uri, is_active, origin, expires_unused_at, updated_at"
    };
}

macro_rules! values {
    () => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
         $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO oauth2_clients (",
    columns!(),
    ", created_at) VALUES (",
    values!(),
    ", $33) ON CONFLICT DO NOTHING"
);

/// The id is set to itself, so that the columns stand in one list.
const CHANGE: &str = concat!(
    "UPDATE oauth2_clients SET (",
    columns!(),
    ") = (",
    values!(),
    ") WHERE client_id = $1 AND updated_at = $33"
);

/// A statement with a client's columns but for its last value, of either database.
macro_rules! bind {
    ($statement:expr, $client:expr) => {{
        let client: ClientRecord = $client;
        sqlx::query($statement)
            .bind(client.client_id)
            .bind(client.secret_sha256.as_ref().map(write_hash))
            .bind(client.name)
            .bind(client.kind.as_str())
            .bind(client.grant_types.join(" "))
            .bind(client.response_types.join(" "))
            .bind(write_list(&client.redirect_uris))
            .bind(write_list(&client.post_logout_redirect_uris))
            .bind(client.scopes.join(" "))
            .bind(client.require_pkce)
            .bind(client.require_consent)
            .bind(client.require_par)
            .bind(client.bind_dpop)
            .bind(write_number(client.access_token_lifetime_secs))
            .bind(write_number(client.refresh_token_lifetime_secs))
            .bind(client.rate_limit_policy)
            .bind(client.auth_method)
            .bind(client.jwks)
            .bind(client.jwks_uri)
            .bind(client.tls_subject)
            .bind(write_list(&client.resources))
            .bind(write_list(&client.may_introspect))
            // For servers that know all or nothing.
            .bind(client.may_introspect.iter().any(|resource| resource == ALL))
            .bind(client.may_act_for.join(" "))
            .bind(client.id_token_alg)
            .bind(client.logo_uri)
            .bind(client.client_uri)
            .bind(client.policy_uri)
            .bind(client.is_active)
            .bind(client.origin.as_str())
            .bind(client.origin.expires_unused_at().map(write_time))
            .bind(write_time(client.updated_at))
    }};
}

pub(crate) async fn insert(database: &Database, client: ClientRecord) -> Result<(), StoreError> {
    let created_at = write_time(client.created_at);
    let rows = on!(database, pool => {
        let done = bind!(INSERT, client)
            .bind(created_at)
            .execute(pool)
            .await
            .map_err(store_error)?;
        done.rows_affected()
    });
    if rows == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

pub(crate) async fn find(
    database: &Database,
    client_id: &str,
) -> Result<Option<ClientRecord>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(concat!(
            "SELECT created_at, ",
            columns!(),
            " FROM oauth2_clients WHERE client_id = $1"
        ))
        .bind(client_id.to_owned())
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

pub(crate) async fn list(
    database: &Database,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<ClientRecord>, StoreError> {
    list!(database, after, limit, ["created_at, ", columns!()] of "oauth2_clients" by "client_id", read)
}

pub(crate) async fn page(
    database: &Database,
    ask: PageAsk,
) -> Result<Paged<ClientRecord>, StoreError> {
    page!(database, ask, ["created_at, ", columns!()] of "oauth2_clients" by "client_id", read)
}

pub(crate) async fn change(
    database: &Database,
    client: ClientRecord,
    from: UnixMillis,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let changed = audited!(database, entry, transaction => {
        let done = bind!(CHANGE, client)
            .bind(write_time(from))
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(changed)
}

/// Consents to it go with it, by the tables' own rule.
pub(crate) async fn delete(
    database: &Database,
    client_id: &str,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let deleted = audited!(database, entry, transaction => {
        let done = sqlx::query("DELETE FROM oauth2_clients WHERE client_id = $1")
            .bind(client_id.to_owned())
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(deleted)
}

pub(crate) async fn keep(
    database: &Database,
    client_id: &str,
    expires_unused_at: UnixMillis,
) -> Result<bool, StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(
            "UPDATE oauth2_clients SET expires_unused_at = \
             CASE WHEN expires_unused_at > $1 THEN expires_unused_at ELSE $1 END \
             WHERE client_id = $2 AND origin = $3",
        )
        .bind(write_time(expires_unused_at))
        .bind(client_id.to_owned())
        .bind(ClientOrigin::Registered { expires_unused_at }.as_str())
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    });
    Ok(rows > 0)
}

/// Operators' clients have no such end, and no comparison finds them.
pub(crate) async fn delete_unused(
    database: &Database,
    before: UnixMillis,
    limit: u32,
) -> Result<u64, StoreError> {
    Ok(on!(database, pool => {
        // The end is asked for twice: one that was used meanwhile has another.
        let done = sqlx::query(
            "DELETE FROM oauth2_clients WHERE expires_unused_at < $1 AND client_id IN \
             (SELECT client_id FROM oauth2_clients WHERE expires_unused_at < $1 \
             ORDER BY expires_unused_at LIMIT $2)",
        )
        .bind(write_time(before))
        .bind(i64::from(limit))
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    }))
}

fn read<R: Columns>(row: &R) -> Result<ClientRecord, StoreError> {
    let origin = ClientOrigin::parse(&row.text("origin")?, row.optional_time("expires_unused_at")?);
    let mut may_introspect = row.list("may_introspect_for")?;
    if !row.boolean("may_introspect")? {
        // A server that knows all or nothing may have taken it away.
        may_introspect.retain(|resource| resource != ALL);
    }
    Ok(ClientRecord {
        client_id: row.text("client_id")?,
        name: row.text("name")?,
        kind: ClientKind::parse(&row.text("type")?).ok_or_else(|| corrupt("type"))?,
        secret_sha256: row.optional_hash("secret_hash")?,
        grant_types: row.names("grant_types")?,
        response_types: row.names("response_types")?,
        redirect_uris: row.list("redirect_uris")?,
        post_logout_redirect_uris: row.list("post_logout_redirect_uris")?,
        scopes: row.names("scopes")?,
        require_pkce: row.boolean("require_pkce")?,
        require_consent: row.boolean("require_consent")?,
        require_par: row.boolean("require_par")?,
        bind_dpop: row.boolean("bind_dpop")?,
        access_token_lifetime_secs: row.number("access_token_lifetime_secs")?,
        refresh_token_lifetime_secs: row.number("refresh_token_lifetime_secs")?,
        rate_limit_policy: row.optional_text("rate_limit_policy")?,
        auth_method: row.text("auth_method")?,
        jwks: row.optional_text("jwks")?,
        jwks_uri: row.optional_text("jwks_uri")?,
        tls_subject: row.optional_text("tls_subject")?,
        resources: row.list("resources")?,
        may_introspect,
        may_act_for: row.names("may_act_for")?,
        id_token_alg: row.text("id_token_alg")?,
        logo_uri: row.optional_text("logo_uri")?,
        client_uri: row.optional_text("client_uri")?,
        policy_uri: row.optional_text("policy_uri")?,
        is_active: row.boolean("is_active")?,
        origin: origin.ok_or_else(|| corrupt("origin"))?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
