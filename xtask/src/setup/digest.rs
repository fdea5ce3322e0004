//! The name of what is made of some files: another one as soon as one of them changes.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Sixteen digits of the SHA-256 of what the files hold, in this order.
pub fn of(files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        hash.update(u64::try_from(bytes.len())?.to_be_bytes());
        hash.update(&bytes);
    }
    let hash = hash.finalize();
    Ok(hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_which_file_counts() {
        let root = std::env::temp_dir().join(format!("xtask-digest-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let files = [root.join("a"), root.join("b")];
        let of = |a: &str, b: &str| {
            fs::write(&files[0], a).unwrap();
            fs::write(&files[1], b).unwrap();
            super::of(&files).unwrap()
        };
        let first = of("xy", "z");
        assert_eq!(first.len(), 16);
        assert_eq!(first, of("xy", "z"));
        assert_ne!(first, of("x", "yz"));
        fs::remove_dir_all(&root).unwrap();
    }
}
