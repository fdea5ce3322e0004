//! Families of refresh tokens. The scripts of other stores follow this line by line.

use std::cmp::Ordering;

use postern_request::UnixMillis;

use super::expiring::{Bounds, Expiring, Sharded, Weighed};
use crate::flows::{NewFamily, Presented, Standing, Turn, Turned};
use crate::{FlowKey, StoreError};

const BOUNDS: Bounds = Bounds { entries: 500_000, bytes: 256 << 20 };
/// Most spent tokens of a family that get their answers again.
const MAX_SPENT: usize = 8;

/// A token that was exchanged lately.
#[derive(Clone)]
struct Spent {
    secret: [u8; 32],
    at: UnixMillis,
    /// Sealed by what the token holds.
    answer: Vec<u8>,
}

#[derive(Clone)]
struct Family {
    lock: [u8; 32],
    /// Of the token that may be exchanged.
    current: [u8; 32],
    /// Which one in the row that is.
    generation: u32,
    grant: Vec<u8>,
    ends_at: UnixMillis,
    /// Oldest first.
    spent: Vec<Spent>,
    /// A spent token was shown.
    is_reused: bool,
}

impl Weighed for Family {
    fn weight(&self) -> usize {
        let spent = self.spent.iter().map(|spent| spent.answer.len() + size_of::<Spent>());
        self.grant.len() + spent.sum::<usize>()
    }
}

/// How a token stands, before anything is done about it.
enum How {
    Current,
    /// With the answer of then.
    Again(Vec<u8>),
    Reused,
    Unknown,
}

impl Family {
    fn stands(&self, presented: &Presented, grace_ms: u64, now: UnixMillis) -> How {
        if self.lock != presented.lock {
            return How::Unknown;
        }
        if self.is_reused {
            return How::Reused;
        }
        match presented.generation.cmp(&self.generation) {
            Ordering::Equal if self.current == presented.secret => How::Current,
            // A later one than is known here: a write was lost, and nobody is to blame.
            Ordering::Equal | Ordering::Greater => How::Unknown,
            Ordering::Less => {
                let mut spent = self.spent.iter().filter(|spent| spent.is_graced(grace_ms, now));
                let its = spent.find(|spent| spent.secret == presented.secret);
                its.map_or(How::Reused, |spent| How::Again(spent.answer.clone()))
            }
        }
    }

    /// Whether this very turn was done before: whoever turns makes the next token, so nobody else
    /// can name it.
    fn was_done(&self, turn: &Turn<'_>) -> bool {
        let after = turn.presented.generation.checked_add(1);
        !self.is_reused && after == Some(self.generation) && self.current == turn.next
    }

    /// The family after a turn.
    fn turned(&self, turn: &Turn<'_>, now: UnixMillis) -> Self {
        let mut next = self.clone();
        next.spent.retain(|spent| spent.is_graced(turn.grace_ms, now));
        if turn.grace_ms > 0 {
            if next.spent.len() >= MAX_SPENT {
                next.spent.remove(0);
            }
            let (secret, answer) = (turn.presented.secret, turn.answer.to_vec());
            next.spent.push(Spent { secret, at: now, answer });
        }
        next.current = turn.next;
        next.generation = self.generation.saturating_add(1);
        next
    }

    /// When it ends where nobody exchanges a token.
    fn end(&self, idle_ms: u64, now: UnixMillis) -> UnixMillis {
        self.ends_at.min(UnixMillis(now.0.saturating_add(idle_ms)))
    }
}

impl Spent {
    fn is_graced(&self, grace_ms: u64, now: UnixMillis) -> bool {
        now.millis_since(self.at) <= grace_ms
    }
}

pub(super) struct Families(Sharded<Family>);

impl Default for Families {
    fn default() -> Self {
        Self(Sharded::new(BOUNDS))
    }
}

impl Families {
    pub(super) fn start(&self, new: &NewFamily<'_>, now: UnixMillis) -> Result<(), StoreError> {
        let family = Family {
            lock: new.first.lock,
            current: new.first.secret,
            generation: new.first.generation,
            grant: new.grant.to_vec(),
            ends_at: new.ends_at,
            spent: Vec::new(),
            is_reused: false,
        };
        self.0.with(new.key, |shard| {
            if shard.get(new.key, now).is_some() {
                return Err(StoreError::Conflict);
            }
            shard.sweep(now, drop);
            let end = family.end(new.idle_ms, now);
            shard.put(new.key, family, end).map(drop)
        })
    }

    pub(super) fn stand(
        &self,
        key: FlowKey,
        presented: &Presented,
        grace_ms: u64,
        now: UnixMillis,
    ) -> Standing {
        self.0.with(key, |shard| {
            let Some(kept) = shard.get(key, now) else { return Standing::Unknown };
            let family = &kept.value;
            match family.stands(presented, grace_ms, now) {
                How::Current => {
                    Standing::Current { grant: family.grant.clone(), ends_at: family.ends_at }
                }
                How::Again(answer) => Standing::Again { grant: family.grant.clone(), answer },
                How::Reused => reused_in(shard, key, now)
                    .map_or(Standing::Unknown, |grant| Standing::Reused { grant }),
                How::Unknown => Standing::Unknown,
            }
        })
    }

    pub(super) fn turn(&self, turn: &Turn<'_>, now: UnixMillis) -> Result<Turned, StoreError> {
        self.0.with(turn.key, |shard| {
            let Some(kept) = shard.get(turn.key, now) else { return Ok(Turned::Unknown) };
            match kept.value.stands(&turn.presented, turn.grace_ms, now) {
                How::Current => {
                    let next = kept.value.turned(turn, now);
                    let end = next.end(turn.idle_ms, now);
                    shard.put(turn.key, next, end).map(|_| Turned::Done)
                }
                How::Again(answer) => Ok(Turned::Again(answer)),
                How::Reused if kept.value.was_done(turn) => Ok(Turned::Done),
                How::Reused => Ok(reused_in(shard, turn.key, now)
                    .map_or(Turned::Unknown, |grant| Turned::Reused { grant })),
                How::Unknown => Ok(Turned::Unknown),
            }
        })
    }

    pub(super) fn look(
        &self,
        key: FlowKey,
        presented: &Presented,
        now: UnixMillis,
    ) -> Option<Vec<u8>> {
        self.0.with(key, |shard| {
            let family = &shard.get(key, now)?.value;
            matches!(family.stands(presented, 0, now), How::Current).then(|| family.grant.clone())
        })
    }

    pub(super) fn end(
        &self,
        key: FlowKey,
        lock: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Option<Vec<u8>> {
        self.0.with(key, |shard| {
            let family = &shard.get(key, now)?.value;
            let fits = lock.is_none_or(|lock| lock == family.lock);
            if fits { end_in(shard, key, now) } else { None }
        })
    }
}

/// Nobody gets a token of this family any more, and whoever shows one is told; its grant.
fn reused_in(shard: &mut Expiring<Family>, key: FlowKey, now: UnixMillis) -> Option<Vec<u8>> {
    let kept = shard.get(key, now)?;
    let (end, grant) = (kept.ends, kept.value.grant.clone());
    let reused = Family { is_reused: true, spent: Vec::new(), ..kept.value.clone() };
    // It does not grow, so there is room for it; if there were none, it would be gone.
    if shard.put(key, reused, end).is_err() {
        drop(shard.remove(key));
    }
    Some(grant)
}

/// Ends a family; its grant.
fn end_in(shard: &mut Expiring<Family>, key: FlowKey, now: UnixMillis) -> Option<Vec<u8>> {
    shard.take(key, now).map(|family| family.grant)
}

#[cfg(test)]
mod tests;
