//! What many ask at once, one gets.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use postern_request::UnixMillis;
use tokio::task::JoinSet;

use super::families::{answer, token};
use super::{Case, LONG_MS};
use crate::StoreError;
use crate::flows::{FlowKey, FlowKind, FlowStore, NewFamily, Redeemed, Standing, Turn, Turned};

/// How many ask.
const MANY: u32 = 100;

pub(super) async fn run(store: &Arc<dyn FlowStore>, now: UnixMillis, salt: u64) {
    let many = Many { store, now, salt };
    one_puts_one_takes(many).await;
    one_swaps(many).await;
    a_code_survives_no_race(many).await;
    a_family_turns_once_for_all(many).await;
    a_family_ends_once(many).await;
    a_session_begins_and_ends_once(many).await;
}

#[derive(Clone, Copy)]
struct Many<'s> {
    store: &'s Arc<dyn FlowStore>,
    now: UnixMillis,
    salt: u64,
}

impl Many<'_> {
    fn key(self, kind: FlowKind, name: &str) -> FlowKey {
        FlowKey::of(kind, format!("parallel {name} {:016x}", self.salt).as_bytes())
    }

    /// Asks from many tasks at once, and returns what all were told.
    async fn ask<T, F>(self, call: impl Fn(Arc<dyn FlowStore>, u32) -> F) -> Vec<T>
    where
        T: Debug + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let mut calls = JoinSet::new();
        for at in 0..MANY {
            calls.spawn(call(Arc::clone(self.store), at));
        }
        calls.join_all().await.into_iter().map(Result::unwrap).collect()
    }
}

fn how_many<T>(answers: &[T], is: impl Fn(&T) -> bool) -> usize {
    answers.iter().filter(|answer| is(answer)).count()
}

async fn one_puts_one_takes(many: Many<'_>) {
    let (key, now) = (many.key(FlowKind::Ticket, "put"), many.now);
    let put = many
        .ask(move |store, at| async move { store.put(key, &at.to_be_bytes(), LONG_MS, now).await });
    assert_eq!(how_many(&put.await, |put| *put), 1);
    let stands = many.store.peek(key, now).await.unwrap();
    let taken = many.ask(move |store, _| async move { store.take(key, now).await }).await;
    assert_eq!(how_many(&taken, Option::is_some), 1);
    assert!(taken.contains(&stands), "it is what one of them has put");
    assert_eq!(many.store.take(key, now).await, Ok(None));
}

async fn one_swaps(many: Many<'_>) {
    let (key, now) = (many.key(FlowKind::Device, "swap"), many.now);
    assert_eq!(many.store.put(key, b"from", LONG_MS, now).await, Ok(true));
    let swapped =
        many.ask(
            move |store, at| async move { store.swap(key, b"from", &at.to_be_bytes(), now).await },
        );
    assert_eq!(how_many(&swapped.await, |swapped| *swapped), 1);
}

async fn a_code_survives_no_race(many: Many<'_>) {
    let (key, now) = (many.key(FlowKind::Code, "code"), many.now);
    assert_eq!(many.store.put(key, b"grant", LONG_MS, now).await, Ok(true));
    let redeemed = many
        .ask(move |store, at| async move { store.redeem_code(key, &at.to_be_bytes(), now).await });
    let redeemed = redeemed.await;
    let first = redeemed.iter().position(|one| *one == Redeemed::Fresh(b"grant".to_vec()));
    assert!(first.is_some(), "{redeemed:?}");
    let is_used = |one: &Redeemed| matches!(one, Redeemed::Used(_));
    assert_eq!(how_many(&redeemed, is_used), redeemed.len() - 1);
    let marks: Vec<_> = redeemed.iter().filter(|one| is_used(one)).collect();
    assert!(marks.iter().all(|mark| *mark == marks[0]), "all are told of the same one");
}

async fn a_family_turns_once_for_all(many: Many<'_>) {
    let (key, now) = (many.key(FlowKind::Family, "turn"), many.now);
    let ends_at = UnixMillis(now.0 + LONG_MS);
    let new = NewFamily { key, first: token(1), grant: b"grant", idle_ms: LONG_MS, ends_at };
    many.store.start_family(new, now).await.unwrap();
    // Each with another next token and another answer, as each of them makes its own.
    let turned = many.ask(move |store, at| async move {
        let answer = answer(at);
        let turn = Turn {
            key,
            presented: token(1),
            next: token(1_000 + at).secret,
            answer: &answer,
            grace_ms: LONG_MS,
            idle_ms: LONG_MS,
        };
        store.turn(turn, now).await.map(|turned| (at, turned))
    });
    let turned = turned.await;
    assert_eq!(how_many(&turned, |(_, turned)| *turned == Turned::Done), 1, "{turned:?}");
    let winner = turned.iter().find(|(_, turned)| *turned == Turned::Done).map(|(at, _)| *at);
    let winner = winner.unwrap();
    let again = Turned::Again(answer(winner));
    assert_eq!(how_many(&turned, |(_, turned)| *turned == again), turned.len() - 1);
    let mut next = token(1_000 + winner);
    next.generation = 2;
    let standing = many.store.stand(key, next, LONG_MS, now).await.unwrap();
    assert!(matches!(standing, Standing::Current { .. }), "{standing:?}");
}

async fn a_family_ends_once(many: Many<'_>) {
    let (now, ends_at) = (many.now, UnixMillis(many.now.0 + LONG_MS));
    let start = async |name: &str| {
        let key = many.key(FlowKind::Family, name);
        let new = NewFamily { key, first: token(1), grant: b"grant", idle_ms: LONG_MS, ends_at };
        many.store.start_family(new, now).await.unwrap();
        let next = token(2).secret;
        let (presented, answer) = (token(1), answer(1));
        let turn = Turn { key, presented, next, answer: &answer, grace_ms: 0, idle_ms: LONG_MS };
        assert_eq!(many.store.turn(turn, now).await, Ok(Turned::Done));
        key
    };
    let key = start("ended").await;
    let ended = many.ask(move |store, _| async move { store.end_family(key, None, now).await });
    assert_eq!(how_many(&ended.await, Option::is_some), 1);

    let key = start("reused").await;
    let shown = many.ask(move |store, _| async move { store.stand(key, token(1), 0, now).await });
    let shown = shown.await;
    let is_reused = |one: &Standing| matches!(one, Standing::Reused { .. });
    assert_eq!(how_many(&shown, is_reused), shown.len(), "{shown:?}");
    let ended = many.ask(move |store, _| async move { store.end_family(key, None, now).await });
    assert_eq!(how_many(&ended.await, Option::is_some), 1);
}

async fn a_session_begins_and_ends_once(many: Many<'_>) {
    let Many { store, now, salt } = many;
    let clock = || now;
    let session = Case { store: &**store, clock: &clock, salt }.session("parallel", "parallel");
    let begun = many.ask(|store, _| {
        let session = session.clone();
        async move {
            match store.start_session(&session, now).await {
                Err(StoreError::Conflict) => Ok(false),
                other => other.map(|()| true),
            }
        }
    });
    assert_eq!(how_many(&begun.await, |begun| *begun), 1);
    assert_eq!(store.sessions_of(&session.user_id, now).await.unwrap().len(), 1);
    let ended = many.ask(|store, _| {
        let id = session.id.clone();
        async move { store.end_session(&id, now).await }
    });
    assert_eq!(how_many(&ended.await, Option::is_some), 1);
    assert!(store.sessions_of(&session.user_id, now).await.unwrap().is_empty());
}
