use super::*;

const EC: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;

fn set(keys: &[String]) -> Result<KeySet, KeySetError> {
    KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
}

fn ec(extra: &str) -> String {
    format!("{{{EC}{extra}}}")
}

#[test]
fn unusable_keys_are_skipped_and_say_why() {
    for (bad, reason) in [
        (ec(r#","use":"enc""#), "not for signatures (use)"),
        (ec(r#","alg":"RS256""#), "alg is not supported for this key type"),
        (r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(), "key type is not supported"),
        ("7".to_owned(), "key type is not supported"),
    ] {
        let set = set(&[bad.clone(), ec("")]).unwrap();
        assert_eq!(set.keys.len(), 1, "{bad}");
        assert_eq!(set.skipped, [SkippedKey { index: 0, reason }], "{bad}");
    }
}

#[test]
fn sets_that_cannot_be_used_are_refused() {
    assert_eq!(KeySet::parse(b"[]"), Err(KeySetError::Form));
    assert_eq!(KeySet::parse(b"{\"keys\":{}}"), Err(KeySetError::Form));
    assert_eq!(KeySet::parse(b"{\"keys\":[],\"keys\":[]}"), Err(KeySetError::Form));
    assert_eq!(set(&["7".to_owned()]), Err(KeySetError::Empty));
    assert_eq!(set(&[]).map(|set| set.keys.len()), Ok(0), "all keys were withdrawn");
    let twice = ec(r#","kid":"a""#);
    assert_eq!(set(&[twice.clone(), twice]), Err(KeySetError::RepeatedId));
    assert_eq!(set(&vec![ec(""); MAX_KEYS + 1]), Err(KeySetError::TooLarge));
    let long = format!("{{\"keys\":[{}]{}}}", ec(""), " ".repeat(MAX_SET_BYTES));
    assert_eq!(KeySet::parse(long.as_bytes()), Err(KeySetError::TooLarge));
}

#[test]
fn candidates_have_the_algorithm_and_the_id() {
    let set = set(&[ec(r#","kid":"a""#), ec(r#","kid":"b""#), ec("")]).unwrap();
    let count = |algorithm, kid| set.candidates(algorithm, kid).count();
    assert_eq!(count(Algorithm::Es256, Some("a")), 1);
    assert_eq!(count(Algorithm::Es256, Some("c")), 0);
    assert_eq!(count(Algorithm::Es256, Some("")), 0);
    assert_eq!(count(Algorithm::Es256, None), 3);
    assert_eq!(count(Algorithm::Es384, None), 0);
    assert!(set.has_id("a") && !set.has_id("c"));
}
