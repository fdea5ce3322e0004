//! `postern config`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_store::durable::{MAX_PAGE, PageAsk, RevisionSummary};
use serde_json::{Value, json};

use super::now;
use crate::cli::{Config, ConfigAction, Durable};
use crate::fixed::Given;
use crate::revisions::{self, Applied, Change, Order, RevisionError, Revisions};
use crate::{documents, output, recording, settings};

/// Applies documents, or looks at those that were applied.
///
/// # Errors
/// When the store cannot be used, a document has problems, or there is no such revision.
pub async fn run(arguments: &Config) -> Result<ExitCode> {
    match &arguments.action {
        ConfigAction::Apply { document, durable, why, restart, json } => {
            // First: what has problems needs no store.
            let document = documents::load_checked(document)?;
            let by = recording::actor();
            let order = Order { why, restart: *restart, by: &by, now: now() };
            let applied = open(durable).await?.apply(&document, order).await;
            tell(&applied.map_err(in_words)?, *json)
        }
        ConfigAction::History { durable, json } => history(&open(durable).await?, *json).await,
        ConfigAction::Show { durable, number } => show(&open(durable).await?, *number).await,
        ConfigAction::Diff { durable, from, to, json } => {
            let revisions = open(durable).await?;
            let changes = revisions.changes(*from, *to).await.map_err(in_words)?;
            differences(&changes, *json)
        }
        ConfigAction::Rollback { durable, number, why, restart, json } => {
            let way_back = revisions::way_back(*number);
            let by = recording::actor();
            let why = why.as_deref().unwrap_or(&way_back);
            let order = Order { why, restart: *restart, by: &by, now: now() };
            let applied = open(durable).await?.roll_back(*number, order).await;
            tell(&applied.map_err(in_words)?, *json)
        }
    }
}

/// Of the servers that serve from the store it is known that their command lines name it; what else
/// they say is not.
async fn open(durable: &Durable) -> Result<Revisions> {
    let address = settings::resolve("--durable", &durable.durable)?;
    let store = settings::open_durable(&address).await?;
    Ok(Revisions::new(store, Given::of(None, Some(&address), Some(&address))))
}

/// What there is to do about it.
fn in_words(error: RevisionError) -> anyhow::Error {
    match error {
        RevisionError::Document(problems) => {
            let count = output::count(problems.len(), "problem");
            anyhow::anyhow!("the document has {count}:\n{}", problems.join("\n"))
        }
        RevisionError::Restart(problems) => anyhow::anyhow!(
            "beside the active revision it changes what takes a restart:\n{}\nwith --restart it is \
             applied, and servers that run on another one go on with that until they are started \
             again",
            problems.join("\n")
        ),
        other => other.into(),
    }
}

fn tell(applied: &Applied, as_json: bool) -> Result<ExitCode> {
    let revision = &applied.revision;
    if as_json {
        let mut answer = to_json(revision);
        if let Some(members) = answer.as_object_mut() {
            members.insert("changed".to_owned(), applied.changed.into());
            members.insert("restart".to_owned(), json!(applied.restart));
        }
        output::line(answer.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (number, digest) = (revision.number, &revision.digest);
    if applied.changed {
        output::line(format!("revision {number} is active; digest {digest}"))?;
    } else {
        output::line(format!("revision {number} holds this document already; digest {digest}"))?;
    }
    for problem in &applied.restart {
        output::note(format!(
            "beside the revision that was active, servers need a restart for it: {problem}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn history(revisions: &Revisions, as_json: bool) -> Result<ExitCode> {
    let mut all: Vec<RevisionSummary> = Vec::new();
    loop {
        let offset = u64::try_from(all.len()).context("too many revisions")?;
        let ask = PageAsk { newest_first: true, offset, limit: MAX_PAGE };
        let page = revisions.page(ask).await.map_err(in_words)?;
        let is_last = page.records.is_empty();
        all.extend(page.records);
        if is_last || u64::try_from(all.len()).is_ok_and(|length| length >= page.total) {
            break;
        }
    }
    if as_json {
        let list: Vec<Value> = all.iter().map(to_json).collect();
        output::line(Value::Array(list).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |revision: &RevisionSummary| {
        let RevisionSummary { number, digest, who, at, why, active } = revision;
        let active = if *active { "active" } else { "" };
        vec![
            number.to_string(),
            active.to_owned(),
            at.to_rfc3339(),
            output::visible(who),
            digest.clone(),
            why.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    output::table(&["NUMBER", "", "APPLIED", "WHO", "DIGEST", "WHY"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(revisions: &Revisions, number: Option<u64>) -> Result<ExitCode> {
    let number = match number {
        Some(number) => number,
        None => match revisions.active().await.map_err(in_words)? {
            Some(active) => active.number,
            None => bail!("no document was applied yet"),
        },
    };
    output::line(revisions.find(number).await.map_err(in_words)?.document)?;
    Ok(ExitCode::SUCCESS)
}

fn differences(changes: &[Change], as_json: bool) -> Result<ExitCode> {
    if as_json {
        let list = changes.iter().map(
            |change| json!({"path": change.path, "before": change.before, "after": change.after}),
        );
        output::line(Value::Array(list.collect()).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for change in changes {
        output::line(output::visible(&change.to_string()))?;
    }
    if changes.is_empty() {
        output::remark("nothing differs");
    }
    Ok(ExitCode::SUCCESS)
}

fn to_json(revision: &RevisionSummary) -> Value {
    json!({
        "number": revision.number,
        "digest": revision.digest,
        "who": revision.who,
        "applied_at": revision.at.to_rfc3339(),
        "why": revision.why,
        "active": revision.active,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_restart_is_compared_with_the_active_revision() {
        let error = in_words(RevisionError::Restart(vec!["`issuer`: changed".to_owned()]));
        let error = error.to_string();
        for expected in ["beside the active revision", "`issuer`: changed", "--restart"] {
            assert!(error.contains(expected), "{error}");
        }
    }
}
