//! A layer's files as an archive that depends on nothing but them.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// zlib's default: the slower levels save hardly anything on machine code.
const LEVEL: u32 = 6;
/// What gzip writes for "unknown" where it could name an operating system.
const NO_SYSTEM: u8 = 255;

/// The mode of a file that everybody may read.
pub const READABLE: u32 = 0o644;
/// The mode of a program or a folder.
pub const RUNNABLE: u32 = 0o755;
/// The mode of a folder in which everybody may write, and remove what is theirs.
pub const SHARED: u32 = 0o1777;

enum Entry {
    Folder { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
}

/// Files and folders by their paths in the image. All belong to root; none has a time.
#[derive(Default)]
pub struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// Adds a file, with the folders above it. `path` is absolute.
    pub fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        let path = self.make_way(path);
        self.0.insert(path, Entry::File { mode, bytes });
    }

    /// Adds a folder, with those above it. `path` is absolute.
    pub fn folder(&mut self, path: &str, mode: u32) {
        let path = self.make_way(path);
        self.0.insert(path, Entry::Folder { mode });
    }

    /// The path as archives have it, after its folders were added.
    fn make_way(&mut self, path: &str) -> String {
        let path = path.trim_start_matches('/');
        let mut above = path;
        while let Some((folder, _)) = above.rsplit_once('/') {
            self.0.entry(folder.to_owned()).or_insert(Entry::Folder { mode: RUNNABLE });
            above = folder;
        }
        path.to_owned()
    }

    /// The archive, in the order of the paths.
    pub fn tar(&self) -> Result<Vec<u8>> {
        const NOTHING: &[u8] = &[];
        let mut builder = Builder::new(Vec::new());
        for (path, entry) in &self.0 {
            let (kind, name, mode, bytes) = match entry {
                Entry::Folder { mode } => (EntryType::Directory, format!("{path}/"), mode, NOTHING),
                Entry::File { mode, bytes } => {
                    (EntryType::Regular, path.clone(), mode, bytes.as_slice())
                }
            };
            let mut header = Header::new_ustar();
            header.set_path(&name).with_context(|| format!("the path {name} in an archive"))?;
            header.set_entry_type(kind);
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(u64::try_from(bytes.len())?);
            header.set_cksum();
            builder.append(&header, bytes).with_context(|| format!("archiving {name}"))?;
        }
        builder.into_inner().context("ending an archive")
    }
}

/// The bytes, compressed without a name or a time.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(NO_SYSTEM)
        .write(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(bytes).context("compressing a layer")?;
    encoder.finish().context("compressing a layer")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    /// What an archive lists: path, mode, and the bytes of files.
    pub fn listing(gzipped: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(GzDecoder::new(gzipped));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let owner = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
            assert_eq!(owner, (0, 0, 0));
            let path = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (path, header.mode().unwrap(), bytes)
        });
        entries.collect()
    }

    #[test]
    fn the_order_of_adding_leaves_no_trace() {
        let mut one = Tree::default();
        one.file("/usr/bin/a", RUNNABLE, b"a".to_vec());
        one.folder("/tmp", SHARED);
        one.file("/etc/b", READABLE, b"b".to_vec());
        let mut other = Tree::default();
        other.file("/etc/b", READABLE, b"b".to_vec());
        other.file("/usr/bin/a", RUNNABLE, b"a".to_vec());
        other.folder("/tmp", SHARED);
        let archive = gzip(&one.tar().unwrap()).unwrap();
        assert_eq!(archive, gzip(&other.tar().unwrap()).unwrap());

        let file = |path: &str, mode: u32, bytes: &[u8]| (path.to_owned(), mode, bytes.to_vec());
        let expected = [
            file("etc/", 0o755, b""),
            file("etc/b", 0o644, b"b"),
            file("tmp/", 0o1777, b""),
            file("usr/", 0o755, b""),
            file("usr/bin/", 0o755, b""),
            file("usr/bin/a", 0o755, b"a"),
        ];
        assert_eq!(listing(&archive), expected);
    }

    #[test]
    fn nothing_but_the_bytes_is_in_a_gzip_header() {
        // RFC 1952: flags 0 (no name), time 0, level neither fastest nor best, system unknown.
        assert_eq!(&gzip(b"x").unwrap()[..10], b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
    }
}
