//! What scripts of flows answer, in the port's terms; none when it is not what they return.

use postern_request::UnixMillis;
use postern_store::flows::{Presented, Redeemed, Standing, Turned};
use redis::Value;

/// One of a script's answers: which it is, and what stands behind that.
struct Told {
    how: i64,
    rest: std::vec::IntoIter<Value>,
}

impl Told {
    fn of(answer: Value) -> Option<Self> {
        let Value::Array(values) = answer else { return None };
        let mut rest = values.into_iter();
        match rest.next()? {
            Value::Int(how) => Some(Self { how, rest }),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.rest.next()? {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn time(&mut self) -> Option<UnixMillis> {
        number(&self.bytes()?).map(UnixMillis)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether a script did it: 1 or 0.
pub(crate) const fn done(answer: &Value) -> Option<bool> {
    match answer {
        Value::Int(1) => Some(true),
        Value::Int(0) => Some(false),
        _ => None,
    }
}

/// A value, if there is one.
pub(crate) fn bytes(answer: Value) -> Option<Option<Vec<u8>>> {
    match answer {
        Value::BulkString(bytes) => Some(Some(bytes)),
        Value::Nil => Some(None),
        _ => None,
    }
}

/// Of `renew_session.lua`: when the session began, if there is one.
pub(crate) fn began(answer: &Value) -> Option<Option<UnixMillis>> {
    match answer {
        Value::BulkString(digits) => number(digits).map(|ms| Some(UnixMillis(ms))),
        Value::Nil => Some(None),
        _ => None,
    }
}

/// Of `redeem.lua`.
pub(crate) fn redeemed(answer: Value) -> Option<Redeemed> {
    let mut told = Told::of(answer)?;
    match told.how {
        0 => Some(Redeemed::Unknown),
        1 => told.bytes().map(Redeemed::Fresh),
        2 => told.bytes().map(Redeemed::Used),
        _ => None,
    }
}

/// Of `stand.lua`.
pub(crate) fn standing(answer: Value) -> Option<Standing> {
    let mut told = Told::of(answer)?;
    match told.how {
        0 => Some(Standing::Unknown),
        1 => Some(Standing::Current { grant: told.bytes()?, ends_at: told.time()? }),
        2 => Some(Standing::Again { grant: told.bytes()?, answer: told.bytes()? }),
        3 => Some(Standing::Reused { grant: told.bytes()? }),
        _ => None,
    }
}

/// Of `turn.lua`.
pub(crate) fn turned(answer: Value) -> Option<Turned> {
    let mut told = Told::of(answer)?;
    match told.how {
        0 => Some(Turned::Unknown),
        1 => Some(Turned::Done),
        2 => told.bytes().map(Turned::Again),
        3 => Some(Turned::Reused { grant: told.bytes()? }),
        _ => None,
    }
}

/// Of a family's lock, current secret, generation and grant: the grant, where that is the token
/// which was presented.
pub(crate) fn look(answer: Value, presented: &Presented) -> Option<Option<Vec<u8>>> {
    let fields: Vec<Option<Vec<u8>>> = redis::from_redis_value(answer).ok()?;
    let [lock, current, generation, grant] = <[_; 4]>::try_from(fields).ok()?;
    let Some(lock) = lock else { return Some(None) };
    let is_current = lock == presented.lock
        && current? == presented.secret
        && number(&generation?)? == u64::from(presented.generation);
    let grant = grant?;
    Some(is_current.then_some(grant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn told(how: i64, texts: &[&str]) -> Value {
        let texts = texts.iter().map(|one| text(one));
        Value::Array(std::iter::once(Value::Int(how)).chain(texts).collect())
    }

    #[test]
    fn each_answer_of_a_script_has_its_meaning() {
        let bytes = |text: &str| text.as_bytes().to_vec();
        assert_eq!(redeemed(told(0, &[])), Some(Redeemed::Unknown));
        assert_eq!(redeemed(told(1, &["v"])), Some(Redeemed::Fresh(bytes("v"))));
        assert_eq!(redeemed(told(2, &["m"])), Some(Redeemed::Used(bytes("m"))));
        let grant = bytes("g");
        let current = Standing::Current { grant: grant.clone(), ends_at: UnixMillis(7) };
        assert_eq!(standing(told(1, &["g", "7"])), Some(current));
        let again = Standing::Again { grant: grant.clone(), answer: bytes("a") };
        assert_eq!(standing(told(2, &["g", "a"])), Some(again));
        assert_eq!(standing(told(3, &["g"])), Some(Standing::Reused { grant: grant.clone() }));
        assert_eq!(standing(told(0, &[])), Some(Standing::Unknown));
        assert_eq!(turned(told(1, &[])), Some(Turned::Done));
        assert_eq!(turned(told(2, &["a"])), Some(Turned::Again(bytes("a"))));
        assert_eq!(turned(told(3, &["g"])), Some(Turned::Reused { grant }));
        assert_eq!(turned(told(0, &[])), Some(Turned::Unknown));
    }

    #[test]
    fn what_no_script_returns_means_nothing() {
        for answer in [
            Value::Nil,
            Value::Okay,
            Value::Int(1),
            Value::Array(Vec::new()),
            Value::Array(vec![text("1")]),
            told(4, &["g", "7"]),
            told(-1, &[]),
        ] {
            assert_eq!(redeemed(answer.clone()), None, "{answer:?}");
            assert_eq!(standing(answer.clone()), None, "{answer:?}");
            assert_eq!(turned(answer.clone()), None, "{answer:?}");
        }
        assert_eq!(redeemed(told(1, &[])), None);
        assert_eq!(standing(told(1, &["g"])), None);
        assert_eq!(standing(told(1, &["g", "soon"])), None);
        assert_eq!(turned(told(2, &[])), None);
        assert_eq!(done(&Value::Int(2)), None);
        assert_eq!(bytes(Value::Int(0)), None);
        assert_eq!(began(&text("soon")), None);
        assert_eq!(
            (began(&text("7")), began(&Value::Nil)),
            (Some(Some(UnixMillis(7))), Some(None))
        );
    }

    #[test]
    fn a_look_shows_the_grant_to_the_current_token_alone() {
        let shown = Presented { lock: [1; 32], secret: [2; 32], generation: 3 };
        let family = |lock: u8, secret: u8, generation: &str| {
            let hash = |byte| Value::BulkString(vec![byte; 32]);
            Value::Array(vec![hash(lock), hash(secret), text(generation), text("g")])
        };
        assert_eq!(look(family(1, 2, "3"), &shown), Some(Some(b"g".to_vec())));
        for other in [family(9, 2, "3"), family(1, 9, "3"), family(1, 2, "4")] {
            assert_eq!(look(other, &shown), Some(None));
        }
        let none = Value::Array(vec![Value::Nil, Value::Nil, Value::Nil, Value::Nil]);
        assert_eq!(look(none, &shown), Some(None));
        let half = Value::Array(vec![Value::BulkString(vec![1; 32]), Value::Nil]);
        assert_eq!(look(half, &shown), None);
        assert_eq!(look(Value::Nil, &shown), None);
    }
}
