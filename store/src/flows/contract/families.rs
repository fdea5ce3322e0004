//! Families of refresh tokens.

use postern_request::UnixMillis;

use super::{Case, LONG_MS, SHORT_MS, until, wait_out_what_is_short};
use crate::StoreError;
use crate::flows::{FlowKey, FlowKind, NewFamily, Presented, Standing, Turn, Turned};

const GRANT: &[u8] = b"\0grant\xff";

pub(super) async fn run(case: Case<'_>) {
    a_family_turns_once(case).await;
    each_spent_token_has_its_own_answer(case).await;
    many_turns_at_once_end_nothing(case).await;
    a_turn_that_is_sent_again_was_done(case).await;
    a_spent_token_ends_its_family(case).await;
    a_token_that_never_was_ends_it_too(case).await;
    what_is_none_of_the_family_changes_nothing(case).await;
    looking_changes_nothing(case).await;
    whoever_has_the_lock_may_end_it(case).await;
    the_time_of_grace_ends(case).await;
    a_turn_moves_the_idle_end(case).await;
    nothing_moves_the_last_end(case).await;
}

/// A token of a row that every family here has.
pub(super) fn token(generation: u32) -> Presented {
    let mut secret = [0x5e; 32];
    secret[..4].copy_from_slice(&generation.to_be_bytes());
    Presented { lock: [0xff; 32], secret, generation }
}

pub(super) fn answer(generation: u32) -> Vec<u8> {
    format!("\0answer to {generation}").into_bytes()
}

impl Case<'_> {
    async fn start(self, name: &str, idle_ms: u64, ends_at: UnixMillis) -> FlowKey {
        let key = self.key(FlowKind::Family, name);
        let new = NewFamily { key, first: token(1), grant: GRANT, idle_ms, ends_at };
        self.store.start_family(new, self.now()).await.unwrap();
        key
    }

    async fn long(self, name: &str) -> FlowKey {
        self.start(name, LONG_MS, self.in_ms(LONG_MS)).await
    }

    async fn stand(self, key: FlowKey, presented: Presented, grace_ms: u64) -> Standing {
        self.store.stand(key, presented, grace_ms, self.now()).await.unwrap()
    }

    /// Whether this is the token that may be exchanged.
    async fn is_current(self, key: FlowKey, presented: Presented) -> bool {
        let standing = self.stand(key, presented, LONG_MS).await;
        matches!(standing, Standing::Current { grant, .. } if grant == GRANT)
    }

    async fn turn(self, key: FlowKey, presented: Presented, grace_ms: u64) -> Turned {
        self.turn_with(key, presented, grace_ms, LONG_MS).await
    }

    async fn turn_with(
        self,
        key: FlowKey,
        presented: Presented,
        grace_ms: u64,
        idle_ms: u64,
    ) -> Turned {
        let next = token(presented.generation + 1).secret;
        let answer = answer(presented.generation);
        let turn = Turn { key, presented, next, answer: &answer, grace_ms, idle_ms };
        self.store.turn(turn, self.now()).await.unwrap()
    }

    async fn look(self, key: FlowKey, presented: Presented) -> Option<Vec<u8>> {
        self.store.look_family(key, presented, self.now()).await.unwrap()
    }

    async fn end(self, key: FlowKey, lock: Option<[u8; 32]>) -> Option<Vec<u8>> {
        self.store.end_family(key, lock, self.now()).await.unwrap()
    }
}

fn again(generation: u32) -> Standing {
    Standing::Again { grant: GRANT.to_vec(), answer: answer(generation) }
}

async fn a_family_turns_once(case: Case<'_>) {
    let ends_at = case.in_ms(LONG_MS);
    let key = case.start("turns", LONG_MS, ends_at).await;
    let new = NewFamily { key, first: token(1), grant: b"another", idle_ms: 1, ends_at };
    let twice = case.store.start_family(new, case.now()).await;
    assert_eq!(twice, Err(StoreError::Conflict));

    let current = Standing::Current { grant: GRANT.to_vec(), ends_at };
    for _ in 0..2 {
        assert_eq!(case.stand(key, token(1), LONG_MS).await, current, "asking changes nothing");
    }
    assert_eq!(case.turn(key, token(1), LONG_MS).await, Turned::Done);
    assert_eq!(case.stand(key, token(2), LONG_MS).await, current);
    for _ in 0..2 {
        assert_eq!(case.turn(key, token(1), LONG_MS).await, Turned::Again(answer(1)));
        assert_eq!(case.stand(key, token(1), LONG_MS).await, again(1));
    }
    assert!(case.is_current(key, token(2)).await, "asking again ends nothing");
}

async fn each_spent_token_has_its_own_answer(case: Case<'_>) {
    let key = case.long("own answers").await;
    for generation in 1..=3 {
        assert_eq!(case.turn(key, token(generation), LONG_MS).await, Turned::Done);
    }
    for generation in [3, 1, 2] {
        assert_eq!(case.stand(key, token(generation), LONG_MS).await, again(generation));
    }
    assert!(case.is_current(key, token(4)).await);
}

/// However few spent tokens a store keeps, the last one is among them.
async fn many_turns_at_once_end_nothing(case: Case<'_>) {
    let key = case.long("many turns").await;
    for generation in 1..=20 {
        assert_eq!(case.turn(key, token(generation), LONG_MS).await, Turned::Done);
        assert_eq!(case.stand(key, token(generation), LONG_MS).await, again(generation));
    }
    assert!(case.is_current(key, token(21)).await);
}

/// Whoever had no answer sends the same once more; with a time of grace that gets its answer.
async fn a_turn_that_is_sent_again_was_done(case: Case<'_>) {
    let key = case.long("sent again").await;
    for _ in 0..2 {
        assert_eq!(case.turn(key, token(1), 0).await, Turned::Done);
        assert!(case.is_current(key, token(2)).await);
    }
    // Another turn of the same token is another one's, and so is the same after the next.
    let turned = Turned::Reused { grant: GRANT.to_vec() };
    let (presented, next) = (token(1), [9; 32]);
    let turn = Turn { key, presented, next, answer: b"", grace_ms: 0, idle_ms: LONG_MS };
    assert_eq!(case.store.turn(turn, case.now()).await, Ok(turned.clone()));
    let key = case.long("sent again too late").await;
    for generation in [1, 2] {
        assert_eq!(case.turn(key, token(generation), 0).await, Turned::Done);
    }
    assert_eq!(case.turn(key, token(1), 0).await, turned);
}

async fn a_spent_token_ends_its_family(case: Case<'_>) {
    let reused = Standing::Reused { grant: GRANT.to_vec() };
    for by_turn in [false, true] {
        let key = case.long(&format!("reused {by_turn}")).await;
        assert_eq!(case.turn(key, token(1), 0).await, Turned::Done);
        assert_eq!(case.turn(key, token(2), 0).await, Turned::Done);
        if by_turn {
            let turned = Turned::Reused { grant: GRANT.to_vec() };
            assert_eq!(case.turn(key, token(1), 0).await, turned);
        } else {
            assert_eq!(case.stand(key, token(1), 0).await, reused);
        }
        // Whoever was told first may be gone before the family was ended.
        for generation in 1..=4 {
            let presented = token(generation);
            assert_eq!(case.stand(key, presented, LONG_MS).await, reused, "{generation}");
            let turned = Turned::Reused { grant: GRANT.to_vec() };
            assert_eq!(case.turn(key, presented, LONG_MS).await, turned, "{generation}");
            assert_eq!(case.look(key, presented).await, None, "{generation}");
        }
        let stranger = Presented { lock: [0xfe; 32], ..token(3) };
        assert_eq!(case.stand(key, stranger, 0).await, Standing::Unknown);
        assert_eq!(case.end(key, None).await.as_deref(), Some(GRANT));
        for generation in 1..=4 {
            let presented = token(generation);
            assert_eq!(case.stand(key, presented, 0).await, Standing::Unknown, "{generation}");
            assert_eq!(case.turn(key, presented, 0).await, Turned::Unknown, "{generation}");
        }
    }
    let ungraced = case.long("no answer was kept").await;
    assert_eq!(case.turn(ungraced, token(1), 0).await, Turned::Done);
    assert_eq!(case.stand(ungraced, token(1), LONG_MS).await, reused);
}

/// Whoever has the lock has had a token, and shows one that the family never had: it was made up.
async fn a_token_that_never_was_ends_it_too(case: Case<'_>) {
    let key = case.long("made up").await;
    assert_eq!(case.turn(key, token(1), LONG_MS).await, Turned::Done);
    let made_up = Presented { secret: [1; 32], ..token(1) };
    let reused = Standing::Reused { grant: GRANT.to_vec() };
    assert_eq!(case.stand(key, made_up, LONG_MS).await, reused);
    assert_eq!(case.stand(key, token(2), LONG_MS).await, reused);
}

async fn what_is_none_of_the_family_changes_nothing(case: Case<'_>) {
    let key = case.long("strangers").await;
    assert_eq!(case.turn(key, token(1), 0).await, Turned::Done);
    let other_lock = [0xfe; 32];
    let strangers = [
        ("another lock, spent", Presented { lock: other_lock, ..token(1) }),
        ("another lock, current", Presented { lock: other_lock, ..token(2) }),
        ("another secret", Presented { secret: token(1).secret, ..token(2) }),
        ("a later one, its secret the current", Presented { generation: 3, ..token(2) }),
        ("a later one, as after a write that was lost", token(3)),
        ("much later", token(u32::MAX)),
    ];
    for (what, stranger) in strangers {
        assert_eq!(case.stand(key, stranger, 0).await, Standing::Unknown, "{what}");
        let turn = Turn {
            key,
            presented: stranger,
            next: [9; 32],
            answer: b"stolen",
            grace_ms: LONG_MS,
            idle_ms: LONG_MS,
        };
        assert_eq!(case.store.turn(turn, case.now()).await, Ok(Turned::Unknown), "{what}");
        assert_eq!(case.look(key, stranger).await, None, "{what}");
        assert!(case.is_current(key, token(2)).await, "{what}");
    }
    let none = case.key(FlowKind::Family, "none");
    assert_eq!(case.stand(none, token(1), LONG_MS).await, Standing::Unknown);
    assert_eq!(case.turn(none, token(1), LONG_MS).await, Turned::Unknown);
    assert_eq!(case.stand(none, token(2), LONG_MS).await, Standing::Unknown, "none was made");
}

async fn looking_changes_nothing(case: Case<'_>) {
    let key = case.long("looked at").await;
    assert_eq!(case.look(key, token(1)).await.as_deref(), Some(GRANT));
    assert_eq!(case.turn(key, token(1), 0).await, Turned::Done);
    for _ in 0..2 {
        assert_eq!(case.look(key, token(1)).await, None, "it is spent, and that ends nothing");
        assert_eq!(case.look(key, token(2)).await.as_deref(), Some(GRANT));
    }
}

async fn whoever_has_the_lock_may_end_it(case: Case<'_>) {
    let key = case.long("ended by a token").await;
    assert_eq!(case.end(key, Some([0; 32])).await, None);
    assert!(case.is_current(key, token(1)).await, "the name alone ends nothing");
    assert_eq!(case.end(key, Some(token(1).lock)).await.as_deref(), Some(GRANT));
    assert_eq!(case.end(key, Some(token(1).lock)).await, None, "the second time");
    assert_eq!(case.stand(key, token(1), LONG_MS).await, Standing::Unknown);

    let key = case.long("ended by us").await;
    assert_eq!(case.turn(key, token(1), LONG_MS).await, Turned::Done);
    assert_eq!(case.end(key, None).await.as_deref(), Some(GRANT));
    assert_eq!(case.end(key, None).await, None);
    for generation in [1, 2] {
        let standing = case.stand(key, token(generation), LONG_MS).await;
        assert_eq!(standing, Standing::Unknown, "its spent tokens have gone with it");
    }
}

async fn the_time_of_grace_ends(case: Case<'_>) {
    let key = case.long("grace").await;
    assert_eq!(case.turn(key, token(1), SHORT_MS).await, Turned::Done);
    assert_eq!(case.stand(key, token(1), SHORT_MS).await, again(1));
    until("the time of grace", async || match case.stand(key, token(1), SHORT_MS).await {
        Standing::Again { .. } => false,
        Standing::Reused { grant } => grant == GRANT,
        other => panic!("{other:?}"),
    })
    .await;
    let reused = Standing::Reused { grant: GRANT.to_vec() };
    assert_eq!(case.stand(key, token(2), SHORT_MS).await, reused);
}

async fn a_turn_moves_the_idle_end(case: Case<'_>) {
    let idle = case.start("idle", 50, case.in_ms(LONG_MS)).await;
    let used = case.start("used", SHORT_MS, case.in_ms(LONG_MS)).await;
    assert_eq!(case.turn(used, token(1), 0).await, Turned::Done);
    wait_out_what_is_short().await;
    assert!(case.is_current(used, token(2)).await);
    assert_eq!(case.stand(idle, token(1), 0).await, Standing::Unknown);
    assert_eq!(case.turn(idle, token(1), 0).await, Turned::Unknown);
    assert_eq!(case.end(idle, None).await, None);
}

async fn nothing_moves_the_last_end(case: Case<'_>) {
    let key = case.start("last end", LONG_MS, case.in_ms(SHORT_MS)).await;
    assert_eq!(case.turn_with(key, token(1), LONG_MS, LONG_MS).await, Turned::Done);
    until("the last end of a family", async || {
        case.stand(key, token(2), LONG_MS).await == Standing::Unknown
    })
    .await;
    let spent = case.stand(key, token(1), LONG_MS).await;
    assert_eq!(spent, Standing::Unknown, "nor are its spent tokens there");
}
