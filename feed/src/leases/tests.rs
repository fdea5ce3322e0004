use super::*;
use crate::settings::{Quota, Quotas};
use crate::testing::lending::{LendingRig, leased, stamp_of};
use postern_store::LimitKey;
use postern_store::volatile::Take;

const MILLISECOND: Duration = Duration::from_millis(1);
const PEER: PeerIdentity = PeerIdentity::Loopback;

fn of(limit: &str, rate: &str, key: u8) -> LeasedKey {
    let key = LimitKey { owner: key.into(), hash: [key; 16] };
    LeasedKey { stamp: stamp_of(limit, rate), key }
}

/// The usual key.
fn alice() -> LeasedKey {
    of("per-user", "1000/1m", 1)
}

fn ask(of: LeasedKey, id: u8, asked: u64) -> (LeasedKey, Ask) {
    (of, Ask { id: LeaseId([id; 16]), asked })
}

fn back(of: LeasedKey, id: u8, unused: u64) -> (LeasedKey, Return) {
    (of, Return { id: LeaseId([id; 16]), unused })
}

fn borrowing(
    returns: impl IntoIterator<Item = (LeasedKey, Return)>,
    asks: impl IntoIterator<Item = (LeasedKey, Ask)>,
) -> Borrowing {
    Borrowing {
        workload: "payments".to_owned(),
        envoy_id: "a".to_owned(),
        document_digest: "document".to_owned(),
        returns: returns.into_iter().collect(),
        asks: asks.into_iter().collect(),
    }
}

/// What was lent, by the question's id; none where the limit is not known.
fn lent(answer: &Lent) -> Vec<(u8, Option<u64>)> {
    let of = |lease: &Lease| (lease.id.0[0], lease.grant.map(|grant| grant.granted));
    answer.leases.iter().map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_makes_room_for_what_is_asked() {
    let rig = LendingRig::new(&Settings::default());
    // Two hundred may be out, and nobody gets more than half of what is left of that.
    let first = borrowing([], [ask(alice(), 1, 500), ask(alice(), 2, 500)]);
    let answer = rig.lender.borrow(&PEER, &first).await.unwrap();
    assert_eq!(lent(&answer), [(1, Some(100)), (2, Some(50))]);
    let grant = answer.leases[0].grant.unwrap();
    assert_eq!((grant.life_ms, grant.remaining), (5_000, 900));
    assert!(answer.next >= MILLISECOND * 900 && answer.next <= MILLISECOND * 1_100);

    let second = borrowing([back(alice(), 1, 40)], [ask(alice(), 3, 500)]);
    let answer = rig.lender.borrow(&PEER, &second).await.unwrap();
    assert_eq!((lent(&answer), answer.returned), (vec![(3, Some(75))], vec![LeaseId([1; 16])]));
    for (outcome, expected) in [("granted", 3.0), ("nothing", 0.0), ("refused", 0.0)] {
        let name = format!("postern_feed_leases_total{{outcome=\"{outcome}\"");
        assert_eq!(rig.metric(&name), expected, "{outcome}");
    }
    assert_eq!(rig.metric("postern_feed_lease_returns_total{"), 1.0);
    assert_eq!(rig.metric("postern_feed_borrow_requests_total{outcome=\"answered\""), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_repeated_does_nothing_new() {
    let rig = LendingRig::new(&Settings::default());
    let first = borrowing([], [ask(alice(), 1, 30)]);
    rig.lender.borrow(&PEER, &first).await.unwrap();
    let call = borrowing([back(alice(), 1, 30)], [ask(alice(), 2, 30), ask(alice(), 3, 30)]);
    let before = rig.lender.borrow(&PEER, &call).await.unwrap();
    tokio::time::sleep(MILLISECOND * 2_000).await;
    let again = rig.lender.borrow(&PEER, &call).await.unwrap();
    assert_eq!((lent(&again), &again.returned), (lent(&before), &before.returned));
    let life = |answer: &Lent| answer.leases[0].grant.unwrap().life_ms;
    assert_eq!(life(&before), 5_000);
    assert!((2_990..=3_000).contains(&life(&again)), "of the same lease");
    let remaining = again.leases[0].grant.unwrap().remaining;
    assert_eq!(remaining, 1_000 - 60, "what was lent twice was debited once");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_leased_here_is_said_to_be_unknown_and_the_store_is_not_asked() {
    let rig = LendingRig::new(&Settings::default());
    let other = of("other", "1000/1m", 1);
    let strange = [of("per-user", "3000/1m", 1), of("per-ip", "2000/1m", 1), other];
    let asks = (1..).zip(strange).map(|(id, of)| ask(of, id, 10));
    let returns = (1..).zip(strange).map(|(id, of)| back(of, id, 10));
    let answer = rig.lender.borrow(&PEER, &borrowing(returns, asks)).await.unwrap();
    assert_eq!(lent(&answer), [(1, None), (2, None), (3, None)]);
    assert_eq!(answer.returned, [1, 2, 3].map(|id| LeaseId([id; 16])), "not to be sent again");
    assert_eq!(rig.store.asked(), 0);
    assert_eq!(rig.metric("postern_feed_leases_total{outcome=\"refused\""), 3.0);

    let mixed = [ask(other, 4, 10), ask(alice(), 5, 10), ask(other, 6, 10)];
    let answer = rig.lender.borrow(&PEER, &borrowing([], mixed)).await.unwrap();
    assert_eq!(lent(&answer), [(4, None), (5, Some(10)), (6, None)]);
}

#[tokio::test(start_paused = true)]
async fn whether_an_envoy_runs_another_document_is_counted_and_told() {
    let rig = LendingRig::new(&Settings::default());
    for (document, times) in [("document", 2), ("other", 1)] {
        for id in 0..times {
            let call = borrowing([], [ask(alice(), id + 1, 1)]);
            let call = Borrowing { document_digest: document.to_owned(), ..call };
            let answer = rig.lender.borrow(&PEER, &call).await.unwrap();
            assert_eq!(lent(&answer), [(id + 1, Some(1))], "{document}: it is lent all the same");
            assert_eq!(answer.document_digest, "document");
        }
    }
    for (document, times) in [("same", 2.0), ("other", 1.0)] {
        let name = format!("postern_feed_documents_total{{document=\"{document}\"");
        assert_eq!(rig.metric(&name), times, "{document}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_reaches_the_leases_of_one_limit_and_nothing_else() {
    let rig = LendingRig::new(&Settings::default());
    let named =
        [("per-user", "1000/1m", 900), ("per-user", "2000/1m", 1_900), ("per-ip", "1000/1m", 900)];
    for (id, (limit, rate, remaining)) in (1..).zip(named) {
        let call = borrowing([], [ask(of(limit, rate, 7), id, 100)]);
        let answer = rig.lender.borrow(&PEER, &call).await.unwrap();
        let grant = answer.leases[0].grant.unwrap();
        assert_eq!((grant.granted, grant.remaining), (100, remaining), "{limit} {rate}");
    }
    // An exact limit may count under what a peer has named.
    let (key, now) = (of("per-user", "1000/1m", 7).key, rig.clock.now().wall);
    let take = Take::Rate { spec: leased("1000/1m").spec, cost: 0 };
    assert_eq!(rig.store.memory.inspect(key, take, now).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn what_a_part_of_the_store_cannot_answer_is_left_out() {
    let rig = LendingRig::new(&Settings::default());
    let bob = || of("per-user", "1000/1m", 2);
    let call = || {
        let returns = [back(alice(), 8, 10), back(bob(), 9, 10)];
        borrowing(returns, [ask(bob(), 1, 10), ask(alice(), 2, 10), ask(bob(), 3, 10)])
    };
    rig.store.away([2]);
    let answer = rig.lender.borrow(&PEER, &call()).await.unwrap();
    assert_eq!((lent(&answer), answer.returned), (vec![(2, Some(10))], vec![LeaseId([8; 16])]));
    rig.store.away([1, 2]);
    let refusal = rig.lender.borrow(&PEER, &call()).await.unwrap_err();
    let BorrowRefusal::Unavailable { next_poll } = refusal else { panic!("{refusal}") };
    assert!(next_poll >= AWAY_PAUSE && next_poll <= AWAY_PAUSE * 2, "{next_poll:?}");
    rig.store.away([]);
    let answer = rig.lender.borrow(&PEER, &call()).await.unwrap();
    assert_eq!(lent(&answer), [(1, Some(10)), (2, Some(10)), (3, Some(10))]);
    for outcome in ["partly", "unavailable", "answered"] {
        let name = format!("postern_feed_borrow_requests_total{{outcome=\"{outcome}\"");
        assert_eq!(rig.metric(&name), 1.0, "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn peers_have_quotas_of_their_own() {
    let leases = Quota { times: 4, period: MILLISECOND * 60_000, burst: 4 };
    let quotas = Quotas { leases, ..Quotas::default() };
    let rig = LendingRig::new(&Settings { quotas, ..Settings::default() });
    let three = || borrowing([back(alice(), 9, 1)], [ask(alice(), 1, 1), ask(alice(), 2, 1)]);
    rig.lender.borrow(&PEER, &three()).await.unwrap();
    let refusal = rig.lender.borrow(&PEER, &three()).await.unwrap_err();
    let BorrowRefusal::OverQuota { next_poll } = refusal else { panic!("{refusal}") };
    assert!(next_poll >= MILLISECOND * 29_000, "two more are there in half a minute");
    assert_eq!(rig.store.asked(), 3, "nothing more");
    assert_eq!(rig.metric("postern_feed_quota_refusals_total{quota=\"leases\""), 1.0);
    let other = PeerIdentity::Credential("other".to_owned());
    rig.lender.borrow(&other, &three()).await.unwrap();
    // To ask for nothing is not for nothing.
    rig.lender.borrow(&PEER, &borrowing([], [])).await.unwrap();
    assert!(rig.lender.borrow(&PEER, &borrowing([], [])).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_ask_or_makes_no_sense_is_lent_nothing() {
    let rig = LendingRig::new(&Settings::default());
    let mut orders = borrowing([], [ask(alice(), 1, 1)]);
    orders.workload = "orders".to_owned();
    let refusal = rig.lender.borrow(&PEER, &orders).await.unwrap_err();
    assert_eq!(refusal, BorrowRefusal::NotPermitted);
    let nothing = borrowing([], [ask(alice(), 1, 0)]);
    let refusal = rig.lender.borrow(&PEER, &nothing).await.unwrap_err();
    assert_eq!(refusal, BorrowRefusal::Invalid(BorrowError::Nothing));
    assert_eq!(rig.store.asked(), 0);
    for outcome in ["not_permitted", "invalid"] {
        let name = format!("postern_feed_borrow_requests_total{{outcome=\"{outcome}\"");
        assert_eq!(rig.metric(&name), 1.0, "{outcome}");
    }
}
