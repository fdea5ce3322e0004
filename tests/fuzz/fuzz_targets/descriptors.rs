//! Rate-limit configurations of anybody's making: problems, never a panic; and what is accepted
//! can be shown and looked up.
//!
//! Input: files, with a zero byte between them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_descriptors::{Descriptors, Source};

fuzz_target!(|input: &str| {
    let files = input.split('\0').enumerate();
    let sources: Vec<Source> = files
        .map(|(index, text)| Source { name: format!("{index}.yaml"), text: text.to_owned() })
        .collect();
    for merge_domains in [false, true] {
        let read = match Descriptors::load(&sources, merge_domains) {
            Ok(read) => read,
            Err(problems) => {
                assert!(!problems.is_empty());
                continue;
            }
        };
        assert_eq!(read.dump().lines().count(), read.rules().len());
        let words = || input.split([' ', '\n', '{', '}', '[', ']', ',', ':', '\'']).take(16);
        for domain in read.domains().into_iter().take(3) {
            for key in words() {
                for value in words().chain(["", "*"]) {
                    let entries = [(key, value), (value, key)];
                    for length in 0..=2 {
                        let entries = entries.iter().copied().take(length);
                        let found = read.find_among(domain, entries);
                        assert!(found.is_none_or(|found| found.metric_key.starts_with(domain)));
                    }
                }
            }
        }
    }
});
