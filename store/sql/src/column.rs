//! Columns to values and back: the one place that knows how each is spelled in a table.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{Sealed, SecretHash};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::error::store_error;

/// A row that says which column it could not read.
pub(crate) struct Columns<'a>(pub(crate) &'a SqliteRow);

impl Columns<'_> {
    pub(crate) fn text(&self, name: &str) -> Result<String, StoreError> {
        self.0.try_get(name).map_err(store_error)
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.0.try_get(name).map_err(store_error)
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, StoreError> {
        self.0.try_get(name).map_err(store_error)
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, StoreError> {
        let number: i64 = self.0.try_get(name).map_err(store_error)?;
        u64::try_from(number).map_err(|_| corrupt(name))
    }

    pub(crate) fn time(&self, name: &str) -> Result<UnixMillis, StoreError> {
        self.number(name).map(UnixMillis)
    }

    pub(crate) fn optional_time(&self, name: &str) -> Result<Option<UnixMillis>, StoreError> {
        let number: Option<i64> = self.0.try_get(name).map_err(store_error)?;
        number
            .map(|number| u64::try_from(number).map(UnixMillis).map_err(|_| corrupt(name)))
            .transpose()
    }

    /// Names separated by spaces.
    pub(crate) fn names(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let text = self.text(name)?;
        Ok(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    pub(crate) fn hash(&self, name: &str) -> Result<SecretHash, StoreError> {
        hash_from_hex(&self.text(name)?).ok_or_else(|| corrupt(name))
    }

    pub(crate) fn optional_hash(&self, name: &str) -> Result<Option<SecretHash>, StoreError> {
        self.optional_text(name)?
            .map(|text| hash_from_hex(&text).ok_or_else(|| corrupt(name)))
            .transpose()
    }

    pub(crate) fn sealed(&self, name: &str) -> Result<Sealed, StoreError> {
        STANDARD.decode(self.text(name)?).map(Sealed).map_err(|_| corrupt(name))
    }
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
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn write_sealed(sealed: &Sealed) -> String {
    STANDARD.encode(&sealed.0)
}

fn hash_from_hex(text: &str) -> Option<SecretHash> {
    if text.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    for byte in &mut hash {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(SecretHash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_written_and_read_back() {
        let hash = SecretHash(std::array::from_fn(|at| u8::try_from(at * 8).unwrap()));
        let text = write_hash(&hash);
        assert_eq!(hash_from_hex(&text), Some(hash));
        for bad in ["", "zz", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32)] {
            assert_eq!(hash_from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_stay_within_the_column() {
        assert_eq!(write_number(5), 5);
        assert_eq!(write_number(u64::MAX), i64::MAX);
    }
}
