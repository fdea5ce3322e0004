//! The volatile store and the bus of revocations in Redis.
//!
//! One script a decision, one round trip; Redis' own clock, so that servers need not agree on
//! the time. Keys hold hashes, never what a client sent:
//!
//! | key | type | fields |
//! |---|---|---|
//! | `postern:rate:window:{hash}` | hash | `i` index, `c` current, `p` previous |
//! | `postern:circuit:{service}` | hash | `state failures lastFailure recoveryTime` |
//! | `postern:dpop:jti:{hash}` | string | `1`; as long as the proof could be shown again |
//!
//! What a flush or an eviction takes of the last can be seen once more: give Redis a policy that
//! evicts nothing.
//!
//! The keys of the bus stand in `revocations`.

mod connection;
mod revocations;

use postern_circuit::{Admission, Circuit, State};
use postern_limits::Outcome;
use postern_limits::sliding_window::Window;
use postern_request::UnixMillis;
use postern_store::volatile::{
    CircuitAsk, Decision, DecisionAsk, LimitAsk, ReplayKey, VolatileStore,
};
use postern_store::{BoxFuture, StoreError};
use redis::{Cmd, Script, Value};

pub use connection::RedisStore;

const DECIDE: &str = include_str!("../scripts/decide.lua");
const RECORD: &str = include_str!("../scripts/record.lua");
const PUBLISH: &str = include_str!("../scripts/publish.lua");

/// All scripts, hashed once.
#[derive(Debug)]
struct Scripts {
    decide: Script,
    record: Script,
    publish: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            decide: Script::new(DECIDE),
            record: Script::new(RECORD),
            publish: Script::new(PUBLISH),
        }
    }
}

fn circuit_key(service: &str) -> String {
    format!("postern:circuit:{{{service}}}")
}

fn window_key(limit: &LimitAsk) -> String {
    format!("postern:rate:window:{{{}}}", limit.key.to_hex())
}

fn replay_key(key: ReplayKey) -> String {
    format!("postern:dpop:jti:{{{}}}", key.to_hex())
}

/// One command, so that of two at the same time one is the first.
fn remember(key: ReplayKey, keep_ms: u64) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(replay_key(key)).arg(1).arg("NX").arg("PX").arg(keep_ms.max(1));
    command
}

impl VolatileStore for RedisStore {
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(async move {
            let mut call = self.scripts().decide.prepare_invoke();
            let (key, probe_wait) = ask.circuit.as_ref().map_or((String::new(), 0), |circuit| {
                (circuit_key(&circuit.service), circuit.settings.probe_wait_ms())
            });
            call.key(key).arg(probe_wait);
            for limit in &ask.limits {
                call.key(window_key(limit));
                call.arg(limit.rate.requests()).arg(limit.rate.period_ms()).arg(limit.cost);
            }
            let answer: Vec<i64> = self.run(&call).await?;
            read_decision(&ask.limits, &answer)
                .ok_or_else(|| StoreError::Corrupt("answer of the decision script".to_owned()))
        })
    }

    fn record_outcome<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        success: bool,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Circuit, StoreError>> {
        Box::pin(async move {
            let mut call = self.scripts().record.prepare_invoke();
            call.key(circuit_key(&circuit.service));
            call.arg(u8::from(success));
            call.arg(circuit.settings.consecutive_failures).arg(circuit.settings.recovery_ms);
            let (state, failures, last, recovery): (String, u32, u64, u64) =
                self.run(&call).await?;
            let state = State::parse(&state)
                .ok_or_else(|| StoreError::Corrupt("state of a circuit".to_owned()))?;
            Ok(Circuit {
                state,
                failures,
                last_failure: UnixMillis(last),
                recovery_at: UnixMillis(recovery),
            })
        })
    }

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let answer: Value = self.query(&remember(key, keep_ms)).await?;
            match answer {
                Value::Okay => Ok(true),
                Value::Nil => Ok(false),
                _ => Err(StoreError::Corrupt("answer to SET".to_owned())),
            }
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let _: Value = self.query(&redis::cmd("PING")).await?;
            Ok(())
        })
    }
}

/// The script's answer in our terms; none when it is not what the script returns.
fn read_decision(limits: &[LimitAsk], answer: &[i64]) -> Option<Decision> {
    let mut numbers = answer.iter().map(|number| u64::try_from(*number).unwrap_or(0));
    let now = UnixMillis(u64::try_from(*answer.last()?).ok()?);
    let admission = match numbers.next()? {
        0 => Admission::Pass,
        1 => Admission::Probe,
        2 => {
            let retry_after_ms = numbers.next()?;
            return Some(Decision {
                limits: Vec::new(),
                admission: Admission::Refused { retry_after_ms },
            });
        }
        _ => return None,
    };
    numbers.next()?;
    let outcomes = limits.iter().map(|limit| {
        let allowed = numbers.next()? == 1;
        let window =
            Window { index: numbers.next()?, current: numbers.next()?, previous: numbers.next()? };
        Some(Outcome { allowed, status: window.status(limit.rate, now) })
    });
    Some(Decision { limits: outcomes.collect::<Option<_>>()?, admission })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_ends_by_itself() {
        let packed = |keep_ms| {
            let packed = remember(ReplayKey([0xa0; 32]), keep_ms).get_packed_command();
            String::from_utf8(packed).unwrap().replace("\r\n", " ")
        };
        let key = format!("postern:dpop:jti:{{{}}}", "a0".repeat(32));
        let expected = format!("*6 $3 SET $83 {key} $1 1 $2 NX $2 PX $5 75000 ");
        assert_eq!(packed(75_000), expected);
        assert!(packed(0).ends_with("$1 1 "), "Redis takes no life of 0");
    }
}
