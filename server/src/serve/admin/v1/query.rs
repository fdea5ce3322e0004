//! What stands behind the `?`: names that an endpoint knows, each once.

use axum::extract::Query as FormQuery;
use axum::http::Uri;
use postern_store::durable::PageAsk;
use serde_json::{Value, json};

use super::refusal::Refusal;

/// Names by which lists are looked through.
pub const LISTING: &[&str] = &["page", "limit", "sort"];
/// Entries a page where nobody says.
const DEFAULT_LIMIT: u64 = 20;
/// Most entries a page.
pub const MAX_LIMIT: u64 = 100;
/// The last page that can be asked for.
pub const MAX_PAGE: u64 = 1_000_000;

/// Names and values.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads it.
    ///
    /// # Errors
    /// When a name is unknown, or stands there twice.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, Refusal> {
        const UNREAD: &str = "The query cannot be read";
        let pairs = FormQuery::<Vec<(String, String)>>::try_from_uri(uri);
        let FormQuery(pairs) = pairs.map_err(|_| Refusal::unreadable(UNREAD))?;
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Refusal::senseless(format!(
                    "The query may have {}",
                    if known.is_empty() { "nothing".to_owned() } else { known.join(", ") }
                )));
            }
            if pairs.iter().skip(at + 1).any(|(other, _)| other == name) {
                return Err(Refusal::unreadable("A parameter of the query is there twice"));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether something is wanted that is done for nobody who does not say so.
    ///
    /// # Errors
    /// When that is neither said nor denied.
    pub fn is_set(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Refusal::senseless(format!("`{name}` is true or false"))),
        }
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(
        &self,
        name: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, Refusal> {
        let Some(text) = self.get(name) else { return Ok(default) };
        // `parse` would take a plus sign.
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && bounds.contains(&number) => Ok(number),
            _ => Err(Refusal::senseless(format!(
                "`{name}` is a number from {} to {}",
                bounds.start(),
                bounds.end()
            ))),
        }
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    page: u64,
    limit: u64,
    newest_first: bool,
}

impl Listing {
    /// Reads `page`, `limit` and `sort`.
    ///
    /// # Errors
    /// When they make no sense.
    pub fn read(query: &Query) -> Result<Self, Refusal> {
        let newest_first = match query.get("sort") {
            None | Some("-createdAt") => true,
            Some("createdAt") => false,
            Some(_) => {
                return Err(Refusal::unreadable("`sort` is createdAt or -createdAt"));
            }
        };
        Ok(Self {
            page: query.number("page", 1, 1..=MAX_PAGE)?,
            limit: query.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?,
            newest_first,
        })
    }

    /// For a store.
    pub fn ask(self) -> PageAsk {
        PageAsk {
            newest_first: self.newest_first,
            offset: self.offset(),
            limit: u32::try_from(self.limit).unwrap_or(u32::MAX),
        }
    }

    fn offset(self) -> u64 {
        (self.page - 1).saturating_mul(self.limit)
    }

    /// Where a page stands in a list of `total`.
    pub fn pagination(self, total: u64) -> Value {
        let pages = total.div_ceil(self.limit);
        json!({"page": self.page, "limit": self.limit, "total": total, "pages": pages})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Listing, String> {
        let uri: Uri = format!("/x{query}").parse().unwrap();
        let query = Query::read(&uri, LISTING).map_err(|refusal| refusal.text())?;
        Listing::read(&query).map_err(|refusal| refusal.text())
    }

    #[test]
    fn lists_are_asked_for_strictly() {
        for (query, expected) in [
            ("", (1, 20, true)),
            ("?page=3&limit=100", (3, 100, true)),
            ("?sort=createdAt", (1, 20, false)),
            ("?sort=-createdAt&page=1000000", (1_000_000, 20, true)),
        ] {
            let listing = read(query).unwrap();
            assert_eq!((listing.page, listing.limit, listing.newest_first), expected, "{query}");
        }
        for bad in [
            "?page=0",
            "?page=-1",
            "?page=%2B1",
            "?page=1.0",
            "?page=",
            "?page=1000001",
            "?page=99999999999999999999",
            "?limit=0",
            "?limit=101",
            "?sort=email",
            "?sort=",
            "?after=1",
            "?page=1&page=1",
            "?page",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_are_counted() {
        let listing = read("?page=2&limit=10").unwrap();
        assert_eq!((listing.ask().offset, listing.ask().limit), (10, 10));
        let expected = json!({"page": 2, "limit": 10, "total": 21, "pages": 3});
        assert_eq!(listing.pagination(21), expected);
        assert_eq!(listing.pagination(0)["pages"], 0);
    }
}
