//! Sessions as they are kept: a hash, with the fields that others who read it know and ours.

use std::collections::HashMap;
use std::fmt::Write as _;

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::SecretHash;
use postern_store::flows::SessionRecord;
use redis::{Cmd, Value};

use crate::error::unexpected;

/// How many fields a session has at most.
pub(crate) const FIELDS: usize = 17;

/// Adds the fields of a session and their values to a call. What a session has not is left out.
pub(crate) fn push(call: &mut Cmd, session: &SessionRecord) {
    let mut field = |name: &str, value: &[u8]| {
        call.arg(name).arg(value);
    };
    field("id", session.id.as_bytes());
    field("userId", session.user_id.as_bytes());
    field("methods", session.methods.join(" ").as_bytes());
    field("scopes", session.scopes.join(" ").as_bytes());
    field("person", &session.person);
    field("remember", if session.remember { b"1" } else { b"0" });
    let texts = [
        ("deviceId", session.device_id.as_deref()),
        ("clientId", session.client_id.as_deref()),
        ("parent", session.parent.as_deref()),
    ];
    for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
        field(name, text.as_bytes());
    }
    let hashes = [
        ("fingerprint", session.fingerprint.as_ref().map(<[u8; 16]>::as_slice)),
        ("secret", session.secret.as_ref().map(|hash| hash.0.as_slice())),
    ];
    for (name, hash) in hashes.into_iter().filter_map(|(name, hash)| Some((name, hash?))) {
        field(name, hex(hash).as_bytes());
    }
    let numbers = [
        ("createdAt", Some(session.created_at.0)),
        ("lastUsed", Some(session.last_used.0)),
        ("authenticatedAt", Some(session.authenticated_at.0)),
        ("mfaAt", session.mfa_at.map(|at| at.0)),
        ("idle", Some(session.idle_ms)),
        ("ends", Some(session.ends_at.0)),
    ];
    for (name, number) in numbers.into_iter().filter_map(|(name, number)| Some((name, number?))) {
        field(name, number.to_string().as_bytes());
    }
}

/// Reads what [`push`] wrote; none where there is nothing.
pub(crate) fn read(answer: Value) -> Result<Option<SessionRecord>, StoreError> {
    let fields: HashMap<String, Vec<u8>> =
        redis::from_redis_value(answer).map_err(|_| unexpected("of a session"))?;
    if fields.is_empty() {
        return Ok(None);
    }
    record(Fields(fields)).map(Some)
}

fn record(mut fields: Fields) -> Result<SessionRecord, StoreError> {
    Ok(SessionRecord {
        id: fields.text("id")?,
        user_id: fields.text("userId")?,
        created_at: fields.time("createdAt")?,
        last_used: fields.time("lastUsed")?,
        authenticated_at: fields.time("authenticatedAt")?,
        mfa_at: fields.optional_number("mfaAt")?.map(UnixMillis),
        methods: fields.names("methods")?,
        device_id: fields.optional_text("deviceId")?,
        fingerprint: fields.optional_hash("fingerprint")?,
        client_id: fields.optional_text("clientId")?,
        scopes: fields.names("scopes")?,
        parent: fields.optional_text("parent")?,
        secret: fields.optional_hash("secret")?.map(SecretHash),
        person: fields.0.remove("person").ok_or_else(|| damaged("person"))?,
        remember: match fields.text("remember")?.as_str() {
            "0" => false,
            "1" => true,
            _ => return Err(damaged("remember")),
        },
        idle_ms: fields.number("idle")?,
        ends_at: fields.time("ends")?,
    })
}

/// How a user's list names a session: when it began, and its id.
pub(crate) fn member(created_at: UnixMillis, id: &str) -> String {
    format!("{}:{id}", created_at.0)
}

/// Reads what [`member`] wrote.
pub(crate) fn read_member(member: &str) -> Option<(UnixMillis, &str)> {
    let (created_at, id) = member.split_once(':')?;
    Some((UnixMillis(created_at.parse().ok()?), id))
}

/// The field alone: what stands in it is somebody's.
fn damaged(field: &str) -> StoreError {
    unexpected(&format!("of a session with a damaged field {field}"))
}

/// What Redis holds of a session, and says which field cannot be read.
struct Fields(HashMap<String, Vec<u8>>);

impl Fields {
    fn optional_text(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let bytes = self.0.remove(name);
        bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| damaged(name))).transpose()
    }

    fn text(&mut self, name: &str) -> Result<String, StoreError> {
        self.optional_text(name)?.ok_or_else(|| damaged(name))
    }

    /// Names separated by spaces.
    fn names(&mut self, name: &str) -> Result<Vec<String>, StoreError> {
        let text = self.text(name)?;
        Ok(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    fn optional_number(&mut self, name: &str) -> Result<Option<u64>, StoreError> {
        let text = self.optional_text(name)?;
        text.map(|text| text.parse().map_err(|_| damaged(name))).transpose()
    }

    fn number(&mut self, name: &str) -> Result<u64, StoreError> {
        self.optional_number(name)?.ok_or_else(|| damaged(name))
    }

    fn time(&mut self, name: &str) -> Result<UnixMillis, StoreError> {
        self.number(name).map(UnixMillis)
    }

    fn optional_hash<const N: usize>(&mut self, name: &str) -> Result<Option<[u8; N]>, StoreError> {
        let text = self.optional_text(name)?;
        text.map(|text| from_hex(&text).ok_or_else(|| damaged(name))).transpose()
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use redis::Arg;

    use super::*;

    fn full() -> SessionRecord {
        SessionRecord {
            id: "s-1".to_owned(),
            user_id: "u-1".to_owned(),
            created_at: UnixMillis(1_800_000_000_001),
            last_used: UnixMillis(1_800_000_000_002),
            authenticated_at: UnixMillis(1_800_000_000_003),
            mfa_at: Some(UnixMillis(0)),
            methods: ["pwd", "otp"].map(str::to_owned).to_vec(),
            device_id: Some(String::new()),
            fingerprint: Some([0xab; 16]),
            client_id: Some("c".to_owned()),
            scopes: vec!["orders:read".to_owned()],
            parent: Some("s-0".to_owned()),
            secret: Some(SecretHash([0xcd; 32])),
            person: vec![0, 255, 13, 10],
            remember: true,
            idle_ms: 5,
            ends_at: UnixMillis(u64::MAX),
        }
    }

    fn bare() -> SessionRecord {
        SessionRecord {
            mfa_at: None,
            methods: Vec::new(),
            device_id: None,
            fingerprint: None,
            client_id: None,
            scopes: Vec::new(),
            parent: None,
            secret: None,
            person: Vec::new(),
            remember: false,
            ..full()
        }
    }

    /// What Redis answers to HGETALL.
    fn kept(session: &SessionRecord) -> Vec<Value> {
        let mut call = Cmd::new();
        push(&mut call, session);
        let argument = |argument: Arg<&[u8]>| match argument {
            Arg::Simple(bytes) => Value::BulkString(bytes.to_vec()),
            _ => panic!("a cursor"),
        };
        call.args_iter().map(argument).collect()
    }

    #[test]
    fn sessions_are_read_as_they_are_written() {
        for session in [full(), bare()] {
            let kept = kept(&session);
            assert!(kept.len() <= 2 * FIELDS);
            assert_eq!(read(Value::Array(kept)), Ok(Some(session)));
        }
        assert_eq!(kept(&full()).len(), 2 * FIELDS, "as many as there are");
        assert_eq!(read(Value::Array(Vec::new())), Ok(None));
    }

    #[test]
    fn damage_is_told_by_the_field_and_shows_nothing_of_it() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        for (name, value) in [
            ("userId", Value::BulkString(vec![0xff])),
            ("createdAt", text("soon")),
            ("secret", text("cafe")),
            ("fingerprint", text(&"g".repeat(32))),
            ("remember", text("yes")),
            ("ends", text("-1")),
        ] {
            let mut kept = kept(&full());
            let at = kept.iter().position(|known| *known == text(name)).unwrap();
            kept[at + 1] = value;
            let error = read(Value::Array(kept)).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(!["soon", "cafe", "gggg", "yes"].iter().any(|bad| error.contains(bad)));
        }
        let mut missing = kept(&full());
        missing.drain(..2);
        assert!(matches!(read(Value::Array(missing)), Err(StoreError::Corrupt(_))));
        assert!(matches!(read(Value::Int(1)), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn a_list_names_sessions_by_when_they_began() {
        let member = member(UnixMillis(7), "a:b");
        assert_eq!(read_member(&member), Some((UnixMillis(7), "a:b")));
        for bad in ["", "a:b", "5", "-5:a"] {
            assert_eq!(read_member(bad), None, "{bad}");
        }
    }
}
