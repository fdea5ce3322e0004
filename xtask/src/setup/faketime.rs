//! libfaketime, by which `./dev test chaos` has a server's clock jump: `POSTERN_FAKETIME`, or the
//! distribution's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::say;
use crate::setup::packages;

/// For programs with threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// Where distributions keep it: there, or one folder below, by the machine's architecture.
const FOLDERS: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
const WAY_OUT: &str = "set POSTERN_FAKETIME=/path/to/libfaketimeMT.so.1";

/// The library, found or installed.
pub fn get(workspace: &Workspace) -> Result<PathBuf> {
    let path = match paths::from_env("POSTERN_FAKETIME") {
        Some(path) if path.is_file() => path,
        Some(path) => {
            bail!("POSTERN_FAKETIME names {}, which is no file; {WAY_OUT}", path.display())
        }
        None => match found() {
            Some(path) => path,
            None => {
                packages::install(workspace, "libfaketime", &["libfaketime"], WAY_OUT)?;
                found().with_context(|| {
                    format!("libfaketime is not there after its installation; {WAY_OUT}")
                })?
            }
        },
    };
    say::ok(&format!("libfaketime ({})", path.display()));
    Ok(path)
}

fn found() -> Option<PathBuf> {
    FOLDERS.iter().find_map(|folder| found_in(Path::new(folder)))
}

fn found_in(folder: &Path) -> Option<PathBuf> {
    let below = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut places = std::iter::once(folder.to_path_buf()).chain(below);
    places.find_map(|place| Some(place.join(LIBRARY)).filter(|path| path.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_in_a_folder_and_in_one_below() {
        let root = std::env::temp_dir().join(format!("xtask-faketime-{}", std::process::id()));
        for below in ["", "x86_64-linux-gnu"] {
            let path = root.join(below).join(LIBRARY);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            assert_eq!(found_in(&root), None);
            fs::write(&path, "").unwrap();
            assert_eq!(found_in(&root), Some(path.clone()));
            fs::remove_dir_all(&root).unwrap();
        }
        assert_eq!(found_in(&root), None);
    }
}
