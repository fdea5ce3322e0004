//! Signed tokens, made once and kept: thousands of RSA signatures take seconds.

use std::fs;
use std::num::NonZero;
use std::ops::Range;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, bail};
use postern_e2e::keys::{self, Key, Token};
use serde_json::json;

/// Tokens that a cache of 4,096 entries holds.
pub const WARM: usize = 2_000;
/// Three times what the cache holds: read in a circle, the least recently used one is always
/// the next one to come, so that none is ever remembered.
pub const COLD: usize = 12_000;
/// All tokens that are kept.
const ALL: usize = COLD + WARM + COLD;

/// Changes whenever what [`sign`] puts into a token does, or how many there are.
const VERSION: u32 = 2;
const GOOD_FOR_SECS: u64 = 30 * 86_400;
/// Kept tokens that end sooner are made anew.
const SPARE_SECS: u64 = 86_400;

/// What the load carries.
#[derive(Debug)]
pub struct Tokens {
    /// [`COLD`] tokens, each of a subject of its own; the first [`WARM`] of them are the warm
    /// ones.
    many: Vec<String>,
    /// [`WARM`] tokens of one subject.
    one_subject: Vec<String>,
    /// [`COLD`] tokens, each of a subject of its own, signed with ES256.
    es256: Vec<String>,
}

/// A token to sign.
#[derive(Debug)]
struct Wanted {
    subject: String,
    key: Key,
}

impl Tokens {
    /// Reads the kept tokens, or makes them and keeps them.
    pub fn get(file: &Path) -> Result<Self> {
        let now = keys::now();
        if let Some(all) = kept(file, now) {
            return Self::of(all);
        }
        eprintln!("signing {ALL} tokens (kept in {})", file.display());
        let expires = now + GOOD_FOR_SECS;
        let all = sign_all(&wanted(), expires);
        let text = format!("{expires}\n{}\n{}\n", marker(), all.join("\n"));
        let part = file.with_extension("part");
        fs::write(&part, text).with_context(|| format!("writing {}", part.display()))?;
        fs::rename(&part, file).with_context(|| format!("writing {}", file.display()))?;
        Self::of(all)
    }

    fn of(mut many: Vec<String>) -> Result<Self> {
        if many.len() != ALL {
            bail!("{} tokens instead of {ALL}", many.len());
        }
        let mut one_subject = many.split_off(COLD);
        let es256 = one_subject.split_off(WARM);
        Ok(Self { many, one_subject, es256 })
    }

    /// Tokens that a cache holds.
    pub fn warm(&self) -> &[String] {
        self.many.get(..WARM).unwrap_or_default()
    }

    /// Tokens of which no cache has seen the next one lately.
    pub fn cold(&self) -> &[String] {
        &self.many
    }

    /// Tokens of one subject.
    pub fn one_subject(&self) -> &[String] {
        &self.one_subject
    }

    /// As [`Tokens::cold`], signed with ES256.
    pub fn es256(&self) -> &[String] {
        &self.es256
    }
}

/// Tokens that no entry sends, each of a subject of its own. With ES256, which takes a tenth of
/// the time to sign; they are not kept.
pub fn unseen(numbers: Range<usize>) -> Vec<String> {
    let wanted: Vec<Wanted> = numbers
        .map(|number| Wanted { subject: format!("unseen-{number:06}"), key: Key::Ec })
        .collect();
    sign_all(&wanted, keys::now() + GOOD_FOR_SECS)
}

fn wanted() -> Vec<Wanted> {
    let many =
        |key| (0..COLD).map(move |index| Wanted { subject: format!("user-{index:05}"), key });
    let one = (0..WARM).map(|_| Wanted { subject: "user-hot".to_owned(), key: Key::Rsa });
    many(Key::Rsa).chain(one).chain(many(Key::Ec)).collect()
}

/// What kept tokens were made with.
fn marker() -> String {
    let keys: String = keys::JWKS.split_whitespace().collect();
    format!("{VERSION} {} {} {keys}", keys::ISSUER, keys::AUDIENCE)
}

fn kept(file: &Path, now: u64) -> Option<Vec<String>> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let expires: u64 = lines.next()?.parse().ok()?;
    if expires < now + SPARE_SECS || lines.next()? != marker() {
        return None;
    }
    let tokens: Vec<String> = lines.map(str::to_owned).collect();
    (tokens.len() == ALL).then_some(tokens)
}

fn sign_all(wanted: &[Wanted], expires: u64) -> Vec<String> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = wanted.len().div_ceil(threads).max(1);
    let sign_some = |wanted: &[Wanted]| -> Vec<String> {
        wanted.iter().map(|wanted| sign(wanted, expires)).collect()
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            wanted.chunks(share).map(|wanted| scope.spawn(move || sign_some(wanted))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    })
}

/// As large as a real one: what a login of this suite puts into a token.
fn sign(wanted: &Wanted, expires: u64) -> String {
    let Wanted { subject, key } = wanted;
    Token::of(subject)
        .key(*key)
        .scope("content.read content.write")
        .claim("exp", json!(expires))
        .claim("sessionId", json!(format!("session-of-{subject}")))
        .claim("role", json!("student"))
        .sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_kept_while_they_are_good() {
        let file = std::env::temp_dir().join(format!("postern-bench-{}", std::process::id()));
        let all: Vec<String> = (0..ALL).map(|index| format!("token-{index}")).collect();
        fs::write(&file, format!("1000000\n{}\n{}\n", marker(), all.join("\n"))).unwrap();
        assert_eq!(kept(&file, 1000).as_ref(), Some(&all));
        assert_eq!(kept(&file, 999_999), None, "about to end");
        fs::write(&file, format!("1000000\n{}\n{}\n", marker(), "one")).unwrap();
        assert_eq!(kept(&file, 1000), None, "too few");
        fs::write(&file, format!("1000000\n0 other\n{}\n", all.join("\n"))).unwrap();
        assert_eq!(kept(&file, 1000), None, "of other keys");
        fs::remove_file(&file).unwrap();
        assert_eq!(kept(&file, 1000), None);
        let tokens = Tokens::of(all).unwrap();
        assert_eq!((tokens.warm().len(), tokens.cold().len()), (WARM, COLD));
        assert_eq!(tokens.one_subject().first().map(String::as_str), Some("token-12000"));
        assert_eq!(tokens.es256().first().map(String::as_str), Some("token-14000"));
        assert_eq!((tokens.one_subject().len(), tokens.es256().len()), (WARM, COLD));
    }

    #[test]
    fn signed_in_order_by_several_threads() {
        let signed = unseen(0..5);
        assert_eq!(signed.len(), 5);
        let distinct: std::collections::BTreeSet<_> = signed.iter().collect();
        assert_eq!(distinct.len(), signed.len());
        let all = wanted();
        assert_eq!(all.len(), ALL);
        assert_eq!(all.iter().filter(|wanted| wanted.key == Key::Ec).count(), COLD);
    }
}
