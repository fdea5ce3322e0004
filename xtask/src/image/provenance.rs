//! Where an image comes from, as an in-toto statement with SLSA's provenance, version 1.
//!
//! It is not signed: whoever publishes images signs their digests. It says neither when a build
//! began nor how often it ran, because two builds must give one statement.

use serde_json::{Map, Value, json};

use super::oci::Digest;
use super::rustc::Rustc;
use super::source::Source;
use super::system;

/// The media type of a statement.
pub const MEDIA_TYPE: &str = "application/vnd.in-toto+json";
/// What a statement states.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters mean.
const BUILD_TYPE: &str = "https://postern.dev/build/image/v1";

/// What is the same for every image of a run.
pub struct Build {
    /// The state of the repository.
    pub source: Source,
    /// Where the repository is published, if anybody says.
    pub url: Option<String>,
    /// Who builds, as a URI.
    pub builder: String,
    /// `Cargo.lock`.
    pub lock: Digest,
}

/// Something that went into a build.
pub struct Material(Value);

impl Material {
    /// The compiler.
    pub fn rustc(rustc: &Rustc) -> Self {
        let uri = format!("pkg:generic/rust@{}", system::escaped(&rustc.release));
        let mut members =
            Map::from_iter([("name".to_owned(), json!("rustc")), ("uri".to_owned(), json!(uri))]);
        if let Some(commit) = &rustc.commit {
            members.insert("digest".to_owned(), json!({"gitCommit": commit}));
        }
        Self(Value::Object(members))
    }

    /// A tool that has a version alone.
    pub fn tool(name: &str, package: &str, version: &str) -> Self {
        let uri = format!("pkg:generic/{package}@{}", system::escaped(version));
        Self(json!({"name": name, "uri": uri}))
    }

    /// A file.
    pub fn file(name: &str, digest: &Digest) -> Self {
        Self(json!({"name": name, "digest": {"sha256": digest.hex()}}))
    }

    /// A package of the distribution.
    pub fn system(package: &system::Package) -> Self {
        let name = &package.name;
        Self(match &package.purl {
            Some(uri) => json!({"name": name, "uri": uri}),
            None => {
                let digests = package.files.iter().map(|(_, digest)| digest.hex());
                let digest: Vec<&str> = digests.collect();
                json!({"name": name, "digest": {"sha256": digest.first()}})
            }
        })
    }
}

/// The statement about images: their names and digests.
pub fn statement(
    subjects: &[(&str, &Digest)],
    build: &Build,
    parameters: &Value,
    materials: Vec<Material>,
) -> Value {
    let subjects: Vec<Value> = subjects
        .iter()
        .map(|(name, digest)| json!({"name": name, "digest": {"sha256": digest.hex()}}))
        .collect();
    let mut dependencies: Vec<Value> = repository(build).into_iter().collect();
    dependencies.push(Material::file("Cargo.lock", &build.lock).0);
    dependencies.extend(materials.into_iter().map(|material| material.0));
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {"created": build.source.created},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {
                    "id": build.builder,
                    "version": {"postern-xtask": build.source.version},
                },
            },
        },
    })
}

/// The repository, where anything is known of it.
fn repository(build: &Build) -> Option<Value> {
    let mut members = Map::new();
    if let Some(url) = &build.url {
        members.insert("uri".to_owned(), json!(format!("git+{url}")));
    }
    if let Some(commit) = &build.source.commit {
        members.insert("digest".to_owned(), json!({"gitCommit": commit}));
    }
    if members.is_empty() {
        return None;
    }
    members.insert("name".to_owned(), json!("source"));
    if build.source.modified {
        members.insert("annotations".to_owned(), json!({"modified": true}));
    }
    Some(Value::Object(members))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::image::source;

    /// A build of that commit of long ago.
    pub fn sample() -> Build {
        Build {
            source: source::tests::sample(),
            url: Some("https://git.example.test/postern".to_owned()),
            builder: "https://ci.example.test/builder".to_owned(),
            lock: Digest::of(b"lock"),
        }
    }

    #[test]
    fn a_statement_says_what_was_built_from_what() {
        let (image, rustc) =
            (Digest::of(b"image"), Rustc { release: "1.95.0".to_owned(), commit: None });
        let materials =
            vec![Material::rustc(&rustc), Material::tool("wasm-opt", "binaryen", "108")];
        let statement = statement(
            &[("postern-bundle", &image)],
            &sample(),
            &json!({"profile": "wasm"}),
            materials,
        );
        assert_eq!(statement["subject"][0]["digest"]["sha256"], image.hex());
        let definition = &statement["predicate"]["buildDefinition"];
        assert_eq!(definition["externalParameters"]["profile"], "wasm");
        let dependencies = definition["resolvedDependencies"].as_array().unwrap();
        let names: Vec<&Value> = dependencies.iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["source", "Cargo.lock", "rustc", "wasm-opt"]);
        assert_eq!(dependencies[0]["uri"], "git+https://git.example.test/postern");
        // SLSA: a resource has a URI, a digest or its content.
        for dependency in dependencies {
            assert!(!dependency["uri"].is_null() || !dependency["digest"].is_null());
        }
        let builder = &statement["predicate"]["runDetails"]["builder"]["id"];
        assert_eq!(builder, "https://ci.example.test/builder");
    }

    #[test]
    fn a_tree_that_nobody_knows_is_no_dependency() {
        let mut build = sample();
        build.source.modified = true;
        assert_eq!(repository(&build).unwrap()["annotations"]["modified"], true);
        build.source.commit = None;
        assert!(repository(&build).unwrap()["digest"].is_null());
        build.url = None;
        assert_eq!(repository(&build), None);
    }
}
