use super::{OPEN, load, problems};
use crate::{Feed, FeedIdentity, FeedPeer, ForwardedCert, from_json};

const HASH: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

fn feed(members: &str) -> String {
    format!(r#""feed": {{{members}}},"#)
}

#[test]
fn the_feed_is_read() {
    let members = format!(
        r#""forwarded_client_cert": "local_proxy", "poll": "1s", "peers": [
            {{"spiffe": "spiffe://mesh/ns/a/sa/b", "workloads": ["edge", "shop"]}},
            {{"name": "edge-eu", "credential_sha256": "{HASH}", "workloads": ["edge"]}}]"#
    );
    let document = load(&feed(&members), &[OPEN]).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected = Feed {
        forwarded_client_cert: Some(ForwardedCert::LocalProxy),
        poll_ms: Some(1000),
        peers: vec![
            FeedPeer {
                identity: FeedIdentity::Spiffe("spiffe://mesh/ns/a/sa/b".to_owned()),
                workloads: names(&["edge", "shop"]),
            },
            FeedPeer {
                identity: FeedIdentity::Credential {
                    name: "edge-eu".to_owned(),
                    sha256: [0x0f; 32],
                },
                workloads: names(&["edge"]),
            },
        ],
    };
    assert_eq!(document.feed, expected);
    let whole = from_json(document.to_json().as_bytes()).unwrap();
    assert_eq!((whole.feed, whole.digest), (expected, document.digest.clone()));
    let of_filters = from_json(document.filter_config().as_bytes()).unwrap();
    assert_eq!(of_filters.feed, Feed { poll_ms: Some(1000), ..Feed::default() });
    assert_eq!(of_filters.digest, document.digest);
    assert!(!document.filter_config().contains(HASH));
}

#[test]
fn the_feed_is_needed_for_revocation_and_not_for_itself() {
    let revocation = r#""revocation": {"max_staleness": "2s", "when_stale": "deny"},"#;
    for (members, expected) in [
        (String::new(), false),
        (feed(""), false),
        (feed(r#""poll": "200ms""#), false),
        (revocation.to_owned(), true),
        (format!("{revocation} {}", feed(r#""poll": "1s""#)), true),
    ] {
        assert_eq!(load(&members, &[OPEN]).unwrap().needs_feed(), expected, "{members}");
    }
}

#[test]
fn who_may_ask_is_named_once_and_clearly() {
    let peer = |members: &str| format!(r#""peers": [{{{members}}}]"#);
    let spiffe = r#""spiffe": "spiffe://mesh/a", "workloads": ["edge"]"#;
    let named = format!(r#""name": "a", "credential_sha256": "{HASH}", "workloads": ["edge"]"#);
    let other = named.replace("\"a\"", "\"b\"");
    let renewed = named.replace("0f0f", "0e0e");
    let first = "feed.peers[0]";
    let table = [
        (r#""poll": "199ms""#.to_owned(), "feed.poll", "200ms to 1m"),
        (r#""poll": "61s""#.to_owned(), "feed.poll", "200ms to 1m"),
        (r#""forwarded_client_cert": "me""#.to_owned(), "feed.forwarded_client_cert", "anyone"),
        (peer(r#""workloads": ["edge"]"#), first, "either"),
        (peer(r#""name": "a", "workloads": ["edge"]"#), first, "either"),
        (peer(&format!("{spiffe}, \"name\": \"a\"")), first, "either"),
        (peer(&format!("{}, {named}", r#""spiffe": "spiffe://mesh/a""#)), first, "either"),
        (peer(r#""spiffe": [], "workloads": ["edge"]"#), "feed.peers[0].spiffe", "expected text"),
        (peer(&spiffe.replace("mesh/", "mesh?")), "feed.peers[0].spiffe", "SPIFFE id, for example"),
        (
            peer(&spiffe.replace("spiffe://", "")),
            "feed.peers[0].spiffe",
            "expected a SPIFFE id, written spiffe://mesh/a",
        ),
        (peer(&named.replace("\"a\"", "\"A\"")), "feed.peers[0].name", "lower-case"),
        (peer(&named.replace("0f", "0")), "feed.peers[0].credential_sha256", "64"),
        (peer(r#""spiffe": "spiffe://mesh/a""#), "feed.peers[0].workloads", "name the workloads"),
        (peer(&spiffe.replace("edge", "Edge")), "feed.peers[0].workloads", "lower-case"),
        (
            peer(&spiffe.replace("\"edge\"", "\"edge\", \"edge\"")),
            "feed.peers[0].workloads",
            "twice",
        ),
        (format!(r#""peers": [{{{spiffe}}}, {{{spiffe}}}]"#), "feed.peers[1]", "twice"),
        (format!(r#""peers": [{{{named}}}, {{{other}}}]"#), "feed.peers[1]", "twice"),
        (format!(r#""peers": [{{{named}}}, {{{renewed}}}]"#), "feed.peers[1]", "twice"),
    ];
    for (members, place, word) in table {
        let found = problems(&feed(&members), &[OPEN]);
        let [only] = found.as_slice() else { panic!("{found:?} for {members}") };
        assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
    }
}

#[test]
fn one_question_may_fail_without_anything_being_stale() {
    let with = |max_staleness: &str, poll: &str| {
        let revocation = format!(
            r#""revocation": {{"max_staleness": "{max_staleness}", "when_stale": "deny"}}"#
        );
        problems(&format!("{revocation}, {}", feed(&format!(r#""poll": "{poll}""#))), &[OPEN])
    };
    assert!(with("2s", "1s").is_empty());
    assert!(with("1h", "1m").is_empty());
    for (max_staleness, poll) in [("2s", "1001ms"), ("1m", "1m")] {
        let found = with(max_staleness, poll);
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert!(only.starts_with("feed.poll: ") && only.contains("max_staleness"), "{only}");
    }
}
