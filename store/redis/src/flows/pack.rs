//! Keys and commands of flows.

use std::fmt::Write as _;

use postern_request::UnixMillis;
use postern_store::flows::{NewFamily, Presented, SessionRecord, Turn, UsedApiKey};
use postern_store::{FlowKey, FlowKind};
use redis::Cmd;
use sha2::{Digest as _, Sha256};

use super::session;
use crate::pack::push_bytes;
use crate::script::Scripts;

/// The most milliseconds that scripts count exactly, and Redis takes for an end.
const LONGEST_MS: u64 = 1 << 52;
/// How many sessions of one user a list holds. What nobody lists ends by itself all the same.
pub(crate) const LISTED: usize = 1_000;
/// How long after a key was used last that is told.
const API_KEY_LIFE_MS: u64 = 24 * 3_600 * 1_000;
/// Room for a key and some hashes.
const BYTES: usize = 384;

/// What keys begin with.
const fn prefix(kind: FlowKind) -> &'static str {
    match kind {
        FlowKind::Code => "oauth2:code",
        FlowKind::Family => "oauth2:family",
        FlowKind::Par => "oauth2:par",
        FlowKind::Device => "oauth2:device",
        FlowKind::UserCode => "oauth2:user_code",
        FlowKind::Session => "session",
        FlowKind::SessionsOf => "session:of",
        FlowKind::Login => "login:flow",
        FlowKind::Ticket => "ws:ticket",
        FlowKind::Outside => "login:outside",
    }
}

/// The key in Redis: alone in its slot but for what is named after it.
pub(crate) fn text(key: FlowKey) -> String {
    format!("postern:{}:{{{}}}", prefix(key.kind()), key.to_hex())
}

/// Beside a family: what was answered for its spent tokens.
fn spent(key: FlowKey) -> String {
    format!("{}:spent", text(key))
}

fn session_key(id: &str) -> String {
    text(FlowKey::of(FlowKind::Session, id.as_bytes()))
}

fn list_key(user_id: &str) -> String {
    text(FlowKey::of(FlowKind::SessionsOf, user_id.as_bytes()))
}

fn api_key(id: &str) -> String {
    let mut key = "postern:apikey:{".to_owned();
    for byte in Sha256::digest(id) {
        // Writing to a string cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key.push('}');
    key
}

/// As much as scripts and Redis can count.
fn bounded(ms: u64) -> u64 {
    ms.min(LONGEST_MS)
}

/// Keeps a value. That of a code says that it was not used yet.
pub(crate) fn put(key: FlowKey, value: &[u8], keep_ms: u64) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(text(key));
    let state: &[u8] = if key.kind() == FlowKind::Code { b"f" } else { b"" };
    push_bytes(&mut command, &[state, value]);
    command.arg("NX").arg("PX").arg(bounded(keep_ms).max(1));
    command
}

/// A command that wants a key and nothing else.
pub(crate) fn of_key(name: &str, key: FlowKey) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(text(key));
    command
}

/// A call of `swap.lua`.
pub(crate) fn swap(scripts: &Scripts, key: FlowKey, from: &[u8], to: &[u8]) -> Cmd {
    let mut call = scripts.flows.swap.call(1, 3, BYTES + from.len() + to.len());
    call.arg(text(key)).arg(from).arg(to);
    call
}

/// A call of `redeem.lua`.
pub(crate) fn redeem(scripts: &Scripts, key: FlowKey, mark: &[u8]) -> Cmd {
    let mut call = scripts.flows.redeem.call(1, 2, BYTES + mark.len());
    call.arg(text(key)).arg(mark);
    call
}

/// A call of `start_family.lua`.
pub(crate) fn start_family(scripts: &Scripts, new: &NewFamily<'_>) -> Cmd {
    let mut call = scripts.flows.start_family.call(1, 7, BYTES + new.grant.len());
    call.arg(text(new.key));
    call.arg(new.first.lock.as_slice()).arg(new.first.secret.as_slice()).arg(new.first.generation);
    call.arg(new.grant).arg(bounded(new.ends_at.0)).arg(bounded(new.idle_ms));
    call
}

/// A call of `stand.lua`.
pub(crate) fn stand(scripts: &Scripts, key: FlowKey, presented: &Presented, grace_ms: u64) -> Cmd {
    let mut call = scripts.flows.stand.call(2, 6, BYTES);
    push_presented(&mut call, key, presented, grace_ms);
    call
}

/// A call of `turn.lua`.
pub(crate) fn turn(scripts: &Scripts, turn: &Turn<'_>) -> Cmd {
    let mut call = scripts.flows.turn.call(2, 9, BYTES + turn.answer.len());
    push_presented(&mut call, turn.key, &turn.presented, turn.grace_ms);
    call.arg(turn.next.as_slice()).arg(turn.answer).arg(bounded(turn.idle_ms));
    call
}

/// As `family.lua` has it.
fn push_presented(call: &mut Cmd, key: FlowKey, presented: &Presented, grace_ms: u64) {
    call.arg(text(key)).arg(spent(key));
    call.arg(presented.lock.as_slice()).arg(presented.secret.as_slice());
    call.arg(presented.generation).arg(bounded(grace_ms));
}

/// What `answer::look` reads.
pub(crate) fn look_family(key: FlowKey) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(text(key)).arg("lock").arg("current").arg("generation").arg("grant");
    command
}

/// A call of `end_family.lua`.
pub(crate) fn end_family(scripts: &Scripts, key: FlowKey, lock: Option<&[u8; 32]>) -> Cmd {
    let mut call = scripts.flows.end_family.call(2, 3, BYTES);
    let lock: &[u8] = lock.map(<[u8; 32]>::as_slice).unwrap_or_default();
    call.arg(text(key)).arg(spent(key)).arg(lock);
    call
}

/// A call of `start_session.lua`.
pub(crate) fn start_session(scripts: &Scripts, session: &SessionRecord) -> Cmd {
    let arguments = 2 + 2 * session::FIELDS;
    let mut call = scripts.flows.start_session.call(1, arguments, 2 * BYTES + session.person.len());
    let idle_end = session.last_used.0.saturating_add(session.idle_ms);
    call.arg(session_key(&session.id)).arg(bounded(idle_end.min(session.ends_at.0)));
    session::push(&mut call, session);
    call
}

/// A call of `renew_session.lua`.
pub(crate) fn renew_session(scripts: &Scripts, session: &SessionRecord) -> Cmd {
    let arguments = 5 + 2 * session::FIELDS;
    let mut call = scripts.flows.renew_session.call(1, arguments, 2 * BYTES + session.person.len());
    call.arg(session_key(&session.id)).arg(&session.user_id);
    call.arg(bounded(session.last_used.0)).arg(bounded(session.idle_ms));
    call.arg(bounded(session.ends_at.0));
    session::push(&mut call, session);
    call
}

/// A call of `list_session.lua`, for a session that began then.
pub(crate) fn list_session(
    scripts: &Scripts,
    session: &SessionRecord,
    created_at: UnixMillis,
) -> Cmd {
    let mut call = scripts.flows.list_session.call(1, 4, BYTES);
    call.arg(list_key(&session.user_id)).arg(session::member(created_at, &session.id));
    call.arg(bounded(session.ends_at.0)).arg(LISTED);
    call
}

/// All that a user's list holds.
pub(crate) fn listed(user_id: &str) -> Cmd {
    let mut command = redis::cmd("ZRANGE");
    command.arg(list_key(user_id)).arg(0).arg(-1);
    command
}

/// Takes entries out of a user's list.
pub(crate) fn unlist(user_id: &str, members: &[String]) -> Cmd {
    let mut command = redis::cmd("ZREM");
    command.arg(list_key(user_id)).arg(members);
    command
}

/// What `session::read` reads.
pub(crate) fn find_session(id: &str) -> Cmd {
    let mut command = redis::cmd("HGETALL");
    command.arg(session_key(id));
    command
}

/// A call of `end_session.lua`.
pub(crate) fn end_session(scripts: &Scripts, id: &str) -> Cmd {
    let mut call = scripts.flows.end_session.call(1, 1, BYTES);
    call.arg(session_key(id));
    call
}

/// A call of `touch_session.lua`.
pub(crate) fn touch_session(scripts: &Scripts, id: &str, used_ms: u64) -> Cmd {
    let mut call = scripts.flows.touch_session.call(1, 2, BYTES);
    call.arg(session_key(id)).arg(bounded(used_ms));
    call
}

/// A call of `touch_key.lua`.
pub(crate) fn touch_key(scripts: &Scripts, used: &UsedApiKey) -> Cmd {
    let mut call = scripts.flows.touch_key.call(1, 10, 2 * BYTES);
    call.arg(api_key(&used.id)).arg(bounded(used.last_used.0)).arg(bounded(used.requests));
    call.arg(API_KEY_LIFE_MS);
    call.arg("userId").arg(&used.user_id).arg("scopes").arg(used.scopes.join(" "));
    if let Some(client_id) = &used.client_id {
        call.arg("clientId").arg(client_id);
    }
    call
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(command: &Cmd) -> String {
        String::from_utf8_lossy(&command.get_packed_command()).replace("\r\n", " ")
    }

    #[test]
    fn kinds_have_keys_of_their_own_that_hold_a_hash_alone() {
        for (at, kind) in FlowKind::ALL.into_iter().enumerate() {
            let key = text(FlowKey::of(kind, b"presented"));
            assert!(key.starts_with("postern:") && !key.contains("presented"), "{key}");
            let (_, tag) = key.split_once('{').unwrap();
            assert_eq!(tag.len(), 65, "the hash is all of the tag: {key}");
            for other in FlowKind::ALL.into_iter().skip(at + 1) {
                assert_ne!(prefix(kind), prefix(other));
            }
        }
        let other = api_key("pk_presented");
        assert!(other.starts_with("postern:apikey:{") && !other.contains("presented"), "{other}");
    }

    #[test]
    fn what_belongs_to_a_family_lies_in_its_slot() {
        let key = FlowKey::of(FlowKind::Family, &[7; 16]);
        let tag = |key: &str| key.split(['{', '}']).nth(1).map(str::to_owned);
        assert_eq!(tag(&text(key)), tag(&spent(key)));
        assert_ne!(text(key), spent(key));
    }

    #[test]
    fn a_code_says_that_it_was_not_used_yet_and_nothing_else_does() {
        let of = |kind| sent(&put(FlowKey::of(kind, b"x"), b"value", 1));
        assert!(of(FlowKind::Code).contains(" fvalue "));
        assert!(of(FlowKind::Par).contains(" value "));
    }

    #[test]
    fn every_value_has_an_end_that_redis_takes() {
        let key = FlowKey::of(FlowKind::Par, b"x");
        for (keep_ms, sends) in [(0, "1"), (60_000, "60000"), (u64::MAX, "4503599627370496")] {
            let sent = sent(&put(key, b"v", keep_ms));
            assert!(sent.trim_end().ends_with(&format!(" PX ${} {sends}", sends.len())), "{sent}");
            assert!(sent.contains(" NX "), "{sent}");
        }
    }

    #[test]
    fn no_lock_is_told_from_a_lock_of_nothing() {
        let scripts = Scripts::default();
        let key = FlowKey::of(FlowKind::Family, b"x");
        assert!(sent(&end_family(&scripts, key, None)).ends_with("$0  "));
        assert!(sent(&end_family(&scripts, key, Some(&[0; 32]))).contains("$32 "));
    }
}
