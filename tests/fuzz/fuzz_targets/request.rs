//! A whole request through the gatekeeper: whatever the headers hold, it passes or is denied
//! cleanly, and what is written for the upstream can stand in a header.
//!
//! Input: lines of `name: value`, any bytes.

#![no_main]

use std::cell::RefCell;
use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use postern_bundle::Gatekeeper;
use postern_filter_host::{
    Effects, ForeignFunctions, HeaderList, Outcome, Plugin as _, RequestHost,
};
use postern_filter_shared_data::SharedData;
use postern_request::{UnixMillis, headers};

/// An Envoy that answers every property with part of the input.
struct Host<'a>(&'a [u8]);

impl ForeignFunctions for Host<'_> {
    fn call(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

impl RequestHost for Host<'_> {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_000_000)
    }
    fn property(&self, _: &[&str]) -> Option<Vec<u8>> {
        Some(self.0.to_vec())
    }
    fn seed(&self) -> (u128, bool) {
        (7, true)
    }
}

impl SharedData for Host<'_> {
    fn get(&self, _: &str) -> Option<(Vec<u8>, u32)> {
        Some((self.0.to_vec(), 1))
    }
    fn set(&self, _: &str, _: &[u8], _: Option<u32>) -> bool {
        self.0.len() % 2 == 0
    }
    fn put(&self, _: &str, _: &[u8]) {}
}

/// What a message has by name, and what it came with.
struct Checked<'a>(BTreeSet<String>, &'a HeaderList);

impl Effects for Checked<'_> {
    fn set_header(&mut self, name: &str, value: &str) {
        assert!(headers::is_lowercase_name(name) && headers::is_safe_value(value));
        self.0.insert(name.to_owned());
    }
    fn add_header(&mut self, name: &str, value: &str) {
        assert!(headers::is_lowercase_name(name) && headers::is_safe_value(value));
        assert!(self.0.insert(name.to_owned()), "{name} is there twice");
    }
    // What is left of the client's own bytes.
    fn rewrite_header(&mut self, _: &str, _: &[u8]) {}
    fn remove_header(&mut self, name: &str) {
        self.0.remove(name);
    }
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.1.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }
    fn headers(&self) -> HeaderList {
        self.1.clone()
    }
    fn set_filter_state(&mut self, _: &str, _: &[u8]) {}
    fn log(&mut self, _: &str) {}
}

thread_local! {
    static GATEKEEPER: RefCell<Option<Gatekeeper>> = const { RefCell::new(None) };
}

fn gatekeeper() -> Gatekeeper {
    let configuration = include_str!("../request.json");
    match Gatekeeper::configure(Host(b""), configuration.as_bytes()) {
        Ok(gatekeeper) => gatekeeper,
        Err(problems) => panic!("{problems:?}"),
    }
}

fuzz_target!(|input: &[u8]| {
    let list: HeaderList = input
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let at = line.iter().skip(1).position(|byte| *byte == b':')? + 1;
            let (name, value) = line.split_at_checked(at)?;
            // Envoy lets only tokens through as names.
            let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
            Some((name, value.strip_prefix(b": ").unwrap_or(value).to_vec()))
        })
        .collect();
    GATEKEEPER.with_borrow_mut(|gatekeeper| {
        let gatekeeper = gatekeeper.get_or_insert_with(self::gatekeeper);
        let host = || Host(input);
        let has = || Checked(list.iter().map(|(name, _)| name.clone()).collect(), &list);
        match gatekeeper.on_request_headers(host(), &list, &mut has()) {
            Outcome::Continue(Some(mut stream))
            | Outcome::Deny(_, mut stream)
            | Outcome::Answer(_, mut stream) => {
                let mut effects = Checked(BTreeSet::new(), &list);
                gatekeeper.on_response_headers(host(), &mut stream, &mut effects);
                if Gatekeeper::reads_body(&stream) {
                    let read = || input.to_vec();
                    gatekeeper.on_response_body(host(), &mut stream, input.len(), &read, true);
                }
                gatekeeper.on_response_trailers(host(), &mut stream, &effects);
                gatekeeper.on_end(host(), stream);
            }
            Outcome::Continue(None) => {}
        }
        gatekeeper.on_request_trailers(&list, &mut has());
    });
});
