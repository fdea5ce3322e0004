//! Layouts of small parts against the specifications and against those who fetch them.

use super::archive::tests::listing;
use super::*;

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn images() -> Vec<Image> {
    let build = provenance::tests::sample();
    vec![
        bundle::tests::sample().image(&build).unwrap(),
        server::tests::sample().image(&build).unwrap(),
    ]
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A layout as a tool reads it.
struct Reader(PathBuf);

impl Reader {
    fn index(&self) -> Vec<Value> {
        let marker = json_of(&self.0.join("oci-layout"));
        assert_eq!(marker, json!({"imageLayoutVersion": "1.0.0"}));
        let index = json_of(&self.0.join("index.json"));
        assert_eq!(index["schemaVersion"], 2);
        assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
        index["manifests"].as_array().unwrap().clone()
    }

    /// The blob of a descriptor, which must say its digest and size.
    fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap();
        let hex = digest.strip_prefix("sha256:").unwrap();
        let bytes = fs::read(self.0.join("blobs").join("sha256").join(hex)).unwrap();
        assert_eq!(Digest::of(&bytes).hex(), hex);
        assert_eq!(descriptor["size"], bytes.len());
        assert!(descriptor["mediaType"].is_string(), "{descriptor}");
        bytes
    }

    fn manifest(&self, descriptor: &Value) -> Value {
        assert_eq!(descriptor["mediaType"], oci::MANIFEST);
        let manifest: Value = serde_json::from_slice(&self.blob(descriptor)).unwrap();
        assert_eq!(
            (&manifest["schemaVersion"], &manifest["mediaType"]),
            (&json!(2), &json!(oci::MANIFEST))
        );
        manifest
    }

    fn tagged(&self, tag: &str) -> Value {
        let index = self.index();
        let key = "org.opencontainers.image.ref.name";
        let entry = index.iter().find(|entry| entry["annotations"][key] == tag);
        self.manifest(entry.unwrap_or_else(|| panic!("no {tag} in {index:?}")))
    }
}

#[test]
fn a_layout_holds_what_it_names_and_nothing_else() {
    let folder = Folder::new("layout");
    for image in images() {
        image.write(&folder.0).unwrap();
        let reader = Reader(folder.0.join(image.name));
        let index = reader.index();
        let listed: BTreeSet<&str> =
            index.iter().map(|entry| entry["digest"].as_str().unwrap()).collect();
        assert_eq!(listed.len(), index.len());

        let mut named: BTreeSet<String> =
            listed.iter().map(|digest| (*digest).to_owned()).collect();
        for entry in &index {
            let manifest = reader.manifest(entry);
            let layers = manifest["layers"].as_array().unwrap();
            assert!(!layers.is_empty());
            for descriptor in layers.iter().chain([&manifest["config"]]) {
                reader.blob(descriptor);
                named.insert(descriptor["digest"].as_str().unwrap().to_owned());
            }
            if let Some(subject) = manifest.get("subject") {
                reader.blob(subject);
                assert!(listed.contains(subject["digest"].as_str().unwrap()));
                assert_eq!(entry["artifactType"], manifest["artifactType"]);
                assert_eq!(entry["annotations"], manifest["annotations"]);
            }
        }
        let blobs = fs::read_dir(reader.0.join("blobs").join("sha256")).unwrap();
        let there: BTreeSet<String> = blobs
            .map(|entry| format!("sha256:{}", entry.unwrap().file_name().to_str().unwrap()))
            .collect();
        assert_eq!(there, named, "{}", image.name);
    }
}

#[test]
fn every_image_has_its_sbom_and_its_provenance() {
    let folder = Folder::new("referrers");
    for image in images() {
        image.write(&folder.0).unwrap();
        let reader = Reader(folder.0.join(image.name));
        let manifests: Vec<Value> =
            reader.index().iter().map(|entry| reader.manifest(entry)).collect();
        for tagged in image.layout.tagged() {
            let digest = tagged.digest.to_string();
            let of_it: Vec<&Value> = manifests
                .iter()
                .filter(|manifest| manifest["subject"]["digest"] == digest.as_str())
                .collect();
            let kinds: Vec<&Value> = of_it.iter().map(|one| &one["artifactType"]).collect();
            assert_eq!(kinds, ["application/spdx+json", "application/vnd.in-toto+json"]);
            let attached: Vec<Vec<u8>> =
                of_it.iter().map(|one| reader.blob(&one["layers"][0])).collect();
            assert_eq!(attached, [image.sbom.clone(), image.provenance.clone()]);
            let statement: Value = serde_json::from_slice(&image.provenance).unwrap();
            let subjects = statement["subject"].as_array().unwrap();
            let hex = tagged.digest.hex();
            assert!(subjects.iter().any(|subject| subject["digest"]["sha256"] == hex));
        }
        let beside = image.beside(&folder.0);
        assert_eq!(fs::read(&beside[0]).unwrap(), image.sbom);
        assert_eq!(fs::read(&beside[1]).unwrap(), image.provenance);
    }
}

/// What Istio's agent does with either form, step by step.
#[test]
fn meshes_find_the_module_in_both_forms() {
    let folder = Folder::new("forms");
    let parts = bundle::tests::sample();
    parts.image(&provenance::tests::sample()).unwrap().write(&folder.0).unwrap();
    let reader = Reader(folder.0.join(bundle::NAME));

    let ordinary = reader.tagged("0.1.0");
    let layer = ordinary["layers"].as_array().unwrap().last().unwrap();
    assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let expected = [("plugin.wasm".to_owned(), 0o644, parts.module.clone())];
    assert_eq!(listing(&reader.blob(layer)), expected);
    let config: Value = serde_json::from_slice(&reader.blob(&ordinary["config"])).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);

    let artifact = reader.tagged("0.1.0-artifact");
    let layers = artifact["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    let kind = "application/vnd.module.wasm.content.layer.v1+wasm";
    let module = layers.iter().find(|layer| layer["mediaType"] == kind).unwrap();
    assert_eq!(reader.blob(module), parts.module);
    let runtime = layers.iter().find(|layer| *layer != module).unwrap();
    assert_eq!(runtime["mediaType"], "application/vnd.module.wasm.config.v1+json");
    let runtime: Value = serde_json::from_slice(&reader.blob(runtime)).unwrap();
    assert_eq!(
        runtime,
        json!({"type": "envoy_proxy", "abiVersions": ["v0.2.1"], "config": {"root_ids": []}})
    );
}

#[test]
fn the_servers_image_has_what_it_needs_and_no_shell() {
    let folder = Folder::new("server");
    let parts = server::tests::sample();
    parts.image(&provenance::tests::sample()).unwrap().write(&folder.0).unwrap();
    let reader = Reader(folder.0.join(server::NAME));
    let manifest = reader.tagged("0.1.0");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    let layer = reader.blob(&layers[0]);

    let files = listing(&layer);
    let paths: Vec<(&str, u32)> =
        files.iter().map(|(path, mode, _)| (path.as_str(), *mode)).collect();
    assert_eq!(
        paths,
        [
            ("etc/", 0o755),
            ("etc/group", 0o644),
            ("etc/nsswitch.conf", 0o644),
            ("etc/passwd", 0o644),
            ("etc/ssl/", 0o755),
            ("etc/ssl/certs/", 0o755),
            ("etc/ssl/certs/ca-certificates.crt", 0o644),
            ("lib/", 0o755),
            ("lib/libc.so.6", 0o755),
            ("tmp/", 0o1777),
            ("usr/", 0o755),
            ("usr/local/", 0o755),
            ("usr/local/bin/", 0o755),
            ("usr/local/bin/postern", 0o755),
            ("usr/share/", 0o755),
            ("usr/share/doc/", 0o755),
            ("usr/share/doc/libc6/", 0o755),
            ("usr/share/doc/libc6/copyright", 0o644),
            ("usr/share/doc/postern/", 0o755),
            ("usr/share/doc/postern/copyright", 0o644),
        ]
    );
    let program = files.iter().find(|(path, ..)| path == "usr/local/bin/postern").unwrap();
    assert_eq!(program.2, parts.program);

    let config: Value = serde_json::from_slice(&reader.blob(&manifest["config"])).unwrap();
    assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!("arm64")));
    let run = &config["config"];
    assert_eq!(run["User"], "65532:65532");
    assert_eq!(run["Entrypoint"], json!(["/usr/local/bin/postern"]));
    let ports: Vec<&String> = run["ExposedPorts"].as_object().unwrap().keys().collect();
    assert_eq!(ports, ["9191/tcp", "9192/tcp", "9193/tcp", "9194/tcp"]);
    for (label, value) in [
        ("version", "0.1.0"),
        ("revision", "0123456789abcdef0123456789abcdef01234567"),
        ("source", "https://git.example.test/postern"),
        ("licenses", "Apache-2.0"),
        ("created", "2000-02-29T00:00:00Z"),
    ] {
        assert_eq!(run["Labels"][format!("org.opencontainers.image.{label}")], value);
    }
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&layer[..]), &mut tar).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"], json!([Digest::of(&tar).to_string()]));
}

#[test]
fn two_builds_have_one_digest() {
    let (one, other) = (Folder::new("one"), Folder::new("other"));
    for (first, second) in images().iter().zip(&images()) {
        first.write(&one.0).unwrap();
        second.write(&other.0).unwrap();
        let (first, second) =
            (contents(first, &one.0).unwrap(), contents(second, &other.0).unwrap());
        assert_eq!(first, second);
        assert_eq!(differences(&first, &second), Vec::<String>::new());
    }
}

#[test]
fn what_differs_is_named() {
    let (one, other) = (Folder::new("differs"), Folder::new("differs-too"));
    let mut parts = bundle::tests::sample();
    let first = parts.image(&provenance::tests::sample()).unwrap();
    parts.binaryen = 109;
    let second = parts.image(&provenance::tests::sample()).unwrap();
    first.write(&one.0).unwrap();
    second.write(&other.0).unwrap();
    // Another optimiser is another provenance, even where the module is the same.
    assert_eq!(first.layout.tagged()[0].digest, second.layout.tagged()[0].digest);
    let (mine, yours) = (contents(&first, &one.0).unwrap(), contents(&second, &other.0).unwrap());
    let names = differences(&mine, &yours);
    assert!(names.contains(&"postern-bundle.provenance.json".to_owned()), "{names:?}");
    assert!(names.contains(&"postern-bundle/index.json".to_owned()), "{names:?}");

    let blob = mine.keys().find(|name| name.contains("/blobs/")).unwrap();
    fs::write(one.0.join(blob), "something else").unwrap();
    assert!(contents(&first, &one.0).is_err());
}

#[test]
fn no_blob_names_this_machine() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let folders = Folders::new([repository, std::env::temp_dir()].into_iter().chain(home));
    for image in images() {
        for (digest, bytes) in image.layout.blobs() {
            assert_eq!(folders.named_in(bytes), Vec::<&str>::new(), "{} {digest}", image.name);
        }
        for document in [&image.sbom, &image.provenance] {
            let text = str::from_utf8(document).unwrap();
            assert!(!text.contains("\"/") && !text.contains("file:"), "{text}");
        }
    }
}

#[test]
fn the_table_and_the_file_name_every_tag() {
    let images = images();
    let table = report::table(&images);
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    let names: Vec<(&str, &str)> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(
        names,
        [
            ("image", "tag"),
            ("postern-bundle", "0.1.0"),
            ("postern-bundle", "0.1.0-artifact"),
            ("postern-server", "0.1.0"),
        ]
    );
    let json = report::json(&images);
    for (row, object) in rows.iter().skip(1).zip(json.as_array().unwrap()) {
        assert_eq!(
            (row[0], row[1]),
            (object["image"].as_str().unwrap(), object["tag"].as_str().unwrap())
        );
        assert_eq!(object["digest"], row[3]);
        assert_eq!(object["bytes"].to_string(), row[2].replace(',', ""));
    }
}
