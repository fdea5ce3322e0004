//! An answer of the server to the feed: whatever it holds, nothing panics, memory stays bounded,
//! and what was revoked is never found good again. Read as what was lent, it lets no more pass
//! than it says, and what the document lets pass on credit.
//!
//! Input: the body of an answer, or of a call for slices.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filter_feed::{Answered, Feed, Judgement, Settings};
use postern_filter_shared_data::Memory;
use postern_leases::{Borrower, Grant, LeaseId, Spent, Start, Terms};
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_proto::feed::v1::{BorrowRequest, BorrowResponse};
use postern_proto::framing;
use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Marks};
use prost::Message;

const NOW: UnixMillis = UnixMillis(1_000_000);
/// What may pass on credit.
const ALLOWANCE: u32 = 10;

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

/// What is read is written as it was read.
fn read<M: Message + Default + PartialEq>(message: &[u8]) -> Option<M> {
    let read = M::decode(message).ok()?;
    assert!(M::decode(read.encode_to_vec().as_slice()).is_ok_and(|again| again == read));
    Some(read)
}

fn borrow(answer: &BorrowResponse) {
    let rate = Rate::parse("1000/1m").unwrap();
    let spec = Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap();
    let start = Start::Optimistic { allowance: ALLOWANCE };
    let terms = Terms::new(10, 10, 5_000, start).unwrap();
    let mut borrower = Borrower::default();
    let (mut lent, mut passed) = (0_u64, 0_u64);
    for grant in &answer.grants {
        let Ok(id) = grant.id.as_slice().try_into() else { continue };
        let said = Grant {
            granted: grant.granted,
            life_ms: grant.life_ms.into(),
            remaining: grant.remaining,
            reset_ms: grant.reset_ms,
        };
        lent = lent.saturating_add(grant.granted);
        let _ = borrower.granted(LeaseId(id), said, NOW, NOW);
        for cost in [1, grant.granted, 3] {
            if let Spent::Passed { .. } = borrower.spend(spec, &terms, cost, NOW) {
                passed = passed.saturating_add(cost);
            }
        }
        assert!(passed <= lent.saturating_add(ALLOWANCE.into()), "{passed} of {lent}");
        borrower = Borrower::decode(&borrower.encode());
    }
}

fuzz_target!(|input: &[u8]| {
    if let Ok(message) = framing::unframe(input) {
        let _ = read::<BorrowRequest>(message);
        if let Some(answer) = read(message) {
            borrow(&answer);
        }
    }
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
