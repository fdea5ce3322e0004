//! What went wrong with Redis, by its kind alone: Redis' own texts may hold keys.

use postern_store::StoreError;
use redis::{ErrorKind, RedisError};

/// Answers of a server that cannot do it now and may later: it lost its role, is loading, is cut
/// off from the others, is out of memory, or cannot write.
const PASSING: [&str; 13] = [
    "READONLY",
    "LOADING",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "BUSY",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "NOSCRIPT",
    "UNBLOCKED",
];

/// The error as the port has it.
pub(crate) fn convert(error: &RedisError) -> StoreError {
    let kind = format!("{:?}", error.kind());
    if is_passing(error) { StoreError::Unavailable(kind) } else { StoreError::Corrupt(kind) }
}

/// Nothing to ask yet, or nothing any more.
pub(crate) fn not_connected() -> StoreError {
    StoreError::Unavailable("not connected".to_owned())
}

/// An answer that is not what the command answers.
pub(crate) fn unexpected(what: &str) -> StoreError {
    StoreError::Corrupt(format!("answer {what}"))
}

/// Whether a later try may succeed.
pub(crate) fn is_passing(error: &RedisError) -> bool {
    let kind = matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
    );
    kind || PASSING.iter().any(|code| says(error, code))
}

/// Whether the server does not take writes: it is a replica by now.
pub(crate) fn is_no_master(error: &RedisError) -> bool {
    says(error, "READONLY")
}

/// Whether Redis answered with this code. What a script's own command got, Redis before 7 wraps
/// into the text of an `ERR`.
fn says(error: &RedisError, code: &str) -> bool {
    match error.code() {
        Some("ERR") => {
            let words =
                error.detail().unwrap_or_default().split(|at: char| !at.is_ascii_uppercase());
            words.filter(|word| word.len() > 2).any(|word| word == code)
        }
        found => found == Some(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::Value;

    fn answered(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        let Value::ServerError(error) = value else { panic!("{value:?}") };
        RedisError::from(error)
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for (line, passes) in [
            ("READONLY You can't write against a read only replica.", true),
            ("LOADING Redis is loading the dataset in memory", true),
            ("CLUSTERDOWN The cluster is down", true),
            ("MASTERDOWN Link with MASTER is down", true),
            ("TRYAGAIN Multiple keys request during rehashing of slot", true),
            ("MOVED 1 127.0.0.1:7001", true),
            ("OOM command not allowed when used memory > 'maxmemory'.", true),
            ("ERR Error running script: @user_script: 9: -READONLY You can't write", true),
            ("ERR Error running script: @user_script: 9: wrong number of arguments", false),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", false),
            ("NOPERM this user has no permissions to run the 'evalsha' command", false),
        ] {
            assert_eq!(is_passing(&answered(line)), passes, "{line}");
        }
    }

    #[test]
    fn no_text_of_redis_goes_on() {
        let secret = "WRONGTYPE of postern:rate:window:secret";
        assert!(!format!("{:?}", convert(&answered(secret))).contains("secret"));
        let dropped = RedisError::from(std::io::Error::other("10.0.0.1 is secret"));
        let converted = convert(&dropped);
        assert!(matches!(converted, StoreError::Unavailable(_)), "{converted:?}");
        assert!(!format!("{converted:?}").contains("secret"));
    }
}
