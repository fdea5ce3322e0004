//! A case file of anybody's making, about the sample document: problems, never a panic; and what is
//! accepted is a bounded number of cases, each with a name of its own.
//!
//! Input: files, with a zero byte between them.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use postern_document::{Document, Source, load};
use postern_explain::cases;

const MOST_CASES: usize = 10_000;
/// Whatever `each` makes of a file's texts.
const MOST_BYTES: usize = 32 * 1024 * 1024;

thread_local! {
    static DOCUMENT: Document = document();
}

fn document() -> Document {
    let text = include_str!("../../../envoy/sample.yaml").to_owned();
    let source = Source { name: "sample.yaml".to_owned(), text };
    match load(&[source], &|_| Err("no files here".to_owned())) {
        Ok(document) => document,
        Err(problems) => panic!("{problems:?}"),
    }
}

fuzz_target!(|input: &str| {
    let files = input.split('\0').enumerate();
    let sources: Vec<Source> = files
        .map(|(index, text)| Source { name: format!("{index}.yaml"), text: text.to_owned() })
        .collect();
    DOCUMENT.with(|document| match cases::read(document, &sources) {
        Err(problems) => assert!(!problems.is_empty()),
        Ok(files) => {
            assert_eq!(files.len(), sources.len());
            let cases = files.iter().flat_map(|file| &file.cases);
            let texts = cases.map(|case| case.name.len() + case.request.path.len());
            assert!(texts.sum::<usize>() <= MOST_BYTES);
            for file in files {
                assert!((1..=MOST_CASES).contains(&file.cases.len()));
                let names: BTreeSet<&str> =
                    file.cases.iter().map(|case| case.name.as_str()).collect();
                assert_eq!(names.len(), file.cases.len());
                for case in file.cases.iter().take(100) {
                    let path = case.request.fill_in(&case.request.path, &|_| String::new());
                    assert!(path.len() <= case.request.path.len());
                }
            }
        }
    });
});
