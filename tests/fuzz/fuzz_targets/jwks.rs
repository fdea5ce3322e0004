//! A key set of anybody's making: whatever is taken for a key is one that can be named, written
//! and asked, and no key of the fuzzer's making has signed a text that it never saw.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_jose::soft::SoftVerifier;
use postern_jose::{KeySet, KeyType, MAX_KEYS, MAX_KID_BYTES, SignatureVerifier as _, VerifyError};

fuzz_target!(|input: &[u8]| {
    let Ok(set) = KeySet::parse(input) else { return };
    assert!(set.keys.len() + set.skipped.len() <= MAX_KEYS);
    // A set without any key is one; a set of which none is usable is not.
    assert!(!set.keys.is_empty() || set.skipped.is_empty());
    for key in &set.keys {
        assert!(key.id.as_ref().is_none_or(|id| id.len() <= MAX_KID_BYTES));
        assert_eq!(key.algorithm.key_type(), key.material.key_type());
        assert!(set.candidates(key.algorithm, key.id.as_deref()).any(|found| found == key));
        assert_ne!(key.thumbprint(), [0; 32]);
        // A sequence that is as long as it says (X.690 §8.1.3).
        let length = match key.spki.as_slice() {
            [0x30, 0x81, length, rest @ ..] => (usize::from(*length), rest.len()),
            [0x30, 0x82, a, b, rest @ ..] => {
                (usize::from(u16::from_be_bytes([*a, *b])), rest.len())
            }
            [0x30, length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!(length.0, length.1);
        // Large RSA keys take long; one of every other kind is enough to look for panics.
        if key.material.key_type() == KeyType::Rsa && key.signature_bytes() > 512 {
            continue;
        }
        let signature = vec![1; key.signature_bytes()];
        match SoftVerifier.verify(key, b"never signed", &signature) {
            Ok(holds) => assert!(!holds, "a signature out of nothing"),
            Err(error) => assert_eq!(error, VerifyError::Unsupported),
        }
    }
});
