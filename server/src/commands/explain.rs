//! `postern explain`.

mod known;
mod request;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_document::Document;
use postern_explain::{Assumptions, Explanation, Part, Revoked, StoredKey, explain};
use postern_identity::AwsLcVerifier;
use postern_request::UnixMillis;

use crate::cli::{Explain, KeyFile};
use crate::places::Places;
use crate::{documents, output};
use known::Known;

/// Exit code where something had to be taken for granted, with `--strict`.
const UNCERTAIN: u8 = 3;

/// Says what a document makes of a request, whatever that is.
///
/// # Errors
/// When the document has problems, an option names what is not there, or a file or the store
/// cannot be read.
pub async fn run(arguments: &Explain) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    let places = Places::of(&documents::sources(&arguments.document)?);
    check_names(&document, arguments)?;
    let now = match &arguments.at {
        None => super::now(),
        Some(text) => instant(text).with_context(|| {
            format!("--at: `{text}` is not a time such as 2026-01-02T03:04:05Z")
        })?,
    };
    let request = request::read(&document, arguments, now)?;
    let known = Known::read(&document, arguments, &request, now).await?;
    let stored = |id: &str| known.stored(id);
    let place_of = |path: &str| places.find(path);
    let assume = Assumptions {
        failed: arguments.failed.iter().cloned().collect(),
        open_circuits: set(&arguments.open),
        used_up: set(&arguments.used_up),
        revoked: if arguments.revoked { Revoked::Yes } else { Revoked::No },
        keys: &known.keys,
        stored_key: known.has_store.then_some(&stored as &dyn Fn(&str) -> Option<StoredKey>),
        place_of: &place_of,
        ..Assumptions::at(now)
    };
    // Proofs bring keys of their own, and nothing here is asked twice.
    let mut verifier = AwsLcVerifier::without_memory();
    let explanation = explain(&document, &request, &assume, &mut verifier);
    if arguments.json {
        output::line(postern_explain::to_json(&document, &request, &explanation))?;
    } else {
        let text = postern_explain::to_text(&document, &request, &explanation);
        output::bytes(text.as_bytes())?;
    }
    let is_uncertain = arguments.strict && is_uncertain(&explanation);
    Ok(if is_uncertain { ExitCode::from(UNCERTAIN) } else { ExitCode::SUCCESS })
}

fn is_uncertain(explanation: &Explanation) -> bool {
    let other = explanation.otherwise.as_ref();
    !explanation.uncertain.is_empty()
        || other.is_some_and(|share| !share.explanation.uncertain.is_empty())
}

fn set(names: &[String]) -> BTreeSet<String> {
    names.iter().cloned().collect()
}

/// A name that the document does not have is a typing error, and would go unnoticed.
fn check_names(document: &Document, arguments: &Explain) -> Result<()> {
    for name in &arguments.open {
        let service = document.services.iter().find(|service| service.name == *name);
        match service {
            None => bail!("--open: the document has no service `{name}`"),
            Some(service) if service.circuit.is_none() => {
                bail!("--open: the service `{name}` has no circuit")
            }
            Some(_) => {}
        }
    }
    for name in &arguments.used_up {
        if document.limits.iter().all(|limit| limit.name != *name) {
            bail!("--used-up: the document has no limit `{name}`");
        }
    }
    for part in &arguments.failed {
        match part {
            Part::IssuerKeys { issuer, .. } => {
                known::issuer(document, issuer).with_context(|| format!("--failed {part}"))?;
            }
            Part::RateLimitService => bail!("--failed {part}: the document asks for none"),
            _ => {}
        }
    }
    Ok(())
}

/// Reads a time as [`UnixMillis::to_rfc3339`] writes it, by whole seconds.
///
/// Such texts are in the order of the times that they name, so the time is searched for: no
/// calendar is needed here, and a day that does not exist is not found.
fn instant(text: &str) -> Option<UnixMillis> {
    let written = |secs: u64| UnixMillis(secs * 1000).to_rfc3339();
    let wanted = [text.strip_suffix('Z')?, ".000Z"].concat();
    let (mut low, mut high) = (0_u64, LAST_SECOND);
    while low < high {
        let middle = low.midpoint(high);
        if written(middle) < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (written(low) == wanted).then_some(UnixMillis(low * 1000))
}

/// 9999-12-31T23:59:59Z
const LAST_SECOND: u64 = 253_402_300_799;

/// The encryption key is not needed to know public keys.
const NO_KEY_FILE: KeyFile = KeyFile { key_file: None };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for text in ["1970-01-01T00:00:00Z", "2026-01-02T03:04:05Z", "9999-12-31T23:59:59Z"] {
            let time = instant(text).unwrap();
            assert_eq!(time.to_rfc3339().replace(".000Z", "Z"), text);
        }
        for bad in [
            "",
            "2026-01-02",
            "2026-02-30T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05+01:00",
            "2026-01-02t03:04:05Z",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
