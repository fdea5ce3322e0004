//! `postern explain`.

mod known;
mod mesh;
mod request;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, Error, Result, bail};
use postern_document::Document;
use postern_explain::cases::instant;
use postern_explain::{
    Assumptions, Explanation, MeshPolicies, Part, Revocations, Revoked, StoredKey, entry, explain,
};
use postern_identity::AwsLcVerifier;

use super::review;
use crate::cli::{Explain, KeyFile};
use crate::{documents, output};
use known::Known;
use mesh::Mesh;

/// Exit code where something had to be taken for granted, with `--strict`.
const UNCERTAIN: u8 = 3;

/// Says what a document makes of a request, whatever that is.
///
/// # Errors
/// When the document has problems, an option names what is not there, or a file or the store
/// cannot be read.
pub async fn run(arguments: &Explain) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    check_names(&document, arguments)?;
    let workload = match &arguments.workload {
        Some(name) => entry(&document, name).map_err(Error::msg).context("--workload")?,
        None => None,
    };
    if workload.is_none() && arguments.peer.is_some() {
        bail!("--peer: nobody outside has a certificate of the mesh; --workload names the edge");
    }
    let now = match &arguments.at {
        None => super::now(),
        Some(text) => instant(text).with_context(|| {
            format!("--at: `{text}` is not a time such as 2026-01-02T03:04:05Z")
        })?,
    };
    let request = request::read(&document, arguments, now)?;
    let known = Known::read(&document, arguments, &request, now).await?;
    let stored = |id: &str| known.stored(id);
    let policies = arguments.policies.as_deref().map(review::read_policies).transpose()?;
    let mesh = policies.map(|policies| Mesh::new(&document, policies, now));
    let assume = Assumptions {
        workload,
        failed: arguments.failed.iter().cloned().collect(),
        open_circuits: set(&arguments.open),
        used_up: set(&arguments.used_up),
        revoked: if arguments.revoked { Revoked::Yes } else { Revoked::No },
        faulted: arguments.fault,
        keys: &known.keys,
        stored_key: known.has_store.then_some(&stored as &dyn Fn(&str) -> Option<StoredKey>),
        revocations: known.revocations.as_ref().map(|list| list as &dyn Revocations),
        policies: mesh.as_ref().map(|mesh| mesh as &dyn MeshPolicies),
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
            Part::RateLimitService
                if document.routes.iter().all(|route| route.descriptors.is_empty()) =>
            {
                bail!("--failed {part}: nobody asks it, no route has `descriptors`")
            }
            _ => {}
        }
    }
    if arguments.fault && document.routes.iter().all(|route| route.fault.is_none()) {
        bail!("--fault: no route of the document has a `fault`");
    }
    Ok(())
}

/// The encryption key is not needed to know public keys.
const NO_KEY_FILE: KeyFile = KeyFile { key_file: None, key_command: None };
