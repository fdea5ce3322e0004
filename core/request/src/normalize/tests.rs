use proptest::prelude::*;

use super::*;
use crate::path;

fn read(path: &str, rules: Normalization) -> Result<String, Rejected> {
    normalize(path, rules)
}

/// Each as an Envoy 1.36.4 and an Envoy 1.40.0 read it.
#[test]
fn paths_are_read_as_envoy_reads_them() {
    for (path, expected) in [
        ("/", Ok("/")),
        ("/a/b/", Ok("/a/b/")),
        ("/a//b///c", Ok("/a/b/c")),
        ("/a//", Ok("/a/")),
        ("//", Ok("//")),
        ("///", Ok("//")),
        ("/a/./b/../c", Ok("/a/c")),
        ("/a/%2e%2E/b", Ok("/b")),
        ("/a/%2e./b", Ok("/b")),
        ("/../../a", Ok("/a")),
        ("/a/..", Ok("/")),
        ("/a/.", Ok("/a/")),
        ("/a/...", Ok("/a/...")),
        ("/a/..b/.c", Ok("/a/..b/.c")),
        ("/a/b/..//../c", Ok("/a/c")),
        ("/a\\b", Ok("/a/b")),
        ("/a\\..\\b", Ok("/b")),
        ("/%61dmin", Ok("/admin")),
        ("/~%7e%2D%5f", Ok("/~~-_")),
        ("/a%3Ab%3a", Ok("/a%3Ab%3a")),
        ("/%7B%20", Ok("/%7B%20")),
        ("/a\"<>^`{|}", Ok("/a%22%3C%3E%5E%60%7B%7C%7D")),
        ("/[a]!$&'()*+,;=:@", Ok("/[a]!$&'()*+,;=:@")),
        ("/%zz%4", Ok("/%zz%4")),
        ("/%2561", Ok("/%2561")),
        ("/%%361", Ok("/%2561")),
        ("/%%36%31", Ok("/%2561")),
        ("/%%30%30", Ok("/%2500")),
        ("/a/..;x/b", Ok("/a/..;x/b")),
        ("/a%2Fb", Err(Rejected::EscapedSlash)),
        ("/a%5cb", Err(Rejected::EscapedSlash)),
        ("/a%00", Err(Rejected::EscapedZero)),
        ("/a#b", Err(Rejected::Fragment)),
        ("/a b", Err(Rejected::Character)),
        ("/a\u{1}", Err(Rejected::Character)),
        ("/a\u{7f}", Err(Rejected::Character)),
        ("/\u{e9}", Err(Rejected::Character)),
        ("*", Err(Rejected::NotAbsolute)),
        ("a/b", Err(Rejected::NotAbsolute)),
        ("", Err(Rejected::NotAbsolute)),
    ] {
        assert_eq!(
            read(path, Normalization::ENVOY).as_deref(),
            expected.as_ref().copied(),
            "{path}"
        );
    }
}

#[test]
fn istios_four_ways_differ() {
    let ways = [
        Normalization::ISTIO_NONE,
        Normalization::ISTIO_BASE,
        Normalization::ISTIO_MERGE,
        Normalization::ISTIO_DECODE,
    ];
    for (path, expected) in [
        ("/%61//b", ["/%61//b", "/a//b", "/a/b", "/a/b"]),
        ("/a/%2e%2e%2fb", ["/a/%2e%2e%2fb", "/a/..%2fb", "/a/..%2fb", "/b"]),
        ("/a%5Cb", ["/a%5Cb", "/a%5Cb", "/a%5Cb", "/a/b"]),
        ("/a%252fb", ["/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb"]),
    ] {
        let found = ways.map(|way| read(path, way).unwrap());
        assert_eq!(found, expected, "{path}");
    }
    assert_eq!(read("/%00", Normalization::ISTIO_NONE).as_deref(), Ok("/%00"));
    assert_eq!(read("/%00", Normalization::ISTIO_BASE), Err(Rejected::EscapedZero));
}

#[test]
fn newer_envoys_take_parameters_off_dots() {
    let newer = Normalization { dot_parameters: true, ..Normalization::ENVOY };
    for (path, expected) in [
        ("/a/..;x/b", "/b"),
        ("/a/.;/b", "/a/b"),
        ("/a/..;", "/"),
        // Only as they are written, before anything is decoded.
        ("/%2e%2e;a/b", "/..;a/b"),
        ("/a;x/b", "/a;x/b"),
    ] {
        assert_eq!(read(path, newer).as_deref(), Ok(expected), "{path}");
    }
    let off = Normalization { base: false, ..newer };
    assert_eq!(read("/a/..;x/b", off).as_deref(), Ok("/a/..;x/b"), "a part of `base`");
}

proptest! {
    /// Whatever comes out means to Envoy what it says: a second proxy changes nothing.
    #[test]
    fn what_is_normalised_stays_as_it_is(target in "/([a-c./\\\\;~{|]|%2e|%61|%7b|%25|%3A){0,16}") {
        if let Ok(once) = read(&target, Normalization::ENVOY) {
            prop_assert_eq!(read(&once, Normalization::ENVOY), Ok(once));
        }
    }

    /// What we decide on has nothing left that any Envoy would have read otherwise.
    #[test]
    fn what_passes_our_own_check_is_normal(target in "/([a-c0-9:{}/\\\\]|[.]|;|%3[Bb]|%[0-9a-f]{2}){0,16}") {
        let escaped_yet = ['{', '}', '"', '<', '>', '^', '`', '|'];
        if path::check(&target, true).is_ok() && !target.contains(escaped_yet) {
            for dot_parameters in [false, true] {
                let rules = Normalization { dot_parameters, ..Normalization::ENVOY };
                prop_assert_eq!(read(&target, rules), Ok(target.clone()));
            }
        }
    }

    /// Behind an Envoy, whatever its version, another one of another version changes nothing of
    /// what we let pass; without our check it would (`/%2e%2e;a`).
    #[test]
    fn what_passes_behind_one_envoy_is_normal_to_the_next(
        target in "/([a-c/\\\\]|[.]|;|%2[eE]|%3[Bb]|%61|%25){0,12}",
        first in any::<bool>(),
        second in any::<bool>(),
    ) {
        let rules = |dot_parameters| Normalization { dot_parameters, ..Normalization::ENVOY };
        if let Ok(once) = read(&target, rules(first))
            && path::check(&once, true).is_ok()
        {
            prop_assert_eq!(read(&once, rules(second)), Ok(once));
        }
    }
}
