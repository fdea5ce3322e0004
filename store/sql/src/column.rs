//! Columns to values and back: the one place that knows how each is spelled in a table.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{Sealed, SecretHash};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::error::store_error;

/// A row of either database, that says which column it could not read.
pub(crate) trait Columns {
    fn text(&self, name: &str) -> Result<String, StoreError>;
    fn optional_text(&self, name: &str) -> Result<Option<String>, StoreError>;
    fn boolean(&self, name: &str) -> Result<bool, StoreError>;
    fn optional_boolean(&self, name: &str) -> Result<Option<bool>, StoreError>;
    fn integer(&self, name: &str) -> Result<i64, StoreError>;
    fn optional_integer(&self, name: &str) -> Result<Option<i64>, StoreError>;

    fn number(&self, name: &str) -> Result<u64, StoreError> {
        u64::try_from(self.integer(name)?).map_err(|_| corrupt(name))
    }

    fn optional_number(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let number = self.optional_integer(name)?;
        number.map(|number| u64::try_from(number).map_err(|_| corrupt(name))).transpose()
    }

    fn time(&self, name: &str) -> Result<UnixMillis, StoreError> {
        self.number(name).map(UnixMillis)
    }

    fn optional_time(&self, name: &str) -> Result<Option<UnixMillis>, StoreError> {
        Ok(self.optional_number(name)?.map(UnixMillis))
    }

    /// Names separated by spaces.
    fn names(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let text = self.text(name)?;
        Ok(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// What [`write_list`] wrote.
    fn list(&self, name: &str) -> Result<Vec<String>, StoreError> {
        serde_json::from_str(&self.text(name)?).map_err(|_| corrupt(name))
    }

    fn digest(&self, name: &str) -> Result<[u8; 32], StoreError> {
        digest_from_hex(&self.text(name)?).ok_or_else(|| corrupt(name))
    }

    fn hash(&self, name: &str) -> Result<SecretHash, StoreError> {
        self.digest(name).map(SecretHash)
    }

    fn optional_hash(&self, name: &str) -> Result<Option<SecretHash>, StoreError> {
        self.optional_text(name)?
            .map(|text| digest_from_hex(&text).map(SecretHash).ok_or_else(|| corrupt(name)))
            .transpose()
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        read_bytes(&self.text(name)?).ok_or_else(|| corrupt(name))
    }

    fn sealed(&self, name: &str) -> Result<Sealed, StoreError> {
        self.bytes(name).map(Sealed)
    }
}

macro_rules! columns_of {
    ($row:ty) => {
        impl Columns for $row {
            fn text(&self, name: &str) -> Result<String, StoreError> {
                self.try_get(name).map_err(store_error)
            }

            fn optional_text(&self, name: &str) -> Result<Option<String>, StoreError> {
                self.try_get(name).map_err(store_error)
            }

            fn boolean(&self, name: &str) -> Result<bool, StoreError> {
                self.try_get(name).map_err(store_error)
            }

            fn optional_boolean(&self, name: &str) -> Result<Option<bool>, StoreError> {
                self.try_get(name).map_err(store_error)
            }

            fn integer(&self, name: &str) -> Result<i64, StoreError> {
                self.try_get(name).map_err(store_error)
            }

            fn optional_integer(&self, name: &str) -> Result<Option<i64>, StoreError> {
                self.try_get(name).map_err(store_error)
            }
        }
    };
}

columns_of!(SqliteRow);
columns_of!(PgRow);

/// What no text of PostgreSQL can hold, so nothing is named so; asked for, it would be an error.
const NUL: char = '\0';

/// Whether nothing can be there under this name.
pub(crate) fn holds_nul(name: &str) -> bool {
    name.contains(NUL)
}

/// What stands before the names that begin after this one: there are none between the two.
pub(crate) fn before_nul(name: &str) -> &str {
    name.split(NUL).next().unwrap_or_default()
}

/// The column alone: what stands in it may be secret.
pub(crate) fn corrupt(column: &str) -> StoreError {
    StoreError::Corrupt(format!("column {column}"))
}

pub(crate) fn write_time(time: UnixMillis) -> i64 {
    write_number(time.0)
}

/// A number beyond 2⁶³ is no time and no lifetime; the table's bound stands for it.
pub(crate) fn write_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn write_hash(hash: &SecretHash) -> String {
    write_digest(&hash.0)
}

pub(crate) fn write_digest(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON array: what stands in it may hold anything, and be nothing.
pub(crate) fn write_list(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

pub(crate) fn write_bytes(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads what [`write_bytes`] wrote.
pub(crate) fn read_bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub(crate) fn digest_from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    for byte in &mut hash {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_written_and_read_back() {
        let hash = SecretHash(std::array::from_fn(|at| u8::try_from(at * 8).unwrap()));
        let text = write_hash(&hash);
        assert_eq!(digest_from_hex(&text), Some(hash.0));
        for bad in ["", "zz", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32)] {
            assert_eq!(digest_from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn lists_keep_their_order_and_what_is_empty() {
        let list = |texts: &[&str]| -> Vec<String> { texts.iter().map(|&t| t.into()).collect() };
        for (texts, text) in [
            (list(&[]), "[]"),
            (list(&[""]), r#"[""]"#),
            (list(&["b c", "a\"\n", "é"]), r#"["b c","a\"\n","é"]"#),
        ] {
            assert_eq!(write_list(&texts), text);
            assert_eq!(serde_json::from_str::<Vec<String>>(text).unwrap(), texts);
        }
    }

    #[test]
    fn what_is_asked_for_ends_where_no_text_of_sql_goes_on() {
        assert_eq!(before_nul("ab"), "ab");
        assert_eq!(before_nul("ab\0c"), "ab");
        assert_eq!(before_nul("\0"), "");
        assert!(holds_nul("a\0") && !holds_nul("a0"));
    }

    #[test]
    fn numbers_stay_within_the_column() {
        assert_eq!(write_number(5), 5);
        assert_eq!(write_number(u64::MAX), i64::MAX);
    }
}
