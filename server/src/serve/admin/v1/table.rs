//! What may be asked of `/admin/v1`: the one table from which the router and the specification are
//! made.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::MethodFilter;
use serde_json::{Value, json};

use super::audit::AFTER;
use super::call::Call;
use super::config::SINCE;
use super::query::LISTING;
use super::{
    Api, Handled, MAX_BODY_BYTES, api_keys, audit, circuits, clients, config, keys, services,
    sessions, tokens, users,
};
use crate::revisions::MAX_DOCUMENT_BYTES;

/// A method that something is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    /// For the router.
    pub const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    /// For the specification.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    /// Whether nothing is changed by it.
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get)
    }
}

/// What a request has to bring.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// Its schema.
    pub schema: &'static str,
    /// One that is taken.
    pub example: fn() -> Value,
}

/// What is answered where nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// One thing of this schema.
    One(&'static str),
    /// A part of a list of these, by pages.
    Page(&'static str),
    /// A part of a list of these, by sequence numbers.
    After(&'static str),
    /// The specification itself.
    Specification,
}

/// Something that may be asked.
pub struct Endpoint {
    pub method: Method,
    pub path: &'static str,
    /// Its name for programs.
    pub id: &'static str,
    /// What it is about.
    pub tag: &'static str,
    /// What it does, for people.
    pub summary: &'static str,
    pub body: Option<Body>,
    pub status: StatusCode,
    pub answer: Answer,
    /// Whether it refuses what could be read, for more than a field of its body.
    pub judges: bool,
    pub run: fn(Arc<Api>, Call) -> Handled,
}

impl Endpoint {
    /// Whether its body may be left out: it has members, and none that it needs.
    pub fn takes_no_body(&self) -> bool {
        matches!(self.id, "rotateSigningKey" | "rollBack")
    }

    /// How long its body may be, in bytes.
    pub fn max_body(&self) -> usize {
        // A text gets longer in JSON, and documents have comments.
        if self.id == "applyDocument" { 2 * MAX_DOCUMENT_BYTES } else { MAX_BODY_BYTES }
    }

    /// Names that its query may have.
    pub fn parameters(&self) -> &'static [&'static str] {
        match (self.id, self.answer) {
            ("compareRevisions", _) => SINCE,
            ("retireSigningKey", _) => &["yes"],
            ("listUsers", _) => &["page", "limit", "sort", "email"],
            ("listCircuits", _) => &["page", "limit"],
            (_, Answer::Page(_)) => LISTING,
            (_, Answer::After(_)) => AFTER,
            (_, Answer::One(_) | Answer::Specification) => &[],
        }
    }
}

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;

/// A row: method, path, id, tag, summary, status, answer, handler, and what else there is to say.
macro_rules! row {
    (
        $method:ident $path:literal $id:literal $tag:literal $summary:literal,
        $status:ident $answer:expr, $run:path $(, body $schema:literal $example:expr)?
        $(, judges $judges:literal)?
    ) => {
        Endpoint {
            method: Method::$method,
            path: $path,
            id: $id,
            tag: $tag,
            summary: $summary,
            body: row!(@body $($schema $example)?),
            status: $status,
            answer: $answer,
            judges: row!(@judges $($judges)?),
            run: |api, call| Box::pin($run(api, call)),
        }
    };
    (@body) => { None };
    (@body $schema:literal $example:expr) => {
        Some(Body { schema: $schema, example: || $example })
    };
    (@judges) => { false };
    (@judges $judges:literal) => { $judges };
}

use Answer::{After, One, Page, Specification};

/// All of it.
pub static ENDPOINTS: &[Endpoint] = &[
    row!(Get "/admin/v1/users" "listUsers" "users" "List users",
        OK Page("User"), users::list),
    row!(Post "/admin/v1/users" "createUser" "users" "Make a user",
    CREATED One("UserCreated"), users::create, body "NewUser" json!({
        "email": "ada@example.test",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "generatePassword": true,
        "mustChangePassword": true,
    })),
    row!(Get "/admin/v1/users/{id}" "showUser" "users" "Show a user",
        OK One("User"), users::show),
    row!(Patch "/admin/v1/users/{id}" "changeUser" "users" "Change a user",
        OK One("UserChanged"), users::change, body "UserChange" json!({"lastName": "King"})),
    row!(Delete "/admin/v1/users/{id}" "deactivateUser" "users"
        "Switch a user off, who is logged out everywhere; the record stays",
        OK One("User"), users::deactivate, judges true),
    row!(Get "/admin/v1/users/{id}/factors" "listFactors" "users" "List a user's second factors",
        OK Page("Factor"), users::factors),
    row!(Delete "/admin/v1/users/{id}/factors" "resetFactors" "users"
        "Take all second factors of a user away, who is logged out everywhere",
        OK One("Ended"), users::reset_factors),
    row!(Delete "/admin/v1/users/{id}/factors/{factor}" "removeFactor" "users"
        "Take one second factor of a user away, who is logged out everywhere",
        OK One("Ended"), users::remove_factor),
    row!(Get "/admin/v1/users/{id}/consents" "listConsents" "users"
        "List what a user lets clients do",
        OK Page("Consent"), users::consents),
    row!(Delete "/admin/v1/users/{id}/consents/{client}" "revokeConsent" "users"
        "Take back what a user lets a client do, and end what the client has by it",
        OK One("Ended"), users::revoke_consent),
    row!(Get "/admin/v1/users/{id}/sessions" "listSessions" "sessions" "List a user's sessions",
        OK Page("Session"), users::sessions),
    row!(Delete "/admin/v1/users/{id}/sessions" "endSessions" "sessions"
        "Log a user out everywhere",
        OK One("Ended"), users::end_sessions),
    row!(Get "/admin/v1/sessions/{id}" "showSession" "sessions" "Show a session",
        OK One("Session"), sessions::show),
    row!(Delete "/admin/v1/sessions/{id}" "endSession" "sessions"
        "End a session; its tokens are revoked even where it is not known any more",
        OK One("Ended"), sessions::end),
    row!(Get "/admin/v1/clients" "listClients" "clients" "List OAuth clients",
        OK Page("Client"), clients::list),
    row!(Post "/admin/v1/clients" "createClient" "clients" "Register an OAuth client",
    CREATED One("ClientCreated"), clients::create, body "NewClient" json!({
        "name": "Nightly billing",
        "scopes": ["payments.read"],
    })),
    row!(Get "/admin/v1/clients/{id}" "showClient" "clients" "Show a client",
        OK One("Client"), clients::show),
    row!(Patch "/admin/v1/clients/{id}" "changeClient" "clients" "Change a client",
    OK One("ClientChanged"), clients::change, body "ClientChange" json!({
        "accessTokenLifetime": 600,
    })),
    row!(Delete "/admin/v1/clients/{id}" "deleteClient" "clients"
        "Delete a client, everybody's consents to it, and the access tokens that it has",
        OK One("Ended"), clients::delete),
    row!(Post "/admin/v1/clients/{id}/secret" "rotateClientSecret" "clients"
        "Give a client another secret; the one before is not good any more",
        CREATED One("ClientSecret"), clients::rotate_secret, judges true),
    row!(Get "/admin/v1/api-keys" "listApiKeys" "api-keys" "List API keys",
        OK Page("ApiKey"), api_keys::list),
    row!(Post "/admin/v1/api-keys" "createApiKey" "api-keys" "Make an API key",
    CREATED One("ApiKeyCreated"), api_keys::create, body "NewApiKey" json!({
        "subject": "reports",
        "name": "Nightly reports",
        "scopes": ["commerce.read"],
        "expiresIn": 7_776_000,
    })),
    row!(Get "/admin/v1/api-keys/{id}" "showApiKey" "api-keys" "Show an API key",
        OK One("ApiKey"), api_keys::show),
    row!(Patch "/admin/v1/api-keys/{id}" "changeApiKey" "api-keys" "Change an API key",
        OK One("ApiKey"), api_keys::change, body "ApiKeyChange" json!({"tier": "standard"})),
    row!(Delete "/admin/v1/api-keys/{id}" "revokeApiKey" "api-keys" "Revoke an API key for good",
        OK One("ApiKey"), api_keys::revoke),
    row!(Post "/admin/v1/api-keys/{id}/rotate" "rotateApiKey" "api-keys"
    "Make a key that takes the place of another one, which goes on for a while",
    CREATED One("ApiKeyCreated"), api_keys::rotate, body "ApiKeyRotation" json!({
        "overlap": 86_400,
    })),
    row!(Get "/admin/v1/keys" "listSigningKeys" "keys" "List signing keys",
        OK Page("SigningKey"), keys::list),
    row!(Post "/admin/v1/keys" "rotateSigningKey" "keys"
    "Make a signing key; 503 where this server does not have the key that seals it",
    CREATED One("SigningKey"), keys::rotate, body "NewSigningKey" json!({
        "algorithm": "ES256",
    })),
    row!(Delete "/admin/v1/keys/{kid}" "retireSigningKey" "keys"
        "Withdraw a signing key: tokens that it has signed stop being accepted; the last one that \
         signs only with `yes`",
        OK One("RetiredKey"), keys::retire, judges true),
    row!(Post "/admin/v1/tokens/inspect" "inspectToken" "tokens" "Say what an access token is",
    OK One("InspectedToken"), tokens::inspect, body "TokenText" json!({
        "token": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
    })),
    row!(Post "/admin/v1/tokens/revoke" "revokeToken" "tokens" "Revoke an access token",
    OK One("RevokedToken"), tokens::revoke, body "TokenText" json!({
        "token": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln",
    })),
    row!(Get "/admin/v1/config/revisions" "listRevisions" "config"
        "List documents that were applied",
        OK Page("Revision"), config::list),
    row!(Post "/admin/v1/config/revisions" "applyDocument" "config"
    "Check a document and make it the one that is served; 503 where servers read theirs from files",
    CREATED One("AppliedRevision"), config::apply, body "NewRevision" json!({
        "document": "version: 1\nservices: {shop: {upstream: 'shop:8080'}}\nroutes:\n  \
                     - {name: shop, match: {path: /shop}, service: shop, auth: none}\n",
        "why": "The shop is there",
        "restart": true,
    })),
    row!(Get "/admin/v1/config/revisions/{number}" "showRevision" "config"
        "Show a document that was applied",
        OK One("RevisionDocument"), config::show),
    row!(Get "/admin/v1/config/revisions/{number}/changes" "compareRevisions" "config"
        "Say what changed since another document, by default the one before",
        OK One("RevisionChanges"), config::changes),
    row!(Post "/admin/v1/config/revisions/{number}/rollback" "rollBack" "config"
    "Apply a document once more that was applied before",
    CREATED One("AppliedRevision"), config::roll_back, body "NewRollback" json!({
        "why": "It was better",
    })),
    row!(Get "/admin/v1/services" "listServices" "services" "List services that have instances",
        OK Page("Service"), services::list),
    row!(Get "/admin/v1/services/{service}/instances" "listInstances" "services"
        "List the instances of a service",
        OK Page("Instance"), services::instances),
    row!(Post "/admin/v1/services/{service}/instances" "registerInstance" "services"
    "Register an instance, or renew it and make it what it says",
    CREATED One("Instance"), services::register, body "NewInstance" json!({
        "id": "shop-1",
        "address": "10.0.0.7",
        "port": 8080,
        "healthPath": "/health",
        "interval": 10,
    })),
    row!(Get "/admin/v1/services/{service}/instances/{instance}" "showInstance" "services"
        "Show an instance",
        OK One("Instance"), services::show),
    row!(Delete "/admin/v1/services/{service}/instances/{instance}" "deregisterInstance" "services"
        "Take an instance out",
        OK One("Ended"), services::deregister),
    row!(Post "/admin/v1/services/{service}/instances/{instance}/heartbeat" "renewInstance"
        "services" "Renew an instance; 404 where it has to be registered again",
        OK One("Instance"), services::heartbeat),
    row!(Get "/admin/v1/circuits" "listCircuits" "circuits" "List the circuits of services",
        OK Page("Circuit"), circuits::list),
    row!(Get "/admin/v1/circuits/{service}" "showCircuit" "circuits"
        "Show the circuit of a service",
        OK One("Circuit"), circuits::show),
    row!(Post "/admin/v1/circuits/{service}/open" "openCircuit" "circuits"
    "Refuse all calls of a service for a while",
    OK One("Circuit"), circuits::open, body "CircuitForced" json!({
        "expiresIn": 600,
        "why": "its database is moving",
    })),
    row!(Post "/admin/v1/circuits/{service}/close" "closeCircuit" "circuits"
    "Let all calls of a service pass for a while, whatever becomes of them",
    OK One("Circuit"), circuits::close, body "CircuitForced" json!({"expiresIn": 600})),
    row!(Post "/admin/v1/circuits/{service}/reset" "resetCircuit" "circuits"
        "Forget what is known of the shared circuit of a service, and what operators said of it",
        OK One("Circuit"), circuits::reset),
    row!(Get "/admin/v1/audit" "listAudit" "audit" "Read the audit log, oldest first",
        OK After("AuditEntry"), audit::list),
    row!(Get "/admin/v1/openapi.json" "specification" "specification" "This specification",
        OK Specification, super::specification),
];
