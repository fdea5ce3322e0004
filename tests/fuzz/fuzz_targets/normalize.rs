//! A path of anybody's making, as each kind of proxy reads it: nothing panics, it grows by no more
//! than its escapes, and a second proxy of the same kind changes nothing. What our own check lets
//! pass behind a proxy is read alike by all, whatever their versions.
//!
//! Input: a path.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_request::normalize::{Normalization, normalize};
use postern_request::path;

const WAYS: [Normalization; 5] = [
    Normalization::ENVOY,
    Normalization::ISTIO_NONE,
    Normalization::ISTIO_BASE,
    Normalization::ISTIO_MERGE,
    Normalization::ISTIO_DECODE,
];

fn with(rules: Normalization, dot_parameters: bool) -> Normalization {
    Normalization { dot_parameters, ..rules }
}

fuzz_target!(|input: &str| {
    for rules in WAYS {
        for dot_parameters in [false, true] {
            let Ok(once) = normalize(input, with(rules, dot_parameters)) else { continue };
            assert!(once.starts_with('/') && once.is_ascii());
            assert!(once.len() <= 3 * input.len());
            // Newer Envoys take parameters off dots before they decode: of `/%2e%2e;a` they leave
            // `/..;a`, which they would have read otherwise.
            if !dot_parameters {
                assert_eq!(normalize(&once, rules).as_ref(), Ok(&once));
            }
            // Without `base`, characters are left that others escape.
            if rules.base && path::check(&once, true).is_ok() {
                for newer in [false, true] {
                    let next = with(Normalization::ENVOY, newer);
                    assert_eq!(normalize(&once, next).as_ref(), Ok(&once));
                }
            }
        }
    }
});
