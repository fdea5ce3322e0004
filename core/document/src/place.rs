//! Where something stands in the texts that a document was read from.

use crate::decode::Decode as _;
use crate::model::Document;
use crate::problem::Position;

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The text's name, usually the file's path.
    pub file: String,
    /// The line, from 1; 0 where there are no lines (JSON).
    pub line: usize,
}

impl Document {
    /// Where that stands to which a path leads, as problems write paths: `routes.NAME`,
    /// `routes.NAME.auth.scopes`, `services.NAME.timeout`, `credentials.jwt.issuers[0]`. What has
    /// no place of its own, or is left to its default, stands where that does which would hold
    /// it. None where a route, service, limit, transform, workload or owner has another name.
    #[must_use]
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let segments: Vec<&str> =
            path.split(['.', '[']).map(|segment| segment.trim_end_matches(']')).collect();
        let Position { file, line } = self.find(&segments)?;
        let file = self.files.get(file).cloned().unwrap_or_default();
        Some(Place { file, line })
    }

    fn find(&self, path: &[&str]) -> Option<Position> {
        let raw = &self.raw;
        if let [section, name, rest @ ..] = path {
            let is_there = match *section {
                "routes" => {
                    let at = self.lookup.at(name)?;
                    return raw.routes.get(at)?.place(rest);
                }
                "services" => raw.services.has(name),
                "limits" => raw.limits.has(name),
                "transforms" => raw.transforms.has(name),
                "owners" => raw.owners.has(name),
                "workloads" => raw.workloads.get().is_some_and(|named| named.has(name)),
                _ => true,
            };
            if !is_there {
                return None;
            }
        }
        raw.place(path)
    }
}

#[cfg(all(test, feature = "yaml"))]
mod tests {
    use crate::{Source, from_json, load};

    const MAIN: &str = "\
version: 1
limits:
  few:
    key: [ip]
    mode: local
    rate: 5/1m
credentials:
  jwt:
    issuers:
      - issuer: https://a.test
        audiences: [a]
workloads:
  shop:
    namespace: shop
    labels: {app: shop}
    service_account: shop
owners:
  team: {paths: [/b/]}
services:
  s:
    upstream: h:1
    timeout: 5s
    versions:
      old: {labels: {version: v1}}
routes:
  - name: r
    match: {path: /r}
    service: s
    split: {old: 100}
    ext_authz: true
    auth:
      any: [jwt]
      scopes:
        - read
        - write
    limits: [few]
";
    const FRAGMENT: &str = "\
owner: team
routes:
  - name: b
    match: {path: /b/x}
    service: postern
    auth: none
";

    #[test]
    fn every_part_has_a_place() {
        let source =
            |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
        let sources = [source("main.yaml", MAIN), source("b.yaml", FRAGMENT)];
        let document = load(&sources, &|_| Err(String::new())).unwrap();
        let line = |text: &str| MAIN.lines().position(|line| line.contains(text)).unwrap() + 1;
        for (path, expected) in [
            ("version", line("version: 1")),
            ("limits.few", line("few:")),
            ("limits.few.rate", line("rate:")),
            ("limits.few.burst", line("key: [ip]")),
            ("credentials.jwt.issuers[0].audiences", line("audiences:")),
            ("credentials.jwt.issuers[0]", line("issuer: https")),
            ("workloads.shop", line("shop:")),
            ("workloads.shop.labels.app", line("app: shop")),
            ("services.s", line("  s:")),
            ("services.s.timeout", line("timeout:")),
            ("services.s.versions.old", line("old: {labels")),
            ("services.s.retries", line("upstream: h:1")),
            ("routes.r", line("name: r")),
            ("routes.r.match.path", line("path: /r}")),
            ("routes.r.auth", line("any: [jwt]")),
            ("routes.r.auth.scopes", line("- read")),
            ("routes.r.auth.scopes.write", line("- write")),
            ("routes.r.auth.scopes.other", line("any: [jwt]")),
            ("routes.r.split.old", line("split:")),
            ("routes.r.limits.few", line("limits: [few]")),
            ("routes.r.ext_authz", line("name: r")),
        ] {
            let found = document.place_of(path).unwrap();
            assert_eq!((found.file.as_str(), found.line), ("main.yaml", expected), "{path}");
        }
        let found = document.place_of("routes.b.match").unwrap();
        assert_eq!((found.file.as_str(), found.line), ("b.yaml", 4));
        for gone in ["routes.x", "services.x", "limits.x.rate", "workloads.x", "owners.x"] {
            assert_eq!(document.place_of(gone), None, "{gone}");
        }
        let again = from_json(document.to_json().as_bytes()).unwrap();
        assert_eq!(again.place_of("routes.r").unwrap().line, 0);
    }
}
