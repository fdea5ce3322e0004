use postern_limits::{Algorithm, Anchor, InFlight, Rate, Spec};
use postern_store::volatile::{LimitKey, Take};

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_500);

fn tickets() -> Tickets {
    Tickets::derived_from(b"a secret of all replicas")
}

fn rate(algorithm: Algorithm, anchor: Anchor, burst: Option<u64>) -> Take {
    let rate = Rate::new(4_294_967_295, 90_061_001).unwrap();
    Take::Rate { spec: Spec::new(algorithm, rate, burst, anchor).unwrap(), cost: 1_000_000 }
}

fn owed(take: Take, when: GiveBackWhen) -> Owed {
    let key = LimitKey { owner: 0xfedc_ba98_7654_3210, hash: *b"0123456789abcdef" };
    Owed { taken: GiveBack { key, take }, when }
}

fn place(id: u64) -> Owed {
    let spec = InFlight::new(50, 60_000).unwrap();
    owed(Take::InFlight { spec, id }, GiveBackWhen::Ended)
}

/// One of each kind.
fn all() -> Vec<Owed> {
    let log = Spec::new(Algorithm::SlidingLog, Rate::new(9, 1).unwrap(), None, Anchor::Clock);
    let monthly = Rate::monthly(7).unwrap();
    let month = Spec::new(Algorithm::FixedWindow, monthly, None, Anchor::Clock);
    let takes = [
        rate(Algorithm::SlidingWindow, Anchor::Clock, None),
        Take::Rate { spec: log.unwrap(), cost: 1 },
        rate(Algorithm::TokenBucket, Anchor::Clock, Some(1)),
        rate(Algorithm::Gcra, Anchor::Clock, Some(4_294_967_295)),
        rate(Algorithm::FixedWindow, Anchor::Clock, None),
        rate(Algorithm::FixedWindow, Anchor::FirstHit, None),
        Take::Rate { spec: month.unwrap(), cost: 3 },
    ];
    let whens = [GiveBackWhen::Successful, GiveBackWhen::Failed].into_iter().cycle();
    let rates = takes.into_iter().zip(whens).map(|(take, when)| owed(take, when));
    std::iter::once(place(u64::MAX)).chain(rates).collect()
}

/// What a ticket says, and its code.
fn bytes(ticket: &str) -> Vec<u8> {
    base64url::decode(ticket).unwrap()
}

/// A ticket that says something else, with the right code.
fn said(tickets: &Tickets, said: &[u8]) -> String {
    base64url::encode(&[said, &tickets.code(said)].concat())
}

#[test]
fn what_was_taken_is_read_as_it_was_written() {
    let tickets = tickets();
    for shared_by in [None, Some(1), Some(u64::MAX)] {
        let text = tickets.issue(&all(), shared_by, NOW).unwrap();
        assert!(text.len() <= MAX_TICKET_CHARS, "{}", text.len());
        let read = tickets.open(&text, NOW).unwrap();
        assert_eq!((read.owed, read.shared_by), (all(), shared_by));
    }
    let text = tickets.issue(&[place(1)], Some(0), NOW).unwrap();
    assert_eq!(tickets.open(&text, NOW).unwrap().shared_by, Some(1), "a share of none is all");
}

#[test]
fn any_replica_reads_what_another_one_wrote() {
    let text = tickets().issue(&[place(1)], None, NOW).unwrap();
    let read = tickets().open(&text, NOW).unwrap();
    assert_eq!(read.owed, [place(1)]);
    for other in [Tickets::derived_from(b"another secret"), Tickets::random().unwrap()] {
        assert_eq!(other.open(&text, NOW), Err(TicketError::Forged));
    }
}

#[test]
fn no_two_tickets_are_one() {
    let tickets = tickets();
    let ids = [0; 3].map(|_| {
        let text = tickets.issue(&[place(1)], None, NOW).unwrap();
        tickets.open(&text, NOW).unwrap().id
    });
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
}

#[test]
fn an_altered_ticket_is_worth_nothing() {
    let tickets = tickets();
    let good = bytes(&tickets.issue(&all(), None, NOW).unwrap());
    for at in 0..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 1;
        let altered = base64url::encode(&altered);
        assert_eq!(tickets.open(&altered, NOW), Err(TicketError::Forged), "byte {at}");
        let cut = base64url::encode(&good[..at]);
        let error = tickets.open(&cut, NOW).unwrap_err();
        assert!([TicketError::Forged, TicketError::Form].contains(&error), "{at} bytes");
    }
    let longer = base64url::encode(&[&good[..], b"x"].concat());
    assert_eq!(tickets.open(&longer, NOW), Err(TicketError::Forged));
}

#[test]
fn what_does_not_look_like_a_ticket_is_none() {
    let tickets = tickets();
    let text = tickets.issue(&[place(1)], None, NOW).unwrap();
    for bad in ["", "=", "a b", "\u{e9}", &format!("{text}="), &"A".repeat(MAX_TICKET_CHARS + 4)] {
        assert_eq!(tickets.open(bad, NOW), Err(TicketError::Form), "{bad}");
    }
    let forged = tickets.open(&"A".repeat(MAX_TICKET_CHARS), NOW);
    assert_eq!(forged, Err(TicketError::Forged), "as long as one may be");
}

/// A later version of this program may say more, by the same key.
#[test]
fn what_is_ours_and_not_understood_is_refused() {
    let tickets = tickets();
    let whole = bytes(&tickets.issue(&[place(1)], None, NOW).unwrap());
    let (good, _) = whole.split_last_chunk::<16>().unwrap();
    assert!(tickets.open(&said(&tickets, good), NOW).is_ok());
    let with = |at: usize, byte: u8| {
        let mut other = good.to_vec();
        other[at] = byte;
        said(&tickets, &other)
    };
    // Where it begins to say what was taken.
    let owed = 1 + 3 * 8;
    for (what, ticket) in [
        ("version", with(0, 2)),
        ("when", with(owed, 0x23)),
        ("kind", with(owed, 0x30)),
        ("rest", said(&tickets, &[good, &[0]].concat())),
        ("end", said(&tickets, &good[..good.len() - 1])),
        ("nothing", said(&tickets, &[])),
        // More at once than there can be: the first byte of the number.
        ("number", with(owed + 1 + 8 + 16, 1)),
    ] {
        assert_eq!(tickets.open(&ticket, NOW), Err(TicketError::Form), "{what}");
    }
}

#[test]
fn tickets_get_old() {
    let tickets = tickets();
    let text = tickets.issue(&[place(1)], None, NOW).unwrap();
    assert!(tickets.open(&text, UnixMillis(NOW.0 + TICKET_LIFE_MS)).is_ok());
    let later = UnixMillis(NOW.0 + TICKET_LIFE_MS + 1);
    assert_eq!(tickets.open(&text, later), Err(TicketError::TooOld));
    assert!(tickets.open(&text, UnixMillis(0)).is_ok(), "by a clock that is behind");
}

#[test]
fn a_ticket_has_room_for_places_first() {
    let tickets = tickets();
    let rate = owed(rate(Algorithm::Gcra, Anchor::Clock, None), GiveBackWhen::Failed);
    let mut all = vec![rate; 100];
    all.extend((0..5).map(place));
    let text = tickets.issue(&all, None, NOW).unwrap();
    assert!(text.len() <= MAX_TICKET_CHARS, "{}", text.len());
    let read = tickets.open(&text, NOW).unwrap().owed;
    assert_eq!(read[..5], (0..5).map(place).collect::<Vec<_>>());
    assert!(read.len() > 20 && read[5..].iter().all(|owed| *owed == rate), "{}", read.len());
}

#[test]
fn nothing_of_the_key_is_shown() {
    assert_eq!(format!("{:?}", tickets()), "Tickets(…)");
}

#[test]
fn how_it_ended_decides() {
    for (when, successful, failed) in [
        (GiveBackWhen::Ended, true, true),
        (GiveBackWhen::Successful, true, false),
        (GiveBackWhen::Failed, false, true),
    ] {
        assert_eq!(
            (when.applies(Some(true)), when.applies(Some(false))),
            (successful, failed),
            "{when:?}"
        );
    }
}
