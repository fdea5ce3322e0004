//! [`RedisStore`] as the registry of services.
//!
//! What belongs to a service lies in one slot, so that each step is one script. A change is told by
//! one key for all services, which each server asks about a few times a second: a server that
//! waits for a thousand services asks no more often than one that waits for one. Where telling
//! fails, the change is found within half a minute.

mod pack;
mod record;
pub(crate) mod script;

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use postern_registry::{Instance, Listed, Listing, Version};
use postern_request::UnixMillis;
use postern_store::registry::{Checker, Registry, RegistryError, Report};
use postern_store::{BoxFuture, StoreError};
use redis::{Cmd, Value};
use tokio::time::{Instant, timeout_at};

use crate::RedisStore;
use crate::connection::{FIRST_RETRY, LAST_RETRY, jittered};
use crate::error::unexpected;
use crate::slots::all;

/// How often Redis is asked what has changed.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// After so many times without an answer it is looked whether Redis has forgotten all.
const QUIET: u32 = 50;
/// Instances of one listing that are read at the same time.
const AT_ONCE: usize = 16;

impl Registry for RedisStore {
    fn register<'a>(
        &'a self,
        instance: &'a Instance,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        Box::pin(async move {
            // Where there is no room for the service there is none for the instance.
            let life = Some(instance.ttl_ms);
            if !self.tell(&instance.service, false, life).await? {
                return Err(RegistryError::Full);
            }
            let is_changed = match self.call(pack::register(self.scripts(), instance)).await? {
                Value::Int(0) => false,
                Value::Int(1) => true,
                Value::Int(2) => return Err(RegistryError::Full),
                _ => return Err(unexpected("of the script that registers").into()),
            };
            if is_changed {
                self.tell(&instance.service, true, life).await?;
            }
            Ok(is_changed)
        })
    }

    fn heartbeat<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        Box::pin(async move {
            let life = self.number(pack::heartbeat(self.scripts(), service, id)).await?;
            if life > 0 {
                // It is there, whether or not there is room on the list.
                self.tell(service, false, u64::try_from(life).ok()).await?;
            }
            Ok(life > 0)
        })
    }

    fn deregister<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        Box::pin(async move {
            let gone = self.number(pack::deregister(self.scripts(), service, id)).await?;
            if gone > 0 {
                let was_last = gone == 2;
                self.tell(service, true, was_last.then_some(0)).await?;
            }
            Ok(gone > 0)
        })
    }

    fn list<'a>(
        &'a self,
        service: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        Box::pin(async move { Ok(self.listing(service).await?) })
    }

    fn find<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(Option<Listed>, usize), RegistryError>> {
        Box::pin(async move { Ok(self.find_instance(service, id).await?) })
    }

    fn watch<'a>(
        &'a self,
        service: &'a str,
        seen: Option<Version>,
        wait: Duration,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        Box::pin(async move {
            let mut ear = self.service_bells().listen(service);
            let over = Instant::now() + wait;
            loop {
                let listing = self.listing(service).await?;
                if seen != Some(listing.version) {
                    return Ok(listing);
                }
                // That nobody has rung is an answer, too, of how it is by then: ends ring for
                // nobody. Who rings may be late: of a change that has been seen already nobody is
                // told.
                if !matches!(timeout_at(over, ear.changed()).await, Ok(Ok(()))) {
                    return Ok(self.listing(service).await?);
                }
            }
        })
    }

    fn services(&self, _: UnixMillis) -> BoxFuture<'_, Result<Vec<String>, RegistryError>> {
        Box::pin(async move {
            let listed = self.call(pack::services()).await?;
            let names: Vec<String> = redis::from_redis_value(listed)
                .map_err(|_| unexpected("of the list of services"))?;
            let mut living = Vec::new();
            for names in names.chunks(AT_ONCE) {
                let indexes = names.iter().map(|name| self.index(name));
                for (name, index) in names.iter().zip(all(indexes.collect()).await) {
                    if !index?.ends.is_empty() {
                        living.push(name.clone());
                    }
                }
            }
            living.sort_unstable();
            Ok(living)
        })
    }

    fn claim<'a>(
        &'a self,
        service: &'a str,
        checker: Checker,
        life_ms: u64,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        Box::pin(async move {
            let call = pack::claim(self.scripts(), service, checker, life_ms);
            Ok(self.number(call).await? == 1)
        })
    }

    fn report<'a>(
        &'a self,
        report: Report<'a>,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        Box::pin(async move {
            let counts = self.number(pack::report(self.scripts(), &report)).await?;
            if counts == 2 {
                self.tell(report.service, true, None).await?;
            }
            Ok(counts > 0)
        })
    }
}

/// Which instances a service has, and which state that is.
struct Index {
    version: Version,
    at: UnixMillis,
    /// Ids, and when their time is over.
    ends: Vec<(String, UnixMillis)>,
}

impl Index {
    /// Reads what `index.lua` returns.
    fn read(answer: Value) -> Option<Self> {
        let texts: Vec<String> = redis::from_redis_value(answer).ok()?;
        let mut texts = texts.into_iter();
        let mut number = || texts.next()?.parse::<u64>().ok();
        let (at, epoch, state) = (number()?, number()?, number()?);
        let mut ends = Vec::with_capacity(texts.len() / 2);
        while let Some(id) = texts.next() {
            ends.push((id, UnixMillis(texts.next()?.parse().ok()?)));
        }
        ends.sort_unstable();
        let version = Version { epoch, number: state };
        Some(Self { version, at: UnixMillis(at), ends })
    }
}

impl RedisStore {
    /// A script's answer that is a number.
    async fn number(&self, call: Cmd) -> Result<i64, StoreError> {
        match self.call(call).await? {
            Value::Int(number) => Ok(number),
            _ => Err(unexpected("of a script of the registry")),
        }
    }

    /// Tells everybody that a service is another one now, or only that it is there, and for how
    /// long where that is known; whether there is room for it on the list.
    async fn tell(
        &self,
        service: &str,
        is_changed: bool,
        life_ms: Option<u64>,
    ) -> Result<bool, StoreError> {
        if is_changed {
            // This replica need not wait for Redis to tell it what it said itself.
            self.service_bells().ring(service);
        }
        let ring = pack::ring(self.scripts(), service, is_changed, life_ms);
        Ok(self.number(ring).await? == 1)
    }

    async fn index(&self, service: &str) -> Result<Index, StoreError> {
        let answer = self.call(pack::index(self.scripts(), service)).await?;
        Index::read(answer).ok_or_else(|| unexpected("of the script that lists instances"))
    }

    /// The state is that of the index: what changes while instances are read is another one, of
    /// which everybody is told.
    async fn listing(&self, service: &str) -> Result<Listing, StoreError> {
        let Index { version, at, ends } = self.index(service).await?;
        let mut entries = Vec::with_capacity(ends.len());
        let mut left_out = 0;
        for some in ends.chunks(AT_ONCE) {
            let found = some.iter().map(|(id, _)| self.call(pack::find(service, id)));
            for ((id, ends), found) in some.iter().zip(all(found.collect()).await) {
                match record::read(service, id, found?) {
                    Ok(Some((instance, standing))) => {
                        let expires_in_ms = Some(ends.millis_since(at));
                        entries.push(Listed { instance, standing, expires_in_ms });
                    }
                    // It was taken out this moment.
                    Ok(None) => {}
                    // Another version's, or nobody's: the others are as good as without it.
                    Err(_) => left_out += 1,
                }
            }
        }
        Ok(Listing { version, at, entries, left_out })
    }

    /// One record, not all of a listing.
    async fn find_instance(
        &self,
        service: &str,
        id: &str,
    ) -> Result<(Option<Listed>, usize), StoreError> {
        let Index { at, ends, .. } = self.index(service).await?;
        let count = ends.len();
        let Some((_, ends)) = ends.into_iter().find(|(known, _)| known == id) else {
            return Ok((None, count));
        };
        let record = record::read(service, id, self.call(pack::find(service, id)).await?);
        let listed = record.ok().flatten().map(|(instance, standing)| Listed {
            instance,
            standing,
            expires_in_ms: Some(ends.millis_since(at)),
        });
        Ok((listed, count))
    }

    /// Hears of changes that other replicas and commands make, again and again. Run it beside the
    /// server where somebody waits for services; it never ends.
    pub async fn keep_hearing_of_services(&self) -> Infallible {
        let mut pause = FIRST_RETRY;
        loop {
            let Err(_) = self.hear_of_services(&mut pause).await;
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    async fn hear_of_services(&self, pause: &mut Duration) -> Result<Infallible, StoreError> {
        let mut last = self.newest_change().await?;
        *pause = FIRST_RETRY;
        // Whatever was said while nobody asked was missed.
        self.service_bells().ring_all();
        let mut quiet = 0;
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let changes = self.changes(pack::changes(last)).await?;
            for (service, number) in &changes {
                self.service_bells().ring(service);
                last = last.max(*number);
            }
            quiet = if changes.is_empty() { quiet + 1 } else { 0 };
            if quiet >= QUIET {
                quiet = 0;
                // After a flush the list begins anew, above the numbers from before unless a clock
                // was set back.
                let newest = self.newest_change().await?;
                if newest < last {
                    last = newest;
                    self.service_bells().ring_all();
                }
            }
        }
    }

    async fn newest_change(&self) -> Result<u64, StoreError> {
        let newest = self.changes(pack::newest()).await?;
        Ok(newest.into_values().max().unwrap_or(0))
    }

    /// Services, with the numbers of their last changes.
    async fn changes(&self, command: Cmd) -> Result<HashMap<String, u64>, StoreError> {
        let answer = self.call(command).await?;
        read_changes(answer).ok_or_else(|| unexpected("of the list of services"))
    }
}

/// Reads names, each with its number.
fn read_changes(answer: Value) -> Option<HashMap<String, u64>> {
    let texts: Vec<String> = redis::from_redis_value(answer).ok()?;
    let mut texts = texts.into_iter();
    let mut changes = HashMap::new();
    while let Some(service) = texts.next() {
        changes.insert(service, texts.next()?.parse().ok()?);
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn an_index_is_read_in_order() {
        let answer = ["7", "1800000000000001", "3", "b", "20", "a", "10"].map(text).to_vec();
        let index = Index::read(Value::Array(answer)).unwrap();
        assert_eq!(index.version, Version { epoch: 1_800_000_000_000_001, number: 3 });
        assert_eq!(index.at, UnixMillis(7));
        let expected = [("a", 10), ("b", 20)];
        assert_eq!(index.ends, expected.map(|(id, at)| (id.to_owned(), UnixMillis(at))));
        for bad in
            [&["7", "1"][..], &["7", "1", "x"], &["7", "1", "3", "a"], &["7", "1", "3", "a", "-"]]
        {
            let answer = bad.iter().map(|part| text(part)).collect();
            assert!(Index::read(Value::Array(answer)).is_none(), "{bad:?}");
        }
        assert!(Index::read(Value::Nil).is_none());
    }

    #[test]
    fn changes_are_read_with_their_numbers() {
        let read = |parts: &[&str]| {
            read_changes(Value::Array(parts.iter().map(|part| text(part)).collect()))
        };
        let expected = HashMap::from([("shop".to_owned(), 1_800_000_000_123)]);
        assert_eq!(read(&["shop", "1800000000123"]), Some(expected));
        assert_eq!(read(&[]), Some(HashMap::new()));
        for bad in [&["shop"][..], &["shop", "-1"], &["shop", "1.5"]] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
