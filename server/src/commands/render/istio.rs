//! `postern render istio`.

use std::process::ExitCode;

use anyhow::Result;
use postern_render::istio;

use super::folder::{self, Difference};
use crate::cli::RenderIstio;
use crate::{documents, output};

pub(super) fn run(arguments: &RenderIstio) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    let options = arguments.mesh.options();
    let files = istio::render(&document, &options)
        .map_err(|error| super::placed(&document, error.path(), error))?;
    for warning in istio::warnings(&document, &options) {
        output::warn(warning);
    }
    if !arguments.no_notes {
        for note in istio::notes(&document, &options) {
            output::note(note);
        }
    }
    let files: Vec<(String, String)> =
        files.into_iter().map(|file| (file.name, file.content)).collect();
    if arguments.check {
        return check(arguments, &files);
    }
    for (name, content) in &files {
        folder::write(&arguments.out, name, content)?;
    }
    folder::remove_stale(&arguments.out, &files, istio::WRITTEN_BY)?;
    Ok(ExitCode::SUCCESS)
}

/// For pull requests: whether what is there is what would be rendered.
fn check(arguments: &RenderIstio, files: &[(String, String)]) -> Result<ExitCode> {
    let differences = folder::differences(&arguments.out, files, istio::WRITTEN_BY)?;
    for (name, difference) in &differences {
        let what = match difference {
            Difference::Missing => "missing",
            Difference::Changed => "differs",
            Difference::Stale => "no longer rendered",
        };
        output::line(format!("{}: {what}", arguments.out.join(name).display()))?;
    }
    if differences.is_empty() {
        output::remark(format!("{} is current", arguments.out.display()));
        return Ok(ExitCode::SUCCESS);
    }
    output::remark(format!(
        "{} is not what the document renders to: run the same command without --check, and commit \
         what it writes",
        arguments.out.display()
    ));
    Ok(ExitCode::FAILURE)
}
