//! A gateway document of anybody's making: problems, never a panic; and what is accepted gives
//! the same document again from its own canonical form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_document::{Source, from_json, load};

fuzz_target!(|input: &str| {
    let source = Source { name: "fuzz".to_owned(), text: input.to_owned() };
    let Ok(document) = load(&[source], &|_| Err("no files here".to_owned())) else { return };
    match from_json(document.to_json().as_bytes()) {
        Ok(again) => assert_eq!(again.digest, document.digest),
        Err(problems) => panic!("{problems:?}"),
    }
    assert!(from_json(document.filter_config().as_bytes()).is_ok());
});
