//! A mesh's files of anybody's making, as `postern import` reads them: problems, never a panic; and
//! what is made of them passes `postern check`, is the same each time, and says of itself whether
//! it is all.
//!
//! Input: files, with a zero byte between them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_document::{Source, load};
use postern_render::import::{Fate, ImportError, ImportOptions, import};

/// What rules say is compared with what others say. Longer files do more of the same.
const LONGEST: usize = 16 * 1024;

fuzz_target!(|input: &str| {
    if input.len() > LONGEST {
        return;
    }
    let files = input.split('\0').enumerate();
    let sources: Vec<Source> = files
        .map(|(index, text)| Source { name: format!("{index}.yaml"), text: text.to_owned() })
        .collect();
    let options = ImportOptions::default();
    let imported = import(&sources, &options);
    assert_eq!(imported, import(&sources, &options));
    let imported = match imported {
        Ok(imported) => imported,
        Err(ImportError::Unreadable(problems) | ImportError::Refused(problems)) => {
            assert!(!problems.is_empty());
            return;
        }
    };
    let lacks_something = imported.remarks.iter().any(|remark| remark.fate != Fate::Noted);
    assert_eq!(imported.is_whole(), imported.document.is_some() && !lacks_something);
    for remark in &imported.remarks {
        assert!(!remark.to_string().contains(char::is_control), "{remark:?}");
    }
    if let Some(text) = imported.document {
        let source = Source { name: "gateway.yaml".to_owned(), text };
        match load(&[source], &|_| Err("no files here".to_owned())) {
            Ok(document) => assert!(!document.routes.is_empty()),
            Err(problems) => panic!("{problems:?}"),
        }
    }
});
