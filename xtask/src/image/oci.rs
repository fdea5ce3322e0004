//! OCI image layouts (image-spec 1.1): blobs by their digest, manifests, and the index of both.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A layer of files.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// What a runtime has to know of an image.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What stands where a manifest must name a configuration and has none.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// By this annotation, an index tells tags.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const TITLE: &str = "org.opencontainers.image.title";
/// The file that makes a folder a layout.
const MARKER: &str = "oci-layout";

/// Words about something, by the keys of the specification.
pub type Annotations = BTreeMap<String, String>;

/// SHA-256, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("{:x}", Sha256::digest(bytes)))
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.0)
    }
}

/// What a blob is, and which one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: usize,
    annotations: Annotations,
}

impl Descriptor {
    /// The name of the file that it becomes where tools unpack it.
    #[must_use]
    pub fn titled(mut self, title: &str) -> Self {
        self.annotations.insert(TITLE.to_owned(), title.to_owned());
        self
    }

    fn json(&self) -> Value {
        let mut value = self.bare();
        if let (false, Some(members)) = (self.annotations.is_empty(), value.as_object_mut()) {
            members.insert("annotations".to_owned(), json!(self.annotations));
        }
        value
    }

    fn bare(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": self.digest.to_string(),
            "size": self.size,
        })
    }
}

/// What an image consists of.
pub struct Manifest {
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// Words about it.
    pub annotations: Annotations,
}

impl Manifest {
    /// The bytes of all that it names, each blob once.
    fn size(&self) -> usize {
        let blobs = self.layers.iter().chain([&self.config]);
        let sizes: BTreeMap<&Digest, usize> = blobs.map(|blob| (&blob.digest, blob.size)).collect();
        sizes.values().sum()
    }
}

/// An image under its tag.
#[derive(Debug, Clone)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// The manifest's digest, which is the image's.
    pub digest: Digest,
    /// What is fetched of it: manifest, configuration and layers.
    pub size: usize,
}

/// A layout, until it is written.
#[derive(Debug, Default)]
pub struct Layout {
    blobs: BTreeMap<Digest, Vec<u8>>,
    index: Vec<Value>,
    tagged: Vec<Tagged>,
}

impl Layout {
    /// Takes a blob in.
    pub fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        self.blobs.insert(digest.clone(), bytes);
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: Annotations::new(),
        }
    }

    /// Takes a blob in that is JSON.
    pub fn json(&mut self, media_type: &str, value: &Value) -> Result<Descriptor> {
        Ok(self.blob(media_type, canonical(value)?))
    }

    /// Takes an image in, under a tag.
    pub fn image(&mut self, tag: &str, manifest: &Manifest) -> Result<Descriptor> {
        let layers: Vec<Value> = manifest.layers.iter().map(Descriptor::json).collect();
        let descriptor = self.json(
            MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": manifest.config.bare(),
                "layers": layers,
                "annotations": manifest.annotations,
            }),
        )?;
        let size = descriptor.size + manifest.size();
        self.tagged.push(Tagged { tag: tag.to_owned(), digest: descriptor.digest.clone(), size });
        let mut entry = descriptor.bare();
        set(&mut entry, "annotations", json!({REF_NAME: tag}));
        self.index.push(entry);
        Ok(descriptor)
    }

    /// Attaches something to an image: a referrer, by the specification's word.
    pub fn attach(
        &mut self,
        subject: &Descriptor,
        artifact_type: &str,
        layer: &Descriptor,
        annotations: &Annotations,
    ) -> Result<()> {
        let config = self.blob(EMPTY, b"{}".to_vec());
        let referrer = self.json(
            MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": artifact_type,
                "config": config.bare(),
                "layers": [layer.json()],
                "subject": subject.bare(),
                "annotations": annotations,
            }),
        )?;
        let mut entry = referrer.bare();
        set(&mut entry, "artifactType", json!(artifact_type));
        set(&mut entry, "annotations", json!(annotations));
        self.index.push(entry);
        Ok(())
    }

    /// The images, as they were taken in.
    pub fn tagged(&self) -> &[Tagged] {
        &self.tagged
    }

    /// All blobs.
    pub fn blobs(&self) -> impl Iterator<Item = (&Digest, &[u8])> {
        self.blobs.iter().map(|(digest, bytes)| (digest, bytes.as_slice()))
    }

    /// Writes it to a folder, in place of the layout that may be there: beside it first, so that
    /// nobody finds half of one.
    pub fn write(&self, folder: &Path) -> Result<()> {
        if folder.exists() && !folder.join(MARKER).is_file() {
            bail!("{} is there and is no image layout: move it away", folder.display());
        }
        let part = folder.with_extension("part");
        remove(&part)?;
        let blobs = part.join("blobs").join("sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("creating {}", blobs.display()))?;
        for (digest, bytes) in &self.blobs {
            write(&blobs.join(digest.hex()), bytes)?;
        }
        write(&part.join(MARKER), &canonical(&json!({"imageLayoutVersion": "1.0.0"}))?)?;
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.index});
        write(&part.join("index.json"), &canonical(&index)?)?;
        remove(folder)?;
        fs::rename(&part, folder).with_context(|| format!("writing {}", folder.display()))
    }
}

/// JSON without blanks, with its keys in order, whatever `serde_json` was built with.
pub fn canonical(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(&sorted(value)).context("writing JSON")
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            let sorted = members.into_iter().map(|(name, value)| (name.clone(), sorted(value)));
            Value::Object(sorted.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn set(value: &mut Value, name: &str, member: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_configuration_is_the_specifications() {
        let descriptor = Layout::default().blob(EMPTY, b"{}".to_vec());
        assert_eq!(
            descriptor.digest.to_string(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!(descriptor.size, 2);
    }

    #[test]
    fn json_is_written_in_one_way() {
        let value = json!({"b": [{"y": 1, "x": 2}], "a": null});
        assert_eq!(canonical(&value).unwrap(), br#"{"a":null,"b":[{"x":2,"y":1}]}"#);
    }

    #[test]
    fn what_is_no_layout_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("xtask-oci-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("precious"), "").unwrap();
        assert!(Layout::default().write(&folder).is_err());
        assert!(folder.join("precious").is_file());
        fs::remove_dir_all(&folder).unwrap();
        Layout::default().write(&folder).unwrap();
        Layout::default().write(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
