//! The folder that a rendering is written to.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::output;

/// How a file of the folder is not what would be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// It is not there.
    Missing,
    /// It says something else.
    Changed,
    /// An earlier rendering wrote it, and this one would not.
    Stale,
}

/// Writes a file, and its folder where there is none. It takes its place in one step: an Envoy
/// that watches the folder never reads half a file.
pub(super) fn write(folder: &Path, name: &str, content: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (path, new) = (folder.join(name), folder.join(format!(".{name}.new")));
    let written = fs::write(&new, content).and_then(|()| fs::rename(&new, &path));
    written.with_context(|| format!("cannot write {}", path.display()))?;
    output::remark(format!("wrote {}", path.display()));
    Ok(())
}

/// Removes what an earlier rendering wrote and this one did not: left in place, it would go on
/// being applied. Files of other people are left alone, whatever they are called.
pub(super) fn remove_stale(
    folder: &Path,
    files: &[(String, String)],
    written_by: &str,
) -> Result<()> {
    for name in stale(folder, files, written_by)? {
        let path = folder.join(&name);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        output::remark(format!("removed {}", path.display()));
    }
    Ok(())
}

/// What would have to be done, by file.
pub(super) fn differences(
    folder: &Path,
    files: &[(String, String)],
    written_by: &str,
) -> Result<BTreeMap<String, Difference>> {
    let mut differences = BTreeMap::new();
    for (name, content) in files {
        let difference = match read(&folder.join(name))? {
            Some(there) if there == content.as_bytes() => continue,
            Some(_) => Difference::Changed,
            None => Difference::Missing,
        };
        differences.insert(name.clone(), difference);
    }
    let stale = stale(folder, files, written_by)?;
    differences.extend(stale.into_iter().map(|name| (name, Difference::Stale)));
    Ok(differences)
}

fn stale(folder: &Path, files: &[(String, String)], written_by: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", folder.display()));
        }
    };
    let mut stale = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_rendered = files.iter().any(|(rendered, _)| *rendered == name);
        let is_ours = name.ends_with(".yaml") && entry.path().is_file();
        if is_rendered || !is_ours {
            continue;
        }
        let there = read(&entry.path())?.unwrap_or_default();
        if there.starts_with(written_by.as_bytes()) {
            stale.push(name);
        }
    }
    stale.sort_unstable();
    Ok(stale)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "# Ours.\n";

    fn file(name: &str, content: &str) -> (String, String) {
        (name.to_owned(), format!("{OURS}{content}"))
    }

    #[test]
    fn a_file_is_moved_into_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("new");
        for content in ["one", "two"] {
            write(&below, "a.json", content).unwrap();
            assert_eq!(fs::read_to_string(below.join("a.json")).unwrap(), content);
        }
        assert_eq!(fs::read_dir(&below).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_not_rendered_any_more_goes_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("a.yaml", "# Ours.\na"),
            ("old.yaml", "# Ours.\nold"),
            ("theirs.yaml", "kind: Secret"),
            ("notes.txt", "# Ours.\n"),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let files = [file("a.yaml", "a")];
        remove_stale(folder.path(), &files, OURS).unwrap();
        let left = |name: &str| folder.path().join(name).exists();
        assert!(left("a.yaml") && left("theirs.yaml") && left("notes.txt"));
        assert!(!left("old.yaml"));
    }

    #[test]
    fn a_folder_differs_where_it_would_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let files = [file("a.yaml", "a"), file("b.yaml", "b"), file("c.yaml", "c")];
        let missing = differences(&folder.path().join("none"), &files, OURS).unwrap();
        assert!(missing.values().all(|difference| *difference == Difference::Missing));
        assert_eq!(missing.len(), 3);
        for (name, content) in [
            ("a.yaml", "# Ours.\na"),
            ("b.yaml", "# Ours.\nx"),
            ("old.yaml", "# Ours.\n"),
            ("theirs.yaml", ""),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let found: Vec<(String, Difference)> =
            differences(folder.path(), &files, OURS).unwrap().into_iter().collect();
        let expected = [
            ("b.yaml", Difference::Changed),
            ("c.yaml", Difference::Missing),
            ("old.yaml", Difference::Stale),
        ];
        assert_eq!(found, expected.map(|(name, difference)| (name.to_owned(), difference)));
    }
}
