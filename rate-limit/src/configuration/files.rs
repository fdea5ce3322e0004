//! What the files of a configuration hold: texts, or what is wrong with them.

use std::path::Path;

use postern_descriptors::{Problem, Source};
use sha2::{Digest as _, Sha256};

/// What was read: texts, or why there are none.
pub(super) struct Content(Result<Vec<Source>, Vec<Problem>>);

impl Content {
    /// What is there now.
    pub(super) fn read(place: &Path) -> Self {
        let files = match postern_files::list(place) {
            Ok(files) if files.is_empty() => {
                let message = "there is no `.yaml` or `.yml` file in this folder";
                return Self(Err(vec![problem(place, message.to_owned())]));
            }
            Ok(files) => files,
            Err(error) => return Self(Err(vec![problem(place, error.to_string())])),
        };
        let (mut sources, mut problems) = (Vec::with_capacity(files.len()), Vec::new());
        for path in files {
            match postern_files::read(&path) {
                Ok(text) => sources.push(Source { name: path.display().to_string(), text }),
                Err(error) => problems.push(problem(&path, error.to_string())),
            }
        }
        Self(if problems.is_empty() { Ok(sources) } else { Err(problems) })
    }

    /// The same for the same content, good or bad.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            digest.update(text.len().to_le_bytes());
            digest.update(text.as_bytes());
        };
        match &self.0 {
            Ok(sources) => sources.iter().for_each(|source| {
                add(&source.name);
                add(&source.text);
            }),
            Err(problems) => problems.iter().for_each(|problem| add(&problem.to_string())),
        }
        digest.finalize().into()
    }

    pub(super) fn into_sources(self) -> Result<Vec<Source>, Vec<Problem>> {
        self.0
    }
}

fn problem(place: &Path, message: String) -> Problem {
    Problem { file: place.display().to_string(), line: 0, path: String::new(), message }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_a_problem_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let message = |place: &Path| {
            let problems = Content::read(place).into_sources().unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            problems[0].message.clone()
        };
        assert!(message(folder.path()).contains("no `.yaml`"));
        let missing = message(&folder.path().join("missing.yaml"));
        assert!(missing.contains("No such file"), "{missing}");
        fs::write(folder.path().join("a.yaml"), b"\xff").unwrap();
        assert!(message(folder.path()).contains("UTF-8"));
    }
}
