//! The specification (OpenAPI 3.1): paths from the table that the router is made of, schemas from
//! the types that requests and answers are made of.

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::audit::MAX_AFTER;
use super::dto;
use super::query::{MAX_LIMIT, MAX_PAGE};
use super::table::{Answer, ENDPOINTS, Endpoint};

/// What all refusals have.
const ERROR: &str = "Error";
/// A UUID, as ids of users and sessions are.
const UUID: &str = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";
const NAME: &str = "^[A-Za-z0-9._-]{1,128}$";

/// The whole document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(endpoint.method.as_str().to_owned(), operation(endpoint));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Postern admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Users, clients, API keys, sessions, signing keys, tokens, the gateway \
                            document, instances of services, circuits and the audit log.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": refusals(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The credential of --admin-token-file, or an access token of \
                                    this issuer with the scope postern.admin.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut responses = Map::new();
    let status = endpoint.status.as_str().to_owned();
    responses.insert(status, json!({"description": "Done", "content": content(&answer(endpoint))}));
    for status in statuses(endpoint) {
        let reference = json!({"$ref": format!("#/components/responses/{status}")});
        responses.insert(status.to_owned(), reference);
    }
    let mut operation = json!({
        "operationId": endpoint.id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "responses": responses,
    });
    let parameters = parameters(endpoint);
    if let Some(members) = operation.as_object_mut() {
        if !parameters.is_empty() {
            members.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some(body) = &endpoint.body {
            let (schema, example) = (reference(body.schema), (body.example)());
            let json = json!({"schema": schema, "example": example});
            let body = json!({
                "required": !endpoint.takes_no_body(),
                "content": {"application/json": json},
            });
            members.insert("requestBody".to_owned(), body);
        }
    }
    operation
}

/// What else may be answered.
fn statuses(endpoint: &Endpoint) -> Vec<&'static str> {
    let mut statuses = vec!["400", "401", "403"];
    // Revisions are not there at all on a server that takes its document from files.
    if endpoint.path.contains('{') || endpoint.path.contains("/config/") {
        statuses.push("404");
    }
    statuses.push("405");
    if endpoint.body.is_some() {
        statuses.extend(["413", "415"]);
    }
    if endpoint.body.is_some() || endpoint.judges {
        statuses.push("422");
    }
    statuses.push("503");
    statuses
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let segments = endpoint.path.split('/');
    let names = segments.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let of_path = names.map(|name| {
        let is_uuid = name == "id" && matches!(endpoint.tag, "users" | "sessions");
        let pattern = if is_uuid { UUID } else { NAME };
        let schema = match name {
            "number" => json!({"type": "integer", "minimum": 1, "maximum": MAX_AFTER}),
            _ => json!({"type": "string", "pattern": pattern}),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    });
    let of_query = endpoint.parameters().iter().map(|name| {
        let schema = match *name {
            "page" => json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 1}),
            "limit" => {
                json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 20})
            }
            "after" => json!({"type": "integer", "minimum": 0, "maximum": MAX_AFTER}),
            "since" => json!({"type": "integer", "minimum": 1, "maximum": MAX_AFTER}),
            "sort" => json!({"type": "string", "enum": ["createdAt", "-createdAt"]}),
            "yes" => json!({"type": "boolean", "default": false}),
            _ => json!({"type": "string"}),
        };
        json!({"name": name, "in": "query", "required": false, "schema": schema})
    });
    of_path.chain(of_query).collect()
}

/// The schema of what is answered.
fn answer(endpoint: &Endpoint) -> Value {
    let (data, meta) = match endpoint.answer {
        Answer::Specification => return json!({"type": "object"}),
        Answer::One(schema) => (reference(schema), None),
        Answer::Page(schema) => (list(schema), Some(reference("Pagination"))),
        Answer::After(schema) => (list(schema), Some(reference("AuditPagination"))),
    };
    let success = json!({"type": "boolean", "const": true});
    match meta {
        None => json!({
            "type": "object",
            "required": ["success", "data"],
            "properties": {"success": success, "data": data},
        }),
        Some(pagination) => json!({
            "type": "object",
            "required": ["success", "data", "meta"],
            "properties": {
                "success": success,
                "data": data,
                "meta": {
                    "type": "object",
                    "required": ["pagination"],
                    "properties": {"pagination": pagination},
                },
            },
        }),
    }
}

fn list(schema: &str) -> Value {
    json!({"type": "array", "items": reference(schema)})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

/// The refusals, each once.
fn refusals() -> Value {
    let mut refusals = Map::new();
    for (status, description) in [
        ("400", "The request cannot be read"),
        ("401", "No credential, or one that does not hold"),
        ("403", "The token lacks the scope postern.admin"),
        ("404", "There is no such thing"),
        ("405", "The method is not allowed here"),
        ("413", "The body has more than 16,384 bytes, or with a document more than 2 MiB"),
        ("415", "The body is not application/json"),
        ("422", "A field says what it must not"),
        ("503", "A store does not answer, or this server has not what it takes"),
    ] {
        let refusal = json!({"description": description, "content": content(&reference(ERROR))});
        refusals.insert(status.to_owned(), refusal);
    }
    Value::Object(refusals)
}

fn schemas() -> Value {
    let mut schemas = Map::new();
    add::<dto::ApiKey>(&mut schemas);
    add::<dto::ApiKeyChange>(&mut schemas);
    add::<dto::ApiKeyCreated>(&mut schemas);
    add::<dto::ApiKeyRotation>(&mut schemas);
    add::<dto::AppliedRevision>(&mut schemas);
    add::<dto::AuditEntry>(&mut schemas);
    add::<dto::AuthMethodName>(&mut schemas);
    add::<dto::Circuit>(&mut schemas);
    add::<dto::CircuitForced>(&mut schemas);
    add::<dto::Client>(&mut schemas);
    add::<dto::ClientChange>(&mut schemas);
    add::<dto::ClientChanged>(&mut schemas);
    add::<dto::ClientCreated>(&mut schemas);
    add::<dto::ClientSecret>(&mut schemas);
    add::<dto::ClientType>(&mut schemas);
    add::<dto::Consent>(&mut schemas);
    add::<dto::Ended>(&mut schemas);
    add::<dto::Factor>(&mut schemas);
    add::<dto::GrantName>(&mut schemas);
    add::<dto::InspectedToken>(&mut schemas);
    add::<dto::Instance>(&mut schemas);
    add::<dto::NewApiKey>(&mut schemas);
    add::<dto::NewClient>(&mut schemas);
    add::<dto::NewInstance>(&mut schemas);
    add::<dto::NewRevision>(&mut schemas);
    add::<dto::NewRollback>(&mut schemas);
    add::<dto::NewSigningKey>(&mut schemas);
    add::<dto::NewUser>(&mut schemas);
    add::<dto::RetiredKey>(&mut schemas);
    add::<dto::Revision>(&mut schemas);
    add::<dto::RevisionChange>(&mut schemas);
    add::<dto::RevisionChanges>(&mut schemas);
    add::<dto::RevisionDocument>(&mut schemas);
    add::<dto::RevokedToken>(&mut schemas);
    add::<dto::Service>(&mut schemas);
    add::<dto::Session>(&mut schemas);
    add::<dto::SigningAlgorithm>(&mut schemas);
    add::<dto::SigningKey>(&mut schemas);
    add::<dto::TokenText>(&mut schemas);
    add::<dto::User>(&mut schemas);
    add::<dto::UserChange>(&mut schemas);
    add::<dto::UserChanged>(&mut schemas);
    add::<dto::UserCreated>(&mut schemas);
    let number = json!({"type": "integer", "minimum": 0});
    schemas.insert(
        "Pagination".to_owned(),
        json!({
            "type": "object",
            "required": ["page", "limit", "total", "pages"],
            "properties": {"page": number, "limit": number, "total": number, "pages": number},
        }),
    );
    schemas.insert(
        "AuditPagination".to_owned(),
        json!({
            "type": "object",
            "required": ["after", "limit", "next"],
            "properties": {
                "after": number,
                "limit": number,
                "next": {"type": ["integer", "null"], "minimum": 0},
            },
        }),
    );
    schemas.insert(ERROR.to_owned(), error());
    Value::Object(schemas)
}

fn add<T: ToSchema + PartialSchema>(schemas: &mut Map<String, Value>) {
    // A schema of ours is always JSON.
    let schema = serde_json::to_value(T::schema()).unwrap_or(Value::Null);
    schemas.insert(T::name().into_owned(), schema);
}

fn error() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["error", "error_description", "correlation_id", "timestamp"],
        "properties": {
            "error": text,
            "error_description": text,
            "correlation_id": text,
            "timestamp": text,
            "validationErrors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {"field": text, "message": text},
                },
            },
        },
    })
}
