//! An Envoy as a filter sees it, without a network.

use std::net::IpAddr;

use postern_filter_host::{Effects, ForeignFunctions, HeaderList, RequestHost};
use postern_filter_shared_data::{Memory, SharedData};
use postern_request::UnixMillis;
use postern_request::evidence::Evidence;

use crate::explain_property::requests::{NOW, PEER};

/// An Envoy that can do nothing but keep values.
#[derive(Default)]
pub struct Host {
    values: Memory,
    pub evidence: Option<Evidence>,
    /// Whom the certificate of the connection names.
    pub peer: Option<&'static str>,
}

impl ForeignFunctions for &Host {
    fn call(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

impl SharedData for &Host {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.get(key)
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        self.values.set(key, value, version)
    }

    fn put(&self, key: &str, value: &[u8]) {
        self.values.put(key, value);
    }
}

impl RequestHost for &Host {
    fn now(&self) -> UnixMillis {
        NOW
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        match path {
            ["source", "address"] => Some(format!("{}:99", IpAddr::from(PEER)).into_bytes()),
            ["metadata", "filter_metadata", "envoy.filters.http.ext_authz", "postern"] => {
                self.evidence.as_ref().map(|evidence| evidence.encode().into_bytes())
            }
            ["connection", "uri_san_peer_certificate"] => {
                self.peer.map(|peer| peer.as_bytes().to_vec())
            }
            _ => None,
        }
    }

    fn seed(&self) -> (u128, bool) {
        (7, true)
    }
}

/// What the bundle does to the message.
#[derive(Default)]
pub struct Recorded {
    pub headers: HeaderList,
    pub reason: Option<String>,
    pub subject: Option<String>,
}

impl Recorded {
    fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }
}

impl Effects for Recorded {
    fn set_header(&mut self, name: &str, value: &str) {
        self.rewrite_header(name, value.as_bytes());
    }

    fn add_header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    fn rewrite_header(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_vec()));
    }

    fn remove_header(&mut self, name: &str) {
        self.remove(name);
    }

    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    fn headers(&self) -> HeaderList {
        self.headers.clone()
    }

    fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        let text = Some(String::from_utf8_lossy(value).into_owned());
        match key {
            "postern.denied" => self.reason = text,
            "postern.subject" => self.subject = text,
            _ => {}
        }
    }

    fn log(&mut self, _: &str) {}
}
