//! Recovery codes: for when nothing else is at hand. Each has 80 random bits and is good once; of
//! all of them keyed hashes are kept.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_oauth::Secret;
use postern_store::durable::Sealed;

use super::totp::base32;
use crate::vault::{Purpose, Vault};
use crate::{IdentityError, random};

/// How many are made at once.
pub(crate) const CODES: usize = 10;
/// Random bytes of one.
const CODE_BYTES: usize = 10;
/// Characters of one, without the dashes between them.
const CODE_CHARS: usize = 16;
const HASH_BYTES: usize = 32;

/// New codes as people write them down, and what is kept of them.
pub(crate) fn make(vault: &Vault, factor_id: &str) -> Result<(Vec<Secret>, Sealed), IdentityError> {
    let mut codes = Vec::with_capacity(CODES);
    let mut kept = Vec::with_capacity(CODES * HASH_BYTES);
    for _ in 0..CODES {
        let code = Secret::new(base32(random::bytes::<CODE_BYTES>()?.as_slice()));
        kept.extend_from_slice(&hash(vault, factor_id, code.expose()));
        codes.push(grouped(&code));
    }
    Ok((codes, Sealed(kept)))
}

/// A code as it was typed in: without spaces and dashes, and in capitals; none where it cannot be
/// one.
pub(crate) fn read(typed: &str) -> Option<Secret> {
    let code: String = typed
        .chars()
        .filter(|char| !matches!(char, ' ' | '-'))
        .map(|char| char.to_ascii_uppercase())
        .collect();
    let is_digit = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7');
    let code = Secret::new(code);
    let fits = code.expose().len() == CODE_CHARS && code.expose().bytes().all(is_digit);
    fits.then_some(code)
}

/// What is kept once this code is spent, and how many are left; none where it is none of them. All
/// are looked at, whichever fits.
pub(crate) fn spend(
    vault: &Vault,
    factor_id: &str,
    kept: &Sealed,
    code: &Secret,
) -> Option<(Sealed, usize)> {
    let shown = hash(vault, factor_id, code.expose());
    let (mut left, mut found) = (Vec::with_capacity(kept.0.len()), false);
    for hash in kept.0.chunks_exact(HASH_BYTES) {
        if verify_slices_are_equal(hash, &shown).is_ok() && !found {
            found = true;
        } else {
            left.extend_from_slice(hash);
        }
    }
    let count = left.len() / HASH_BYTES;
    found.then_some((Sealed(left), count))
}

/// How many are left.
pub(crate) const fn left(kept: &Sealed) -> usize {
    kept.0.len() / HASH_BYTES
}

/// The factor's id goes into it: hashes that somebody copies to another user are worth nothing.
fn hash(vault: &Vault, factor_id: &str, code: &str) -> [u8; HASH_BYTES] {
    vault.tag(Purpose::Recovery, [factor_id, ":", code].concat().as_bytes())
}

fn grouped(code: &Secret) -> Secret {
    let mut text = String::with_capacity(CODE_CHARS + 3);
    for (at, char) in code.expose().chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.push(char);
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyEncryptionKey;

    fn vault() -> Vault {
        Vault::new(KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap())
    }

    #[test]
    fn a_code_is_good_once() {
        let vault = vault();
        let (codes, kept) = make(&vault, "f").unwrap();
        assert_eq!((codes.len(), left(&kept)), (CODES, CODES));
        let code = read(&codes[3].expose().to_lowercase().replace('-', " ")).unwrap();
        let (rest, count) = spend(&vault, "f", &kept, &code).unwrap();
        assert_eq!((count, left(&rest)), (CODES - 1, CODES - 1));
        assert_eq!(spend(&vault, "f", &rest, &code), None);
        let other = read(codes[4].expose()).unwrap();
        assert!(spend(&vault, "f", &rest, &other).is_some());
        assert_eq!(spend(&vault, "another factor", &kept, &code), None);
        assert!(codes.iter().all(|code| code.expose().len() == 19), "{}", codes[0].expose());
    }

    #[test]
    fn no_code_is_kept_and_none_comes_twice() {
        let (codes, kept) = make(&vault(), "f").unwrap();
        for (at, code) in codes.iter().enumerate() {
            assert!(codes.iter().skip(at + 1).all(|other| other != code));
            let bare = read(code.expose()).unwrap();
            let shown = bare.expose().as_bytes();
            assert!(!kept.0.windows(shown.len()).any(|window| window == shown));
        }
    }

    #[test]
    fn what_cannot_be_a_code_is_none() {
        for typed in
            ["", "123456", "AAAA-AAAA-AAAA-AAA", "AAAA-AAAA-AAAA-AAA1", "ÄAAA-AAAA-AAAA-AAAA"]
        {
            assert_eq!(read(typed), None, "{typed}");
        }
        assert!(read("aaaa aaaa aaaa aaa2").is_some());
    }
}
