//! What a client wants.

use std::sync::Arc;

use super::{Had, Part, Wanted};
use crate::ask::TooMuch;
use crate::resource::Version;
use crate::settings::Bounds;

impl Part {
    /// The client wants this too. One that it has asked for before it may have forgotten.
    ///
    /// Of what there is not, it wants so much at most; the rest is not noted. It is not its fault:
    /// a client from before a great change asks for all that it has before it hears of that.
    pub(crate) fn subscribe(
        &mut self,
        name: &str,
        known: Wanted<'_>,
        bounds: &Bounds,
    ) -> Result<(), TooMuch> {
        if name.len() > bounds.name_bytes {
            return Err(TooMuch::Name);
        }
        if !self.names.contains(name) {
            if self.names.len() >= bounds.names {
                return Err(TooMuch::Names);
            }
            let room = known.count().saturating_add(bounds.unknown_names);
            if known.has_none(name) && self.names.len() >= room {
                self.passed_over = true;
                return Ok(());
            }
        }
        let name = shared(name, known);
        if matches!(self.has.get(&name), Some(Had::Nothing)) {
            self.has.remove(&name);
        }
        self.again.insert(Arc::clone(&name));
        self.names.insert(name);
        self.look_again();
        Ok(())
    }

    /// The client wants this no more, and forgets it.
    pub(crate) fn unsubscribe(&mut self, name: &str) {
        self.names.remove(name);
        if !self.wildcard {
            self.again.remove(name);
            self.forget(name);
        }
        self.look_again();
    }

    /// The client wants everything, or only what it has named.
    pub(crate) fn want_all(&mut self, all: bool) {
        if all {
            self.owes = true;
        } else if self.wildcard {
            // It may have forgotten all that it had.
            self.has.clear();
            self.taken.clear();
            self.refused.clear();
        }
        self.wildcard = all;
        self.look_again();
    }

    /// What the client has from an earlier stream.
    pub(crate) fn told(
        &mut self,
        has: Vec<(String, String)>,
        known: Wanted<'_>,
        bounds: &Bounds,
    ) -> Result<(), TooMuch> {
        if has.len() > bounds.names {
            return Err(TooMuch::Names);
        }
        for (name, version) in has {
            if name.len() > bounds.name_bytes {
                return Err(TooMuch::Name);
            }
            if !self.wildcard && !self.names.contains(name.as_str()) {
                continue;
            }
            let name = shared(&name, known);
            self.again.remove(&name);
            if self.remembers {
                self.taken.insert(Arc::clone(&name), None);
            }
            let had = Version::parse(&version).map_or_else(Had::something, Had::Told);
            self.has.insert(name, had);
        }
        self.look_again();
        Ok(())
    }

    /// It is sent once more to a client that wants it.
    pub(crate) fn repeat(&mut self, name: &Arc<str>) {
        if self.wildcard || self.names.contains(name) {
            self.again.insert(Arc::clone(name));
            self.look_again();
        }
    }
}

/// A name as the snapshot has it, so that streams do not each keep their own.
fn shared(name: &str, known: Wanted<'_>) -> Arc<str> {
    let awaited = || known.awaited.and_then(|awaited| awaited.get(name));
    match known.get(name).map(|resource| &resource.name).or_else(awaited) {
        Some(known) => Arc::clone(known),
        None => Arc::from(name),
    }
}
