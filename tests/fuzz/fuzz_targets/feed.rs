//! An answer of the server to the feed: whatever it holds, nothing panics, memory stays bounded,
//! and what was revoked is never found good again.
//!
//! Input: the body of an answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filter_feed::{Answered, Feed, Judgement, Settings};
use postern_filter_shared_data::Memory;
use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Marks};

const NOW: UnixMillis = UnixMillis(1_000_000);

fn settings() -> Settings {
    Settings {
        workload: "w".to_owned(),
        envoy_id: "e".to_owned(),
        tick_ms: 100,
        wait_ms: 0,
        poll_ms: 0,
        max_staleness_ms: 1_000,
        issuers: vec!["i".to_owned()],
    }
}

fuzz_target!(|input: &[u8]| {
    let shared = Memory::default();
    let mut feed = Feed::new(settings(), "d", &shared, NOW);
    let mut revoked = false;
    // Once as a first answer, and again as one to a set that is there.
    for _ in 0..3 {
        for _ in 0..100 {
            if feed.tick(&shared).is_some() {
                break;
            }
        }
        let _ = feed.answered(&shared, Answered::Body(input), NOW);
        let _ = feed.take_key_sets(&shared);
        let key = feed.key().unwrap_or(FingerprintKey::new([0; 16]));
        let marks = Marks::of(&key, "i", Some("t"), None, Some("s"), None, Some("k"));
        match feed.judge(&shared, &marks, Some(1), None, NOW) {
            Judgement::Revoked => revoked = true,
            Judgement::Good => assert!(!revoked, "a revocation was taken back"),
            Judgement::Stale => {}
        }
    }
    assert!(shared.keys() <= 2 * (16_384 + 1_536) + 256);
});
