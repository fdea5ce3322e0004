//! Answers that are not what they should be.

use super::*;
use proptest::prelude::*;

fn snapshot(process: &mut Process, change: impl Fn(&mut ExchangeResponse)) -> FeedError {
    let body = process.until_asked(0);
    let asked = ExchangeRequest::decode(framing::unframe(&body).unwrap()).unwrap();
    process.server().piece = Some(BUCKETS);
    let mut answer = process.server().respond(&asked, NOW);
    change(&mut answer);
    let answer = framing::frame(&answer).unwrap();
    process.vms[0].answered(&process.shared, Answered::Body(&answer), NOW).unwrap_err()
}

#[test]
fn snapshots_that_make_no_sense_are_refused() {
    type Change = fn(&mut ExchangeResponse, &mut Snapshot);
    let changes: [Change; 8] = [
        |answer, _| answer.fingerprint_key.truncate(15),
        |_, piece| piece.last = false,
        |_, piece| piece.first_bucket = 7,
        |_, piece| piece.buckets.push(Vec::new()),
        |_, piece| piece.buckets.clear(),
        |_, piece| piece.buckets[3] = vec![0; 15],
        |_, piece| piece.buckets[3] = vec![0; 16],
        |_, piece| piece.total_records = u64::MAX,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut process = Process::new(1);
        let error = snapshot(&mut process, |answer| {
            let mut piece = answer.snapshot.take().unwrap();
            change(answer, &mut piece);
            answer.snapshot = Some(piece);
        });
        let expected = if at == 7 { FeedError::TooLarge } else { FeedError::Malformed };
        assert_eq!(error, expected, "{at}");
        process.ticks(30);
        assert_eq!(process.judge("alice"), [Good], "and what makes sense is taken again: {at}");
    }
}

#[test]
fn an_epoch_has_one_key() {
    let mut process = Process::synced(1, &["a"]);
    process.server().forgetful = true;
    let error = snapshot(&mut process, |answer| answer.fingerprint_key = vec![8; 16]);
    assert_eq!(error, FeedError::Malformed);
    assert_eq!(process.judge("a"), [Revoked]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_answered_a_revoked_token_stays_revoked(
        junk in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..2000,
    ) {
        let mut process = Process::synced(2, &["a"]);
        for _ in 0..3 {
            let body = process.until_asked(0);
            let whole = process.server().answer(&body, NOW).unwrap();
            let mut answer = whole[..cut.min(whole.len())].to_vec();
            answer.extend_from_slice(&junk);
            let _ = process.vms[0].answered(&process.shared, Answered::Body(&answer), NOW);
        }
        prop_assert_ne!(process.judge("a")[0], Good);
    }
}
