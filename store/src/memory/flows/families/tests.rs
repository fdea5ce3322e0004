use super::*;
use crate::FlowKind;

const GRACE_MS: u64 = 10_000;
const IDLE_MS: u64 = 60_000;

fn key() -> FlowKey {
    FlowKey::of(FlowKind::Family, b"name")
}

fn token(generation: u32) -> Presented {
    let secret = [u8::try_from(generation).unwrap(); 32];
    Presented { lock: [0xaa; 32], secret, generation }
}

fn started(ends_at: u64) -> Families {
    let families = Families::default();
    let new = NewFamily {
        key: key(),
        first: token(1),
        grant: b"grant",
        idle_ms: IDLE_MS,
        ends_at: UnixMillis(ends_at),
    };
    families.start(&new, UnixMillis(0)).unwrap();
    families
}

fn turn(families: &Families, from: u32, grace_ms: u64, now: u64) -> Turned {
    turn_to(families, from, token(from + 1).secret, grace_ms, now)
}

fn turn_to(families: &Families, from: u32, next: [u8; 32], grace_ms: u64, now: u64) -> Turned {
    let answer = format!("answer {from}");
    let turn = Turn {
        key: key(),
        presented: token(from),
        next,
        answer: answer.as_bytes(),
        grace_ms,
        idle_ms: IDLE_MS,
    };
    families.turn(&turn, UnixMillis(now)).unwrap()
}

fn stands(families: &Families, generation: u32, now: u64) -> &'static str {
    match families.stand(key(), &token(generation), GRACE_MS, UnixMillis(now)) {
        Standing::Current { .. } => "current",
        Standing::Again { answer, .. } => {
            assert_eq!(answer, format!("answer {generation}").as_bytes());
            "again"
        }
        Standing::Reused { grant } => {
            assert_eq!(grant, b"grant");
            "reused"
        }
        Standing::Unknown => "unknown",
    }
}

#[test]
fn the_time_of_grace_begins_with_the_turn_and_has_an_end() {
    let families = started(1_000_000);
    assert_eq!(turn(&families, 1, GRACE_MS, 1_000), Turned::Done);
    assert_eq!(stands(&families, 1, 1_000), "again");
    assert_eq!(turn(&families, 1, GRACE_MS, 11_000), Turned::Again(b"answer 1".to_vec()));
    assert_eq!(stands(&families, 1, 11_001), "reused", "asking again has prolonged nothing");
    for generation in [1, 2, 3] {
        assert_eq!(stands(&families, generation, 11_001), "reused", "all of them");
    }
}

#[test]
fn without_a_time_of_grace_the_second_time_is_reuse() {
    let families = started(1_000_000);
    assert_eq!(turn(&families, 1, 0, 1_000), Turned::Done);
    let other = turn_to(&families, 1, [0xbb; 32], 0, 1_000);
    assert_eq!(other, Turned::Reused { grant: b"grant".to_vec() });
    assert_eq!(turn(&families, 2, 0, 1_000), Turned::Reused { grant: b"grant".to_vec() });
    assert_eq!(turn(&families, 1, 0, 1_000), Turned::Reused { grant: b"grant".to_vec() });
}

/// Another replica has read its clock before, and comes later.
#[test]
fn a_clock_that_is_behind_ends_nothing() {
    let families = started(1_000_000);
    assert_eq!(turn(&families, 1, GRACE_MS, 5_000), Turned::Done);
    assert_eq!(stands(&families, 1, 4_000), "again");
    assert_eq!(stands(&families, 2, 4_000), "current");
}

#[test]
fn the_last_few_get_their_answers_again() {
    let families = started(1_000_000);
    for generation in 1..=12 {
        assert_eq!(turn(&families, generation, GRACE_MS, 1_000), Turned::Done);
    }
    for generation in 5..=12 {
        assert_eq!(stands(&families, generation, 1_000), "again", "{generation}");
    }
    assert_eq!(stands(&families, 4, 1_000), "reused", "no more than {MAX_SPENT} are kept");
}

#[test]
fn answers_are_forgotten_with_the_next_turn_after_their_time() {
    let families = started(1_000_000);
    assert_eq!(turn(&families, 1, GRACE_MS, 1_000), Turned::Done);
    assert_eq!(turn(&families, 2, GRACE_MS, 20_000), Turned::Done);
    let spent = families.0.with(key(), |shard| {
        shard.get(key(), UnixMillis(20_000)).map(|kept| kept.value.spent.len())
    });
    assert_eq!(spent, Some(1));
}

#[test]
fn a_turn_moves_the_idle_end_and_not_the_last_one() {
    let families = started(100_000);
    assert_eq!(turn(&families, 1, GRACE_MS, 59_999), Turned::Done);
    assert_eq!(stands(&families, 2, 99_999), "current");
    assert_eq!(turn(&families, 2, GRACE_MS, 99_999), Turned::Done);
    assert_eq!(stands(&families, 3, 100_000), "unknown");

    let idle = started(1_000_000);
    assert_eq!(stands(&idle, 1, IDLE_MS - 1), "current");
    assert_eq!(stands(&idle, 1, IDLE_MS), "unknown");
    assert_eq!(turn(&idle, 1, GRACE_MS, IDLE_MS), Turned::Unknown);
}

#[test]
fn an_ended_family_leaves_its_place() {
    let families = started(100_000);
    let again = NewFamily {
        key: key(),
        first: token(1),
        grant: b"grant",
        idle_ms: IDLE_MS,
        ends_at: UnixMillis(300_000),
    };
    assert_eq!(families.start(&again, UnixMillis(59_999)), Err(StoreError::Conflict));
    assert_eq!(families.start(&again, UnixMillis(60_000)), Ok(()));
    assert_eq!(stands(&families, 1, 60_000), "current");
}
