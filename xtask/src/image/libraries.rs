//! The shared libraries of a program, all of them and no other: found as its loader would.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::elf::{Elf, Machine};

const GLIBC: &str = "libc.so.6";
/// From this version on, glibc looks names up without libraries that no header names.
const WHOLE_GLIBC: &[u8] = b"GLIBC_2.34\0";

/// A library, or the loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Where it is, here and in the image: there the loader looks by itself.
    pub path: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What the program needs to start, by path; nothing where it is linked statically.
pub fn of(program: &[u8]) -> Result<Vec<Library>> {
    let elf = Elf::read(program)?;
    let Some(path) = elf.loader else {
        if elf.needed.is_empty() {
            return Ok(Vec::new());
        }
        bail!("the program needs {} and names no loader", elf.needed.join(", "));
    };
    if elf.has_own_search_path {
        bail!("the program says itself where its libraries are; build it without an rpath");
    }
    let bytes = fs::read(&path).with_context(|| format!("reading the loader {path}"))?;
    let mut found = BTreeMap::from([(file_name(&path), Library { path, bytes })]);
    let mut wanted = elf.needed;
    while let Some(name) = wanted.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let (library, its) = find(&name, elf.machine)?;
        wanted.extend(its.needed);
        found.insert(name, library);
    }
    if found.get(GLIBC).is_some_and(|glibc| !contains(&glibc.bytes, WHOLE_GLIBC)) {
        bail!(
            "glibc before 2.34 loads libraries to look up names, and no header names those: \
             build on a newer system"
        );
    }
    let mut libraries: Vec<Library> = found.into_values().collect();
    libraries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(libraries)
}

/// A library in the folders where loaders of distributions look.
fn find(name: &str, machine: Machine) -> Result<(Library, Elf)> {
    let multiarch = machine.multiarch();
    for folder in [
        format!("/lib/{multiarch}").as_str(),
        format!("/usr/lib/{multiarch}").as_str(),
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
    ] {
        let path = format!("{folder}/{name}");
        let Ok(bytes) = fs::read(&path) else { continue };
        // One of another machine, or a linker's script, is not what the loader takes.
        if let Ok(elf) = Elf::read(&bytes)
            && elf.machine == machine
        {
            return Ok((Library { path, bytes }, elf));
        }
    }
    bail!("the program needs {name} for {}, and it is not on this machine", machine.architecture())
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::elf;

    #[test]
    fn this_test_finds_its_own() {
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        let libraries = of(&program).unwrap();
        let elf = Elf::read(&program).unwrap();
        let has = |name: &str| libraries.iter().any(|library| file_name(&library.path) == name);
        assert!(elf.needed.iter().all(|name| has(name)), "{:?}", elf.needed);
        assert_eq!(elf.loader.is_some(), !libraries.is_empty());
        for library in &libraries {
            assert!(Path::new(&library.path).is_absolute(), "{}", library.path);
            assert_eq!(fs::read(&library.path).unwrap(), library.bytes);
        }
        assert!(libraries.is_sorted_by(|a, b| a.path < b.path));
    }

    #[test]
    fn a_static_program_has_none() {
        assert!(of(&elf::tests::program(62)).unwrap().is_empty());
    }

    #[test]
    fn a_library_that_is_nowhere_is_named() {
        let error = find("libnowhere.so.1", Machine::X86).unwrap_err().to_string();
        assert!(error.contains("libnowhere.so.1 for amd64"), "{error}");
    }
}
