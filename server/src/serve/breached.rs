//! Passwords that were found in breaches: where the document says that they are.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use postern_document::{BreachedSource, PasswordRules};
use postern_identity::ports::BreachedPasswords;
use postern_identity::{BreachedFile, BreachedRange};

use super::with_header::HttpWithHeader;

/// What knows them; none where the document names nothing.
///
/// # Errors
/// When the file cannot be read, or is no such list: better known at the start than at the first
/// password.
pub fn open(rules: &PasswordRules) -> Result<Option<Arc<dyn BreachedPasswords>>> {
    let Some(breached) = &rules.breached else { return Ok(None) };
    let known: Arc<dyn BreachedPasswords> = match &breached.source {
        BreachedSource::File(path) => {
            let file = BreachedFile::open(PathBuf::from(path));
            let file = file.with_context(|| format!("`login.passwords.breached.file`: {path}"))?;
            Arc::new(file)
        }
        BreachedSource::RangeUrl(url) => {
            Arc::new(BreachedRange::new(url, Arc::new(HttpWithHeader::new()?)))
        }
    };
    Ok(Some(known))
}

#[cfg(test)]
mod tests {
    use postern_document::{Breached, OnFailure};

    use super::*;

    fn rules(source: BreachedSource) -> PasswordRules {
        PasswordRules {
            min_length: 8,
            memory_kib: 64,
            iterations: 1,
            breached: Some(Breached { source, when_unavailable: OnFailure::Allow }),
        }
    }

    #[test]
    fn a_list_that_is_not_there_is_known_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let open = || open(&rules(BreachedSource::File(path.display().to_string())));
        let error = open().map(|_| ()).unwrap_err();
        assert!(format!("{error:#}").contains("breached.file"), "{error:#}");
        std::fs::write(&path, "password\n").unwrap();
        assert!(open().is_err());
        std::fs::write(&path, "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:9\n").unwrap();
        assert!(open().unwrap().is_some());
        let url = "https://r.test/range/".to_owned();
        assert!(super::open(&rules(BreachedSource::RangeUrl(url))).unwrap().is_some());
        let none = PasswordRules { breached: None, ..rules(BreachedSource::File(String::new())) };
        assert!(super::open(&none).unwrap().is_none());
    }
}
