use super::*;
use crate::settings::{Answers, Bounds, Quota, Quotas, Settings};
use crate::testing::{Client, FakeSource, Rig};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn is_snapshot(answer: &Answer) -> bool {
    matches!(answer.content, Content::Snapshot { .. })
}

fn with_answers(answers: Answers) -> Settings {
    Settings { answers, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn before_the_list_is_read_nobody_is_told_anything() {
    let source = FakeSource::new(7);
    source.good_calls(Some(0));
    let rig = Rig::start(&source, Settings::default());
    let refusal = Client::new("a").exchange(&rig).await.unwrap_err();
    let Refusal::Loading { next_poll } = refusal else { panic!("{refusal}") };
    assert!(next_poll >= LOADING_PAUSE && next_poll <= LOADING_PAUSE * 2);
    assert_eq!(rig.metric("postern_feed_exchanges_total{outcome=\"loading\""), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_new_envoy_takes_a_snapshot_and_then_deltas() {
    let source = FakeSource::new(7);
    source.revoke("a");
    source.revoke("b");
    let rig = Rig::loaded(&source, Settings::default()).await;
    let mut client = Client::new("a");
    let first = client.exchange(&rig).await.unwrap();
    assert!(is_snapshot(&first));
    assert_eq!((first.epoch, first.cursor, first.next_poll), (7, 2, Duration::ZERO));
    assert_eq!((first.document_digest.as_str(), first.staleness), ("document", Duration::ZERO));
    client.assert_holds(["a", "b"]);

    let second = client.exchange(&rig).await.unwrap();
    assert_eq!((second.content, second.cursor), (Content::Nothing, 2));
    assert!(second.next_poll >= MILLISECOND * 900 && second.next_poll <= MILLISECOND * 1_100);

    rig.revoke("c");
    rig.caught_up().await;
    let third = client.exchange(&rig).await.unwrap();
    assert!(matches!(&third.content, Content::Added(records) if records.len() == 1));
    client.assert_holds(["a", "b", "c"]);
    for outcome in ["snapshot", "nothing", "delta"] {
        let name = format!("postern_feed_exchanges_total{{outcome=\"{outcome}\"");
        assert_eq!(rig.metric(&name), 1.0, "{outcome}");
    }
    assert_eq!(rig.metric("postern_feed_documents_total{document=\"same\""), 3.0);
    assert_eq!(rig.metric("postern_feed_snapshot_bytes_total{"), 32.0);
    assert_eq!(rig.metric("postern_feed_delta_records_total{"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_server_costs_no_snapshot() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let before = Rig::loaded(&source, Settings::default()).await;
    let mut client = Client::new("a");
    client.sync(&before).await;
    source.revoke("b");
    let after = Rig::loaded(&source, Settings::default()).await;
    let answer = client.exchange(&after).await.unwrap();
    assert!(matches!(answer.content, Content::Added(_)));
    client.assert_holds(["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_remembers_less_sends_a_snapshot_only_to_who_needs_it() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let long = Rig::loaded(&source, Settings::default()).await;
    let mut old = Client::new("old");
    old.sync(&long).await;
    for jti in ["b", "c", "d"] {
        long.revoke(jti);
    }
    long.caught_up().await;
    let mut young = old.clone();
    young.sync(&long).await;
    long.revoke("e");

    let bounds = Bounds { max_recent: 2, ..Bounds::default() };
    let short = Rig::loaded(&source, Settings { bounds, ..Settings::default() }).await;
    assert!(is_snapshot(&old.exchange(&short).await.unwrap()));
    let answer = young.exchange(&short).await.unwrap();
    assert!(matches!(&answer.content, Content::Added(records) if records.len() == 1));
    old.assert_holds(["a", "b", "c", "d", "e"]);
    young.assert_holds(["a", "b", "c", "d", "e"]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_behind_sets_nobody_back_to_a_snapshot() {
    let source = FakeSource::new(7);
    for jti in ["a", "b", "c"] {
        source.revoke(jti);
    }
    let ahead = Rig::loaded(&source, Settings::default()).await;
    let behind = Rig::loaded(&source.up_to(1), Settings::default()).await;
    let mut client = Client::new("a").waiting(SECOND * 10);
    client.sync(&ahead).await;
    assert_eq!(client.ask.cursor, 3);

    // Nothing is new there, so it waits as anybody would.
    let before = tokio::time::Instant::now();
    let answer = client.exchange(&behind).await.unwrap();
    assert_eq!((answer.content, answer.cursor), (Content::Nothing, 1));
    assert!(before.elapsed() >= SECOND * 8);

    // What it has already comes again from the one that is ahead, and does no harm.
    let answer = client.exchange(&ahead).await.unwrap();
    assert!(matches!(&answer.content, Content::Added(records) if records.len() == 2));
    client.assert_holds(["a", "b", "c"]);

    // The one behind moves on while somebody with a cursor of its future waits.
    let waiting = client.clone();
    let exchange = Arc::clone(&behind.exchange);
    let answer = tokio::spawn(async move { exchange.exchange(&waiting.peer, &waiting.ask).await });
    tokio::time::sleep(MILLISECOND * 10).await;
    behind.revoke("b");
    let answer = answer.await.unwrap().unwrap();
    client.apply(&answer);
    assert!(matches!(answer.content, Content::Added(_)), "the numbers 2 and 3 are not left out");
    assert_eq!(client.ask.cursor, 2);
}

#[tokio::test(start_paused = true)]
async fn another_epoch_means_another_set() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let rig = Rig::loaded(&source, Settings::default()).await;
    let mut client = Client::new("a").waiting(SECOND * 25);
    client.sync(&rig).await;
    source.become_another(8);
    source.revoke("b");
    // It waits when the other list is found, and is told at once.
    tokio::time::sleep(SECOND * 20).await;
    let answer = client.exchange(&rig).await.unwrap();
    assert!(is_snapshot(&answer));
    assert_eq!((answer.epoch, answer.cursor), (8, 1));
    client.assert_holds(["b"]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_during_a_snapshot_comes_after_it() {
    let source = FakeSource::new(7);
    let mut names: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    for name in &names {
        source.revoke(name);
    }
    let rig = Rig::loaded(&source, Settings::default()).await;
    let mut client = Client::new("a");
    client.ask.max_bytes = Some(4_096);
    let mut pieces = 0;
    loop {
        let answer = client.exchange(&rig).await.unwrap();
        pieces += 1;
        assert_eq!((answer.cursor, answer.next_poll), (300, Duration::ZERO));
        if client.ask.snapshot.is_none() {
            break;
        }
        let name = format!("later {pieces}");
        rig.revoke(&name);
        names.push(name);
        rig.caught_up().await;
    }
    assert!(pieces > 30, "{pieces}");
    client.sync(&rig).await;
    client.assert_holds(names.iter().map(String::as_str));
    assert_eq!(rig.metric("postern_feed_snapshots_active{"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_may_come_from_several_replicas() {
    let source = FakeSource::new(7);
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    for name in &names {
        source.revoke(name);
    }
    let ahead = Rig::loaded(&source, Settings::default()).await;
    let behind = Rig::loaded(&source.up_to(150), Settings::default()).await;
    let mut client = Client::new("a");
    client.ask.max_bytes = Some(32_768);
    for replica in [&ahead, &behind].into_iter().cycle() {
        client.exchange(replica).await.unwrap();
        if client.ask.snapshot.is_none() {
            break;
        }
    }
    assert_eq!(client.ask.cursor, 150, "as far as all pieces go");
    client.sync(&ahead).await;
    client.assert_holds(names.iter().map(String::as_str));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_another_epoch_begins_again() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let rig = Rig::loaded(&source, Settings::default()).await;
    let mut client = Client::new("a");
    client.ask.max_bytes = Some(100_000);
    client.exchange(&rig).await.unwrap();
    assert!(client.ask.snapshot.is_some());
    source.become_another(8);
    source.revoke("b");
    tokio::time::sleep(SECOND * 31).await;
    let answer = client.exchange(&rig).await.unwrap();
    let Content::Snapshot { piece, .. } = answer.content else { panic!("no snapshot") };
    assert_eq!((answer.epoch, piece.first_bucket), (8, 0));
    client.sync(&rig).await;
    client.assert_holds(["b"]);
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_admitted_a_few_at_a_time() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let settings = with_answers(Answers { max_snapshots: 1, ..Answers::default() });
    let rig = Rig::loaded(&source, settings).await;
    let (mut first, mut second) = (Client::new("first"), Client::new("second"));
    first.ask.max_bytes = Some(100_000);
    first.exchange(&rig).await.unwrap();
    assert_eq!(rig.metric("postern_feed_snapshots_active{"), 1.0);

    let refusal = second.exchange(&rig).await.unwrap_err();
    let Refusal::Busy { next_poll } = refusal else { panic!("{refusal}") };
    assert!(next_poll >= BUSY_PAUSE && next_poll <= BUSY_PAUSE * 2);
    // Keys are of use all the same.
    rig.state.keys().set("issuer", "{}".to_owned()).unwrap();
    second.ask.key_digests.insert("issuer".to_owned(), String::new());
    let answer = second.exchange(&rig).await.unwrap();
    assert_eq!((answer.content, answer.key_sets.len()), (Content::Nothing, 1));
    assert_eq!((answer.epoch, answer.cursor), (0, 0), "it still has nothing");
    assert!(answer.next_poll >= BUSY_PAUSE);

    first.sync(&rig).await;
    second.sync(&rig).await;
    second.assert_holds(["a"]);
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_is_told_of_keys_and_not_that_nothing_is_missing() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let settings = with_answers(Answers { max_snapshots: 1, ..Answers::default() });
    let rig = Rig::loaded(&source, settings).await;
    let mut synced = Client::new("synced");
    synced.sync(&rig).await;
    source.become_another(8);
    source.revoke("b");
    tokio::time::sleep(SECOND * 31).await;
    let mut first = Client::new("first");
    first.ask.max_bytes = Some(100_000);
    first.exchange(&rig).await.unwrap();
    rig.state.keys().set("issuer", "{}".to_owned()).unwrap();
    synced.ask.key_digests.insert("issuer".to_owned(), String::new());
    let answer = synced.exchange(&rig).await.unwrap();
    assert_eq!((answer.content, answer.key_sets.len()), (Content::Nothing, 1));
    assert_ne!(answer.epoch, 7, "it would take that for all that there is");
    assert_eq!((answer.epoch, answer.cursor), (NO_EPOCH, 0));
    assert_eq!((synced.ask.epoch, synced.ask.cursor), (7, 1), "what it has stays good");

    first.sync(&rig).await;
    synced.sync(&rig).await;
    synced.assert_holds(["b"]);
}

#[tokio::test(start_paused = true)]
async fn one_peer_leaves_places_for_others_and_pays_for_its_own() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let quotas = Quotas {
        snapshots: Quota { times: 3, period: SECOND * 60, burst: 3 },
        ..Quotas::default()
    };
    let answers = Answers { max_snapshots: 4, ..Answers::default() };
    let rig = Rig::loaded(&source, Settings { quotas, answers, ..Settings::default() }).await;
    // Each of them says that it has begun somewhere else.
    let begun = |name: &str, peer: &str| {
        let mut client = Client::new(name);
        client.peer = PeerIdentity::Credential(peer.to_owned());
        client.ask.max_bytes = Some(4_096);
        client.ask.snapshot = Some(Progress { epoch: Some(7), cursor: 1, next_bucket: 1 });
        client
    };
    let ask = async |client: &Client| rig.exchange.exchange(&client.peer, &client.ask).await;
    let [a, b, c] = ["1", "2", "3"].map(|name| begun(name, "greedy"));
    for client in [&a, &b, &a] {
        assert!(is_snapshot(&ask(client).await.unwrap()));
    }
    assert!(matches!(ask(&c).await, Err(Refusal::Busy { .. })), "it has its half");
    assert!(is_snapshot(&ask(&begun("1", "other")).await.unwrap()));

    tokio::time::sleep(SECOND * 11).await;
    assert!(is_snapshot(&ask(&c).await.unwrap()), "the third that it takes");
    let refusal = ask(&a).await.unwrap_err();
    assert!(matches!(refusal, Refusal::OverQuota { .. }), "{refusal}");
    assert_eq!(rig.metric("postern_feed_snapshots_active{"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn one_peer_leaves_places_to_wait_for_others() {
    let settings = with_answers(Answers { max_waiting: 4, ..Answers::default() });
    let rig = Rig::loaded(&FakeSource::new(7), settings).await;
    let mut client = Client::new("a").waiting(SECOND * 20);
    client.sync(&rig).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (client, exchange) = (client.clone(), Arc::clone(&rig.exchange));
        waiting.spawn(async move { exchange.exchange(&client.peer, &client.ask).await });
    }
    tokio::time::sleep(MILLISECOND).await;
    assert_eq!(rig.metric("postern_feed_waiting{"), 2.0);
    let turned_away = waiting.join_next().await.unwrap().unwrap().unwrap();
    assert!(turned_away.next_poll >= MILLISECOND * 900);
    let mut other = client.clone();
    other.peer = PeerIdentity::Credential("other".to_owned());
    let before = tokio::time::Instant::now();
    other.exchange(&rig).await.unwrap();
    assert!(before.elapsed() >= SECOND * 10, "there was a place");
}

#[tokio::test(start_paused = true)]
async fn peers_have_quotas_of_their_own() {
    let minute = SECOND * 60;
    let quotas = Quotas {
        exchanges: Quota { times: 4, period: minute, burst: 4 },
        snapshots: Quota { times: 1, period: minute, burst: 1 },
        ..Quotas::default()
    };
    let source = FakeSource::new(7);
    let rig = Rig::loaded(&source, Settings { quotas, ..Settings::default() }).await;
    let mut client = Client::new("a");
    client.exchange(&rig).await.unwrap();
    let mut again = Client::new("b");
    for _ in 0..2 {
        let refusal = again.exchange(&rig).await.unwrap_err();
        let Refusal::OverQuota { next_poll } = refusal else { panic!("{refusal}") };
        assert!(next_poll >= SECOND * 59 && next_poll <= minute * 2, "{next_poll:?}");
    }
    assert_eq!(rig.metric("postern_feed_quota_refusals_total{quota=\"snapshots\""), 2.0);
    client.exchange(&rig).await.unwrap();
    let refusal = client.exchange(&rig).await.unwrap_err();
    assert!(matches!(refusal, Refusal::OverQuota { .. }), "{refusal}");
    assert_eq!(rig.metric("postern_feed_quota_refusals_total{quota=\"exchanges\""), 1.0);

    let mut other = Client::new("a");
    other.peer = PeerIdentity::Credential("other".to_owned());
    other.exchange(&rig).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_for_what_is_not_theirs_or_makes_no_sense() {
    let rig = Rig::loaded(&FakeSource::new(7), Settings::default()).await;
    let mut client = Client::new("a");
    client.ask.workload = "orders".to_owned();
    assert_eq!(client.exchange(&rig).await, Err(Refusal::NotPermitted));
    client.ask.workload.clear();
    assert!(matches!(client.exchange(&rig).await, Err(Refusal::Invalid(_))));
    assert_eq!(rig.metric("postern_feed_exchanges_total{outcome=\"not_permitted\""), 1.0);
    assert_eq!(rig.metric("postern_feed_exchanges_total{outcome=\"invalid\""), 1.0);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_capped_and_costs_the_store_nothing() {
    let source = FakeSource::new(7);
    let rig = Rig::loaded(&source, Settings::default()).await;
    let mut client = Client::new("a").waiting(SECOND * 3_600);
    client.sync(&rig).await;
    let before = tokio::time::Instant::now();
    let answer = client.exchange(&rig).await.unwrap();
    assert_eq!((answer.content, answer.next_poll), (Content::Nothing, Duration::ZERO));
    assert!(before.elapsed() >= SECOND * 20 && before.elapsed() <= SECOND * 25);

    let reads = source.reads();
    client.ask.wait = Duration::ZERO;
    for _ in 0..1_000 {
        client.exchange(&rig).await.unwrap();
    }
    assert_eq!(source.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_wait_hear_of_one_revocation() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let rig = Rig::loaded(&source, Settings::default()).await;
    let mut synced = Client::new("one").waiting(SECOND * 25);
    synced.sync(&rig).await;
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let (mut client, exchange) = (synced.clone(), Arc::clone(&rig.exchange));
        client.ask.envoy_id = number.to_string();
        waiting.spawn(async move {
            let answer = exchange.exchange(&client.peer, &client.ask).await.unwrap();
            client.apply(&answer);
            client.assert_holds(["a", "b"]);
            answer.next_poll
        });
    }
    tokio::time::sleep(SECOND).await;
    assert_eq!(rig.metric("postern_feed_waiting{"), 1_000.0);
    let (before, reads) = (tokio::time::Instant::now(), source.reads());
    rig.revoke("b");
    let mut answered = 0;
    while let Some(next_poll) = waiting.join_next().await {
        assert!(next_poll.unwrap() <= MILLISECOND * 100);
        answered += 1;
    }
    assert_eq!(answered, 1_000);
    assert!(before.elapsed() <= MILLISECOND * 60, "{:?}", before.elapsed());
    assert_eq!(source.reads(), reads + 1);
    assert_eq!(rig.metric("postern_feed_waiting{"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_key_set_wakes_who_wants_it() {
    let rig = Rig::loaded(&FakeSource::new(7), Settings::default()).await;
    rig.state.keys().set("issuer", "{}".to_owned()).unwrap();
    let mut client = Client::new("a").waiting(SECOND * 20);
    client.ask.key_digests.insert("issuer".to_owned(), String::new());
    client.sync(&rig).await;
    assert_eq!(client.ask.key_digests.values().map(String::len).sum::<usize>(), 32);

    let waiting = client.clone();
    let exchange = Arc::clone(&rig.exchange);
    let answer = tokio::spawn(async move { exchange.exchange(&waiting.peer, &waiting.ask).await });
    tokio::time::sleep(SECOND).await;
    let before = tokio::time::Instant::now();
    rig.state.keys().set("other", "{}".to_owned()).unwrap();
    rig.state.keys().set("issuer", "{\"keys\":[]}".to_owned()).unwrap();
    let answer = answer.await.unwrap().unwrap();
    assert!(before.elapsed() <= MILLISECOND * 5);
    assert_eq!(answer.content, Content::Nothing);
    let sets: Vec<&str> = answer.key_sets.iter().map(|keys| keys.jwks.as_str()).collect();
    assert_eq!(sets, ["{\"keys\":[]}"]);
    assert_eq!(rig.metric("postern_feed_exchanges_total{outcome=\"keys\""), 1.0);
}

#[tokio::test(start_paused = true)]
async fn on_the_way_down_nobody_waits() {
    let rig = Rig::loaded(&FakeSource::new(7), Settings::default()).await;
    let mut client = Client::new("a").waiting(SECOND * 20);
    client.sync(&rig).await;
    let waiting = client.clone();
    let exchange = Arc::clone(&rig.exchange);
    let answer = tokio::spawn(async move { exchange.exchange(&waiting.peer, &waiting.ask).await });
    tokio::time::sleep(SECOND).await;
    let before = tokio::time::Instant::now();
    rig.drain.request();
    for answer in [answer.await.unwrap(), client.exchange(&rig).await] {
        assert!(answer.unwrap().next_poll >= MILLISECOND * 900);
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_to_wait_comes_back_later() {
    let settings = with_answers(Answers { max_waiting: 1, ..Answers::default() });
    let rig = Rig::loaded(&FakeSource::new(7), settings).await;
    let mut client = Client::new("a").waiting(SECOND * 20);
    client.sync(&rig).await;
    let waiting = client.clone();
    let exchange = Arc::clone(&rig.exchange);
    let first = tokio::spawn(async move { exchange.exchange(&waiting.peer, &waiting.ask).await });
    tokio::time::sleep(MILLISECOND).await;
    let before = tokio::time::Instant::now();
    let answer = client.exchange(&rig).await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(answer.next_poll >= MILLISECOND * 900);
    first.abort();
    rig.until(|| rig.metric("postern_feed_waiting{") == 0.0).await;
    client.ask.wait = MILLISECOND * 100;
    client.exchange(&rig).await.unwrap();
    assert!(before.elapsed() >= MILLISECOND * 80, "there is a place again");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_does_not_know_is_told_as_staleness() {
    let source = FakeSource::new(7);
    let rig = Rig::loaded(&source, Settings::default()).await;
    let mut client = Client::new("a");
    client.sync(&rig).await;
    source.good_calls(Some(0));
    rig.revoke("a");
    tokio::time::sleep(SECOND * 10).await;
    let answer = client.exchange(&rig).await.unwrap();
    assert!(answer.staleness >= SECOND * 9 && answer.staleness <= SECOND * 10);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_cost_the_store_nothing() {
    let (source, quiet) = (FakeSource::new(7), FakeSource::new(7));
    let rig = Rig::loaded(&source, Settings::default()).await;
    let beside = Rig::loaded(&quiet, Settings::default()).await;
    let mut synced = Client::new("one").waiting(SECOND * 25);
    synced.sync(&rig).await;
    let mut idle = tokio::task::JoinSet::new();
    for number in 0..100 {
        let (mut client, exchange) = (synced.clone(), Arc::clone(&rig.exchange));
        client.ask.envoy_id = number.to_string();
        idle.spawn(async move {
            for _ in 0..20 {
                let answer = exchange.exchange(&client.peer, &client.ask).await.unwrap();
                assert_eq!((answer.content, answer.next_poll), (Content::Nothing, Duration::ZERO));
            }
        });
    }
    let before = (source.calls(), quiet.calls());
    while let Some(ended) = idle.join_next().await {
        ended.unwrap();
    }
    let calls = (source.calls() - before.0, quiet.calls() - before.1);
    assert!(calls.1 > 20, "the list is read every so often: {calls:?}");
    // The two began at different moments, so one may be a read ahead.
    assert!(calls.0 <= calls.1 + 2, "no more than with nobody there: {calls:?}");
    drop(beside);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_with_cursors_of_their_own_answer_one_envoy_in_turn() {
    const BEHIND: usize = 3;
    let list = FakeSource::new(7);
    let ahead = Rig::loaded(&list, Settings::default()).await;
    let behind = Rig::loaded(&list.up_to(0), Settings::default()).await;
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let mut client = Client::new("a");
    client.sync(&ahead).await;
    for (at, name) in names.iter().enumerate() {
        ahead.revoke(name);
        ahead.caught_up().await;
        if let Some(late) = at.checked_sub(BEHIND) {
            behind.revoke(&names[late]);
            behind.caught_up().await;
        }
        for replica in [&ahead, &behind] {
            let answer = client.exchange(replica).await.unwrap();
            assert!(!is_snapshot(&answer), "{at}");
            client.assert_holds(names[..=at].iter().map(String::as_str));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_wanted_are_asked_for_once_an_ask() {
    let rig = Rig::loaded(&FakeSource::new(7), Settings::default()).await;
    let mut client = Client::new("a").waiting(SECOND * 20);
    client.ask.key_digests.insert("issuer".to_owned(), String::new());
    client.sync(&rig).await;
    assert_eq!(rig.wanted.take(), Vec::<String>::new());
    client.ask.wanted_keys = vec!["issuer".to_owned(), "nobody".to_owned()];
    let waiting = client.clone();
    let exchange = Arc::clone(&rig.exchange);
    let answer = tokio::spawn(async move { exchange.exchange(&waiting.peer, &waiting.ask).await });
    tokio::time::sleep(SECOND).await;
    assert_eq!(rig.wanted.take(), ["issuer", "nobody"]);
    // Word of something else does not make it ask again.
    rig.revoke("a");
    answer.await.unwrap().unwrap();
    assert_eq!(rig.wanted.take(), Vec::<String>::new());
    assert_eq!(rig.metric("postern_feed_keys_wanted_total{"), 2.0);

    client.ask.workload = "orders".to_owned();
    assert_eq!(client.exchange(&rig).await, Err(Refusal::NotPermitted));
    assert_eq!(rig.wanted.take(), Vec::<String>::new(), "nobody fetches for a stranger");
}
