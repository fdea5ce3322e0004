//! Reading a folder of manifests, with everything below it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use postern_document::Source;

use crate::output;

const MAX_FILES: usize = 5000;
const MAX_DEPTH: usize = 16;

/// All YAML files in the order of their paths, or the file itself. Hidden entries are left out.
///
/// # Errors
/// When one cannot be read, or there are none or too many.
pub fn read(path: &Path) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    if path.is_dir() {
        collect(path, MAX_DEPTH, &mut files)?;
    } else {
        files.push(path.to_owned());
    }
    files.sort();
    if files.is_empty() || files.len() > MAX_FILES {
        let count = output::count(files.len(), "YAML file");
        bail!("{} holds {count}; expected 1 to {MAX_FILES}", path.display());
    }
    let source = |file: &PathBuf| -> Result<Source> {
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Source { name: file.display().to_string(), text })
    };
    files.iter().map(source).collect()
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if hidden {
            continue;
        }
        if path.is_dir() {
            // A link that leads back would never end.
            let Some(deeper) = depth.checked_sub(1) else {
                bail!("{} is too deep", path.display());
            };
            collect(&path, deeper, files)?;
        } else if is_yaml && files.len() <= MAX_FILES {
            files.push(path);
        }
    }
    Ok(())
}
