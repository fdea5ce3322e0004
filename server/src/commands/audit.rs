//! `postern audit`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_store::durable::AuditRecord;
use postern_store::durable::audit::{AuditStore, MAX_AUDIT_PAGE, Verdict, verify_audit};
use serde_json::json;

use crate::cli::{Audit, AuditAction};
use crate::{output, settings};

/// Checks or prints the audit log.
///
/// # Errors
/// When the store cannot be read, or a value is none. That the log was changed is no error but an
/// answer, with the exit code 1.
pub async fn run(arguments: &Audit) -> Result<ExitCode> {
    match &arguments.action {
        AuditAction::Verify { durable, head, json } => {
            let kept = head.as_deref().map(hash).transpose()?;
            let store = settings::identity_store(&durable.durable).await?;
            verify(&*store, kept, *json).await
        }
        AuditAction::Export { durable, after, json } => {
            let store = settings::identity_store(&durable.durable).await?;
            export(&*store, *after, *json).await
        }
    }
}

/// 64 hexadecimal digits.
fn hash(text: &str) -> Result<[u8; 32]> {
    let mut digits = text.trim().chars().map(|digit| digit.to_digit(16));
    let mut hash = [0; 32];
    for byte in &mut hash {
        let pair = digits.next().flatten().zip(digits.next().flatten());
        let (high, low) = pair.context("--head: a hash has 64 hexadecimal digits")?;
        *byte = u8::try_from(high * 16 + low).unwrap_or_default();
    }
    if digits.next().is_some() {
        bail!("--head: a hash has 64 hexadecimal digits");
    }
    Ok(hash)
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn verify(store: &dyn AuditStore, kept: Option<[u8; 32]>, as_json: bool) -> Result<ExitCode> {
    match verify_audit(store, kept).await? {
        Verdict::Whole { head, kept } => {
            let hash = hex(&head.hash);
            if as_json {
                let answer =
                    json!({"whole": true, "entries": head.seq, "head": hash, "kept": kept});
                output::line(answer.to_string())?;
            } else {
                output::line(format!("whole    up to entry {}", head.seq))?;
                output::line(format!("head     {hash}"))?;
                if let Some(seq) = kept {
                    output::line(format!("--head   the hash of entry {seq}"))?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Verdict::Broken(broken) => {
            if as_json {
                let answer = json!({"whole": false, "problem": broken.to_string()});
                output::line(answer.to_string())?;
            } else {
                output::line(format!("changed  {broken}"))?;
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Page by page, so that it takes no more memory for a longer log.
async fn export(store: &dyn AuditStore, mut after: u64, as_json: bool) -> Result<ExitCode> {
    loop {
        let page = store.audit_since(after, MAX_AUDIT_PAGE).await?;
        let Some(last) = page.last() else { return Ok(ExitCode::SUCCESS) };
        after = last.seq;
        for record in &page {
            output::line(if as_json { to_json(record) } else { to_text(record) })?;
        }
    }
}

/// `detail` is the text that is hashed, as it was written.
fn to_json(record: &AuditRecord) -> String {
    let entry = &record.entry;
    json!({
        "seq": record.seq,
        "at": entry.at.to_rfc3339(),
        "at_ms": entry.at.0,
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
        "previous": hex(&record.previous),
        "hash": hex(&record.hash),
    })
    .to_string()
}

fn to_text(record: &AuditRecord) -> String {
    let entry = &record.entry;
    let cells = [&entry.actor, &entry.action, &entry.target, &entry.detail];
    let cells: Vec<String> = cells.into_iter().map(|text| output::visible(text)).collect();
    format!("{}  {}  {}", record.seq, entry.at.to_rfc3339(), cells.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_64_digits_and_nothing_else() {
        let text = "0123456789abcdefABCDEF0123456789".repeat(2);
        assert_eq!(hex(&hash(&text).unwrap()), text.to_lowercase());
        assert!(hash(&format!(" {text}\n")).is_ok());
        let digits = |text: &str, count| text.repeat(count);
        for bad in
            [digits("0", 63), digits("0", 65), digits("g", 64), digits("é", 64), digits("", 1)]
        {
            assert!(hash(&bad).is_err(), "{bad}");
        }
    }
}
