//! What is in a backup: every table and every column. A test compares this list with what the
//! databases say of themselves.

use super::cell::{Cell, Row};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `TEXT`
    Text,
    /// `BIGINT`
    Integer,
    /// `BOOLEAN`
    Boolean,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// How many of them, from the first on, are its primary key.
    pub key: usize,
    /// Whether it has one row from its first day on, with the number given out last.
    pub counter: bool,
}

/// What is in no backup: what became of migrations, which the restored database has of its own,
/// and the identity of the list of revocations, which is made anew, because numbers are given out
/// again that servers and Envoys have seen.
pub const NOT_KEPT: &[&str] = &["schema_migrations", "feed_identity"];

/// The audit log, whose chain is checked.
pub(super) const AUDIT_LOG: &str = "audit_log";
/// Where it ends.
pub(super) const AUDIT_HEAD: &str = "audit_head";

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}

const fn integer(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer }
}

const fn boolean(name: &'static str) -> Column {
    Column { name, kind: Kind::Boolean }
}

/// A table whose key is its first column.
const fn table(name: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, key: 1, counter: false }
}

/// Every table; one that others refer to stands before them.
pub const TABLES: &[Table] = &[
    table("oauth2_clients", CLIENTS),
    table(SIGNING, SIGNING_KEYS),
    table("api_keys", API_KEYS),
    table("users", USERS),
    Table { key: 2, ..table("user_identities", USER_IDENTITIES) },
    table("mfa_factors", FACTORS),
    Table { key: 2, ..table("consents", CONSENTS) },
    table("refresh_families", FAMILIES),
    table("revocations", REVOCATIONS),
    Table { counter: true, ..table("revocation_counter", REVOCATION_COUNTER) },
    table("config_revisions", CONFIG_REVISIONS),
    Table { key: 2, ..table("service_registry", SERVICE_REGISTRY) },
    table(AUDIT_LOG, AUDIT_ENTRIES),
    Table { counter: true, ..table(AUDIT_HEAD, AUDIT_HEADS) },
];

/// Keys, whose private halves are sealed.
pub(super) const SIGNING: &str = "signing_keys";

const SIGNING_KEYS: &[Column] = &[
    text("kid"),
    text("algorithm"),
    text("public_jwk"),
    text("private_sealed"),
    integer("created_at"),
    integer("activates_at"),
    integer("retires_at"),
];

const USER_IDENTITIES: &[Column] =
    &[text("provider"), text("subject"), text("user_id"), integer("linked_at")];

const FACTORS: &[Column] = &[
    text("id"),
    text("user_id"),
    text("kind"),
    text("name"),
    text("sealed"),
    text("credential_id"),
    integer("last_step"),
    integer("confirmed_at"),
    integer("created_at"),
    integer("last_used_at"),
];

const CONSENTS: &[Column] =
    &[text("user_id"), text("client_id"), text("scopes"), text("resources"), integer("granted_at")];

const FAMILIES: &[Column] = &[
    text("id"),
    text("user_id"),
    text("client_id"),
    text("session_id"),
    text("scopes"),
    integer("created_at"),
    integer("ends_at"),
    integer("ended_at"),
    text("end_reason"),
];

const REVOCATIONS: &[Column] = &[
    integer("seq"),
    text("kind"),
    text("issuer"),
    text("value"),
    integer("issued_before"),
    integer("expires_at"),
    integer("created_at"),
    text("reason"),
];

const CONFIG_REVISIONS: &[Column] = &[
    integer("number"),
    text("document"),
    text("digest"),
    text("who"),
    integer("created_at"),
    text("why"),
    boolean("active"),
];

const REVOCATION_COUNTER: &[Column] = &[integer("id"), integer("last_seq")];

const SERVICE_REGISTRY: &[Column] = &[
    text("service"),
    text("instance"),
    text("host"),
    integer("port"),
    text("protocol"),
    text("base_path"),
    text("health_path"),
    integer("interval_ms"),
    integer("timeout_ms"),
    integer("retries"),
    integer("weight"),
    integer("max_connections"),
    integer("failure_threshold"),
    integer("recovery_ms"),
    integer("ttl_ms"),
    text("health"),
    integer("consecutive_failures"),
    integer("average_ms"),
    text("version"),
    text("environment"),
    text("region"),
    text("zone"),
    integer("created_at"),
    integer("updated_at"),
];

const AUDIT_ENTRIES: &[Column] = &[
    integer("seq"),
    integer("at"),
    text("actor"),
    text("action"),
    text("target"),
    text("detail"),
    text("previous"),
    text("hash"),
];

const AUDIT_HEADS: &[Column] = &[integer("id"), integer("last_seq"), text("hash")];

const CLIENTS: &[Column] = &[
    text("client_id"),
    text("secret_hash"),
    text("name"),
    text("type"),
    text("grant_types"),
    text("scopes"),
    integer("access_token_lifetime_secs"),
    boolean("is_active"),
    integer("created_at"),
    text("response_types"),
    text("redirect_uris"),
    text("post_logout_redirect_uris"),
    boolean("require_pkce"),
    boolean("require_consent"),
    boolean("require_par"),
    boolean("bind_dpop"),
    integer("refresh_token_lifetime_secs"),
    text("rate_limit_policy"),
    text("auth_method"),
    text("jwks"),
    text("jwks_uri"),
    text("tls_subject"),
    text("resources"),
    boolean("may_introspect"),
    text("may_act_for"),
    text("id_token_alg"),
    text("logo_uri"),
    text("client_uri"),
    text("policy_uri"),
    text("origin"),
    integer("expires_unused_at"),
    integer("updated_at"),
    text("may_introspect_for"),
];

const API_KEYS: &[Column] = &[
    text("id"),
    text("key_hash"),
    text("subject"),
    text("client_id"),
    text("scopes"),
    text("tier"),
    integer("expires_at"),
    integer("created_at"),
    integer("revoked_at"),
    text("name"),
    text("successor"),
    text("limits"),
    integer("last_used_at"),
    integer("request_count"),
];

const USERS: &[Column] = &[
    text("id"),
    text("email"),
    text("email_key"),
    text("role"),
    text("tier"),
    boolean("is_active"),
    text("first_name"),
    text("last_name"),
    text("photo"),
    text("department"),
    text("password_hash"),
    boolean("must_change_password"),
    integer("created_at"),
    integer("updated_at"),
];

/// Rows that are read at a time.
pub(super) const PAGE: usize = 500;

impl Table {
    fn names(&self, columns: &[Column]) -> String {
        columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    fn key_columns(&self) -> &'static [Column] {
        self.columns.get(..self.key).unwrap_or(self.columns)
    }

    /// Reads a page in the order of the key: the first one, or the one after a row. Every word of
    /// it stands in this file.
    pub(super) fn select(&self, after: bool) -> String {
        let (name, columns) = (self.name, self.names(self.columns));
        let key = self.names(self.key_columns());
        let bound: Vec<String> = (1..=self.key).map(|at| format!("${at}")).collect();
        let after = match after {
            true => format!(" WHERE ({key}) > ({})", bound.join(", ")),
            false => String::new(),
        };
        format!("SELECT {columns} FROM {name}{after} ORDER BY {key} LIMIT {PAGE}")
    }

    /// The key of a row.
    pub(super) fn key_of(&self, row: Option<&Row>) -> Vec<Cell> {
        row.map(|row| row.iter().take(self.key).cloned().collect()).unwrap_or_default()
    }

    /// Inserts so many rows at once.
    pub(super) fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |at: usize| {
            let bound = (1..=width).map(|column| format!("${}", at * width + column));
            format!("({})", bound.collect::<Vec<_>>().join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        let columns = self.names(self.columns);
        format!("INSERT INTO {} ({columns}) VALUES {}", self.name, rows.join(", "))
    }

    /// Counts what would be overwritten.
    pub(super) fn occupied(&self) -> String {
        let given_out = if self.counter { " WHERE last_seq <> 0" } else { "" };
        format!("SELECT COUNT(*) FROM {}{given_out}", self.name)
    }

    /// Takes the one row away that a counter begins with.
    pub(super) fn clear(&self) -> Option<String> {
        self.counter.then(|| format!("DELETE FROM {}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> &'static Table {
        TABLES.iter().find(|table| table.name == name).unwrap()
    }

    #[test]
    fn statements_name_every_column_and_bind_every_value() {
        let consents = find("consents");
        assert_eq!(
            consents.select(true),
            "SELECT user_id, client_id, scopes, resources, granted_at FROM consents \
             WHERE (user_id, client_id) > ($1, $2) ORDER BY user_id, client_id LIMIT 500"
        );
        let head = find(AUDIT_HEAD);
        assert_eq!(
            head.insert(2),
            "INSERT INTO audit_head (id, last_seq, hash) VALUES ($1, $2, $3), ($4, $5, $6)"
        );
        assert_eq!(head.clear().as_deref(), Some("DELETE FROM audit_head"));
        assert_eq!(consents.clear(), None);
        assert!(head.occupied().ends_with("last_seq <> 0"), "{}", head.occupied());
    }

    #[test]
    fn no_table_stands_before_one_that_it_refers_to() {
        let place = |name: &str| TABLES.iter().position(|table| table.name == name).unwrap();
        for (child, parent) in [
            ("user_identities", "users"),
            ("mfa_factors", "users"),
            ("consents", "oauth2_clients"),
            // By what is checked when the head comes.
            (AUDIT_HEAD, AUDIT_LOG),
        ] {
            assert!(place(parent) < place(child), "{child}");
        }
    }
}
