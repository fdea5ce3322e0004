//! Issuers' key sets in shared data, for VMs that start later or have not led.
//!
//! A set lies at its issuer's place in the document, under its issuer's name: after a change of
//! the document another issuer may have that place, whose keys these are not.

use std::collections::BTreeMap;

use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::KeySet;

/// No server answers for more issuers at once.
pub(crate) const MOST_ISSUERS: usize = 64;
/// The longest key set, the parser's bound, and the longest digest.
const MOST_JWKS_BYTES: usize = 262_144;
const MOST_DIGEST_BYTES: usize = 64;

fn key(place: usize) -> String {
    format!(name!("keys.{}"), place)
}

/// Length of the name, name, length of the digest, digest, JWKS.
fn encode(set: &KeySet) -> Option<Vec<u8>> {
    let name = u16::try_from(set.issuer.len()).ok()?;
    let digest = u8::try_from(set.digest.len()).ok()?;
    let texts = set.issuer.len() + set.digest.len() + set.jwks.len();
    let mut value = Vec::with_capacity(3 + texts);
    value.extend_from_slice(&name.to_le_bytes());
    value.extend_from_slice(set.issuer.as_bytes());
    value.push(digest);
    value.extend_from_slice(set.digest.as_bytes());
    value.extend_from_slice(set.jwks.as_bytes());
    Some(value)
}

/// Digest and JWKS at a place, where they are this issuer's.
fn read(shared: &dyn SharedData, place: usize, issuer: &str) -> Option<(String, Vec<u8>)> {
    let (mut value, _) = shared.get(&key(place))?;
    let (digest, length) = decode(&value, issuer)?;
    // In place: a second copy of the text would stay in the VM's memory for good.
    let start = value.len().checked_sub(length)?;
    value.drain(..start);
    Some((digest, value))
}

/// Digest, and the length of the text that follows it.
fn decode(value: &[u8], issuer: &str) -> Option<(String, usize)> {
    let (length, rest) = value.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let (length, rest) = rest.split_first()?;
    let (digest, jwks) = rest.split_at_checked(usize::from(*length))?;
    let digest = core::str::from_utf8(digest).ok()?;
    (name == issuer.as_bytes()).then(|| (digest.to_owned(), jwks.len()))
}

/// What a VM has taken.
#[derive(Debug, Default)]
pub(crate) struct KeySets {
    seen: u32,
    /// By place; empty where there is none.
    digests: Vec<String>,
}

impl KeySets {
    /// The sets that differ from those taken before. `generation` is the head's.
    pub(crate) fn take(
        &mut self,
        shared: &dyn SharedData,
        issuers: &[String],
        generation: u32,
    ) -> Vec<(usize, Vec<u8>)> {
        let mut changed = Vec::new();
        if generation == self.seen {
            return changed;
        }
        self.seen = generation;
        self.digests.resize(issuers.len().min(MOST_ISSUERS), String::new());
        for (place, (issuer, known)) in issuers.iter().zip(&mut self.digests).enumerate() {
            let Some((digest, jwks)) = read(shared, place, issuer) else { continue };
            if *known != digest {
                *known = digest;
                changed.push((place, jwks));
            }
        }
        changed
    }
}

/// What the elected VM knows to lie in shared data.
#[derive(Debug)]
pub(crate) struct Published {
    /// By place; empty where there is none.
    digests: Vec<String>,
}

/// What came of an answer's key sets.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Places and their digests.
    pub(crate) sets: Vec<(usize, String)>,
    /// One was longer than is kept, or had no digest to speak of.
    pub(crate) refused: bool,
}

impl Published {
    pub(crate) fn read(shared: &dyn SharedData, issuers: &[String]) -> Self {
        let digest = |(place, issuer): (usize, &String)| {
            read(shared, place, issuer).map(|(digest, _)| digest).unwrap_or_default()
        };
        Self { digests: issuers.iter().enumerate().take(MOST_ISSUERS).map(digest).collect() }
    }

    /// What to ask with.
    pub(crate) fn digests(&self, issuers: &[String]) -> BTreeMap<String, String> {
        // Collecting them would sort them first.
        let mut digests = BTreeMap::new();
        for (issuer, digest) in issuers.iter().zip(&self.digests) {
            digests.insert(issuer.clone(), digest.clone());
        }
        digests
    }

    /// Writes the sets of an answer down. The head tells of them, and [`Published::told`] is
    /// called then.
    pub(crate) fn write(
        &self,
        shared: &dyn SharedData,
        issuers: &[String],
        sets: &[KeySet],
    ) -> Written {
        let mut written = Written::default();
        for set in sets {
            let place = issuers.iter().take(MOST_ISSUERS).position(|one| *one == set.issuer);
            let Some(place) = place else { continue };
            let value = if is_within_bounds(set) { encode(set) } else { None };
            let Some(value) = value else {
                written.refused = true;
                continue;
            };
            if self.digests.get(place) == Some(&set.digest) {
                continue;
            }
            shared.put(&key(place), &value);
            written.sets.push((place, set.digest.clone()));
        }
        written
    }

    /// The head has told of these.
    pub(crate) fn told(&mut self, sets: Vec<(usize, String)>) {
        for (place, digest) in sets {
            if let Some(known) = self.digests.get_mut(place) {
                *known = digest;
            }
        }
    }
}

/// The server takes back no digest but a visible one.
fn is_within_bounds(set: &KeySet) -> bool {
    set.jwks.len() <= MOST_JWKS_BYTES
        && (1..=MOST_DIGEST_BYTES).contains(&set.digest.len())
        && set.digest.bytes().all(|byte| byte.is_ascii_graphic())
}
