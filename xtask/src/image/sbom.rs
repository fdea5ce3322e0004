//! What is in a module or a program, as an SPDX 2.3 document.
//!
//! It names no place to download from: checksums and package URLs say which crate is meant,
//! wherever it came from.

use serde_json::{Value, json};

use super::crates::{Crate, Crates};
use super::oci::Digest;
use super::rustc::Rustc;
use super::source::Source;
use super::system::{self, Package};

/// The media type of such a document.
pub const MEDIA_TYPE: &str = "application/spdx+json";

/// What SPDX wants where nothing is claimed.
const NO_ASSERTION: &str = "NOASSERTION";
/// The document's identifier of what it describes.
const SUBJECT: &str = "SPDXRef-subject";
const STANDARD_LIBRARY: &str = "SPDXRef-rust-std";

/// What a document describes.
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// The file that it is.
    pub file: &'a str,
    /// That file's digest.
    pub digest: &'a Digest,
    /// The crates in it.
    pub crates: &'a Crates,
    /// What compiled it, whose standard library is in it; none where nobody knows.
    pub rustc: Option<&'a Rustc>,
    /// What is beside it in the image.
    pub system: &'a [Package],
}

/// The document.
pub fn document(subject: &Subject, source: &Source) -> Value {
    let mut all: Vec<&Crate> = subject.crates.all.iter().collect();
    all.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    let mut packages = vec![package(&Entry {
        id: SUBJECT,
        name: subject.name,
        version: Some(&source.version),
        licence: Some("Apache-2.0"),
        sha256: Some(subject.digest.hex()),
        purl: None,
        file: Some(subject.file),
    })];
    packages.extend(all.into_iter().map(of_crate));
    packages.extend(subject.rustc.map(standard_library));
    packages.extend(subject.system.iter().map(of_system));

    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{} {}", subject.name, source.version),
        "documentNamespace": format!(
            "https://postern.dev/spdx/{}/{}/{}",
            subject.name,
            source.version,
            subject.digest.hex()
        ),
        "creationInfo": {
            "created": source.created,
            "creators": [format!("Tool: postern-xtask-{}", source.version)],
        },
        "packages": packages,
        "relationships": relationships(subject),
    })
}

fn relationships(subject: &Subject) -> Vec<Value> {
    let relation = |from: &str, kind: &str, to: &str| {
        json!({
            "spdxElementId": from,
            "relationshipType": kind,
            "relatedSpdxElement": to,
        })
    };
    let mut contained: Vec<String> = subject.crates.all.iter().map(id_of).collect();
    contained.extend(subject.rustc.map(|_| STANDARD_LIBRARY.to_owned()));
    contained.extend(subject.system.iter().map(|package| system_id(&package.name)));
    contained.sort();
    let mut uses: Vec<(String, String)> = Vec::new();
    for (user, used) in &subject.crates.uses {
        let place = |at: &usize| subject.crates.all.get(*at).map(id_of);
        uses.extend(place(user).zip(place(used)));
    }
    uses.sort();

    let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", SUBJECT)];
    relations.extend(contained.iter().map(|part| relation(SUBJECT, "CONTAINS", part)));
    relations.extend(uses.iter().map(|(user, used)| relation(user, "DEPENDS_ON", used)));
    relations
}

#[derive(Default)]
struct Entry<'a> {
    id: &'a str,
    name: &'a str,
    version: Option<&'a str>,
    licence: Option<&'a str>,
    sha256: Option<&'a str>,
    purl: Option<&'a str>,
    file: Option<&'a str>,
}

fn package(entry: &Entry) -> Value {
    let mut value = json!({
        "SPDXID": entry.id,
        "name": entry.name,
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": entry.licence.unwrap_or(NO_ASSERTION),
        "copyrightText": NO_ASSERTION,
    });
    let optional = [
        ("versionInfo", entry.version.map(|version| json!(version))),
        ("packageFileName", entry.file.map(|file| json!(file))),
        ("checksums", entry.sha256.map(checksums)),
        ("externalRefs", entry.purl.map(references)),
    ];
    if let Some(members) = value.as_object_mut() {
        for (name, member) in optional {
            members.extend(member.map(|member| (name.to_owned(), member)));
        }
    }
    value
}

fn checksums(sha256: &str) -> Value {
    json!([{"algorithm": "SHA256", "checksumValue": sha256}])
}

fn references(purl: &str) -> Value {
    json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    }])
}

fn of_crate(one: &Crate) -> Value {
    // Our own crates are published nowhere: a package URL would name somebody else's.
    let purl = one.checksum.as_ref().map(|_| {
        format!("pkg:cargo/{}@{}", system::escaped(&one.name), system::escaped(&one.version))
    });
    package(&Entry {
        id: &id_of(one),
        name: &one.name,
        version: Some(&one.version),
        licence: one.licence.as_deref(),
        sha256: one.checksum.as_deref(),
        purl: purl.as_deref(),
        ..Entry::default()
    })
}

fn standard_library(rustc: &Rustc) -> Value {
    package(&Entry {
        id: STANDARD_LIBRARY,
        name: "rust-std",
        version: Some(&rustc.release),
        licence: Some("MIT OR Apache-2.0"),
        purl: Some(&format!("pkg:generic/rust-std@{}", system::escaped(&rustc.release))),
        ..Entry::default()
    })
}

/// A package of the distribution. SPDX has room for one file of a package that is not taken apart.
fn of_system(package_of: &Package) -> Value {
    let (file, sha256) = match package_of.files.as_slice() {
        [(path, digest)] => (Some(path.trim_start_matches('/')), Some(digest.hex())),
        _ => (None, None),
    };
    package(&Entry {
        id: &system_id(&package_of.name),
        name: &package_of.name,
        version: package_of.version.as_deref(),
        purl: package_of.purl.as_deref(),
        file,
        sha256,
        ..Entry::default()
    })
}

/// Registries take names that differ by `-` and `_` alone for one: identifiers, which know no
/// `_`, stay apart.
fn id_of(one: &Crate) -> String {
    identifier(&format!("crate-{}-{}", one.name, one.version))
}

fn system_id(name: &str) -> String {
    identifier(&format!("system-{name}"))
}

fn identifier(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let kept = text.chars().map(|c| if allowed(c) { c } else { '-' });
    "SPDXRef-".chars().chain(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{crates, source};
    use std::collections::BTreeSet;

    fn sample() -> Value {
        let crates = crates::tests::sample();
        let digest = Digest::of(b"module");
        let rustc = Rustc { release: "1.95.0".to_owned(), commit: None };
        let system = [Package {
            name: "libc6".to_owned(),
            version: Some("2.36".to_owned()),
            purl: Some("pkg:deb/debian/libc6@2.36".to_owned()),
            copyright: None,
            files: vec![("/lib/libc.so.6".to_owned(), Digest::of(b"libc"))],
        }];
        let subject = Subject {
            name: "postern-bundle",
            file: "plugin.wasm",
            digest: &digest,
            crates: &crates,
            rustc: Some(&rustc),
            system: &system,
        };
        document(&subject, &source::tests::sample())
    }

    fn texts<'a>(items: &'a Value, field: &str) -> Vec<&'a str> {
        items.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
    }

    #[test]
    fn packages_are_what_is_in() {
        let document = sample();
        assert_eq!(
            texts(&document["packages"], "name"),
            ["postern-bundle", "itoa", "postern-bundle", "serde", "rust-std", "libc6"]
        );
        let itoa = &document["packages"][1];
        assert_eq!(itoa["SPDXID"], "SPDXRef-crate-itoa-1.0.1-x");
        assert_eq!(itoa["licenseDeclared"], "MIT OR Apache-2.0");
        assert_eq!(itoa["checksums"][0]["checksumValue"], "00bb");
        assert_eq!(itoa["externalRefs"][0]["referenceLocator"], "pkg:cargo/itoa@1.0.1%2Bx");
        let ours = &document["packages"][2];
        assert!(ours["checksums"].is_null() && ours["externalRefs"].is_null(), "{ours}");
    }

    #[test]
    fn relationships_name_packages_that_are_there() {
        let document = sample();
        let mut known: BTreeSet<&str> =
            texts(&document["packages"], "SPDXID").into_iter().collect();
        assert_eq!(known.len(), document["packages"].as_array().unwrap().len());
        known.insert("SPDXRef-DOCUMENT");
        let relations = &document["relationships"];
        for field in ["spdxElementId", "relatedSpdxElement"] {
            assert!(texts(relations, field).iter().all(|id| known.contains(id)), "{relations}");
        }
        let kinds = texts(relations, "relationshipType");
        let count = |kind: &str| kinds.iter().filter(|found| **found == kind).count();
        assert_eq!((count("DESCRIBES"), count("CONTAINS"), count("DEPENDS_ON")), (1, 5, 3));
    }

    #[test]
    fn nothing_says_where_it_was_made() {
        let text = sample().to_string();
        for leak in ["\"/", "file:", "path+", "registry", "/somewhere"] {
            assert!(!text.contains(leak), "{leak} in {text}");
        }
    }
}
