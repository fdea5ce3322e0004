//! What a program for Linux says that it needs, read from its ELF headers.

use anyhow::{Context, Result, bail};

/// Of 64 bits, the least significant byte first: all that Postern is built for.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";

// Program headers.
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;

// Entries of the dynamic section.
const END: u64 = 0;
const NEEDED: u64 = 1;
const STRINGS: u64 = 5;
const RPATH: u64 = 15;
const RUNPATH: u64 = 29;

/// What a program runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// `x86_64`
    X86,
    /// `aarch64`
    Arm,
}

impl Machine {
    /// Its name in images.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Arm => "arm64",
        }
    }

    /// Debian's name for the folders of its libraries.
    pub fn multiarch(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-linux-gnu",
            Self::Arm => "aarch64-linux-gnu",
        }
    }
}

/// A program or a library.
#[derive(Debug, PartialEq, Eq)]
pub struct Elf {
    /// What it runs on.
    pub machine: Machine,
    /// The loader that starts it; none where it needs none, or is a library.
    pub loader: Option<String>,
    /// The libraries that it names.
    pub needed: Vec<String>,
    /// Whether it says where libraries are, instead of leaving that to the loader.
    pub has_own_search_path: bool,
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

impl Elf {
    /// Reads the headers.
    pub fn read(file: &[u8]) -> Result<Self> {
        if !file.starts_with(MAGIC) {
            bail!("no ELF file of 64 bits, little-endian");
        }
        let machine = match u16::from_le_bytes(at(file, 18)?) {
            62 => Machine::X86,
            183 => Machine::Arm,
            other => bail!("a program for machine {other}; x86_64 is 62, aarch64 183"),
        };
        let segments = segments(file)?;
        let find = |kind: u32| segments.iter().find(|segment| segment.kind == kind);
        let mut elf =
            Self { machine, loader: None, needed: Vec::new(), has_own_search_path: false };
        if let Some(segment) = find(INTERPRETER) {
            elf.loader = Some(text(file, segment.offset)?);
        }
        if let Some(segment) = find(DYNAMIC) {
            elf.read_dynamic(file, segment, &segments)?;
        }
        Ok(elf)
    }

    fn read_dynamic(&mut self, file: &[u8], dynamic: &Segment, all: &[Segment]) -> Result<()> {
        let (mut names, mut strings) = (Vec::new(), None);
        for entry in (dynamic.offset..dynamic.offset.saturating_add(dynamic.size)).step_by(16) {
            let value = u64::from_le_bytes(at(file, entry.saturating_add(8))?);
            match u64::from_le_bytes(at(file, entry)?) {
                END => break,
                NEEDED => names.push(value),
                STRINGS => strings = Some(value),
                RPATH | RUNPATH => self.has_own_search_path = true,
                _ => {}
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        // The table's address is one in memory.
        let strings = strings.context("libraries are named, and no table of names")?;
        let loaded = all
            .iter()
            .filter(|segment| segment.kind == LOAD)
            .find_map(|segment| {
                let into = strings.checked_sub(segment.address)?;
                (into < segment.size).then(|| segment.offset.saturating_add(into))
            })
            .context("the table of names is in no segment")?;
        for name in names {
            self.needed.push(text(file, loaded.saturating_add(name))?);
        }
        Ok(())
    }
}

fn segments(file: &[u8]) -> Result<Vec<Segment>> {
    let start = u64::from_le_bytes(at(file, 32)?);
    let size = u64::from(u16::from_le_bytes(at(file, 54)?));
    let count = u64::from(u16::from_le_bytes(at(file, 56)?));
    let headers = (0..count).map(|number| start.saturating_add(number * size));
    headers
        .map(|header| {
            let word = |into: u64| at(file, header.saturating_add(into)).map(u64::from_le_bytes);
            Ok(Segment {
                kind: u32::from_le_bytes(at(file, header)?),
                offset: word(8)?,
                address: word(16)?,
                size: word(32)?,
            })
        })
        .collect()
}

fn at<const N: usize>(file: &[u8], offset: u64) -> Result<[u8; N]> {
    tail(file, offset)?
        .first_chunk()
        .copied()
        .with_context(|| format!("an ELF file that ends before its byte {offset}"))
}

/// A text up to its zero.
fn text(file: &[u8], offset: u64) -> Result<String> {
    let bytes = tail(file, offset)?.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = str::from_utf8(bytes).context("a name in an ELF file that is no UTF-8")?;
    Ok(text.to_owned())
}

fn tail(file: &[u8], offset: u64) -> Result<&[u8]> {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| file.get(offset..))
        .with_context(|| format!("an ELF file that ends before its byte {offset}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A program without segments, for this machine number.
    pub fn program(machine: u16) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.resize(18, 0);
        file.extend(machine.to_le_bytes());
        file.resize(64, 0);
        file
    }

    /// One that needs `libraries`, with everything in one segment at an address of its own.
    fn linked(libraries: &[&str]) -> Vec<u8> {
        const ADDRESS: u64 = 0x40_0000;
        let mut file = program(62);
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&3_u16.to_le_bytes());
        let headers_end = 64 + 3 * 56;

        let mut strings = b"/lib64/loader.so\0".to_vec();
        let mut dynamic = Vec::new();
        for library in libraries {
            dynamic.extend(NEEDED.to_le_bytes());
            dynamic.extend((strings.len() as u64).to_le_bytes());
            strings.extend(library.as_bytes());
            strings.push(0);
        }
        dynamic.extend(STRINGS.to_le_bytes());
        dynamic.extend((ADDRESS + headers_end).to_le_bytes());
        dynamic.extend([0_u8; 16]);
        let dynamic_at = headers_end + strings.len() as u64;
        let end = dynamic_at + dynamic.len() as u64;

        for (kind, offset, address, size) in [
            (INTERPRETER, headers_end, 0, 17),
            (LOAD, 0, ADDRESS, end),
            (DYNAMIC, dynamic_at, 0, dynamic.len() as u64),
        ] {
            let mut header = kind.to_le_bytes().to_vec();
            header.extend([0_u8; 4]);
            for word in [offset, address, 0, size, size, 0] {
                header.extend(word.to_le_bytes());
            }
            let number = [INTERPRETER, LOAD, DYNAMIC].iter().position(|k| *k == kind).unwrap();
            assert_eq!(file.len(), 64 + number * 56);
            file.extend(header);
        }
        file.extend(strings);
        file.extend(dynamic);
        file
    }

    #[test]
    fn names_come_from_the_dynamic_section() {
        let elf = Elf::read(&linked(&["libgcc_s.so.1", "libc.so.6"])).unwrap();
        assert_eq!(elf.machine, Machine::X86);
        assert_eq!(elf.loader.as_deref(), Some("/lib64/loader.so"));
        assert_eq!(elf.needed, ["libgcc_s.so.1", "libc.so.6"]);
        assert!(!elf.has_own_search_path);
    }

    #[test]
    fn a_static_program_needs_nothing() {
        let elf = Elf::read(&program(183)).unwrap();
        assert_eq!((elf.machine, elf.loader, elf.needed), (Machine::Arm, None, vec![]));
    }

    #[test]
    fn this_test_is_a_program() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = Elf::read(&file).unwrap();
        let expected = if cfg!(target_arch = "x86_64") { Machine::X86 } else { Machine::Arm };
        assert_eq!(elf.machine, expected);
        assert_eq!(elf.loader.is_some(), !elf.needed.is_empty());
    }

    #[test]
    fn what_is_cut_off_or_foreign_is_an_error() {
        let whole = linked(&["libc.so.6"]);
        for length in [0, 4, 17, 40, 63, 100, whole.len() - 40] {
            assert!(Elf::read(&whole[..length]).is_err(), "{length}");
        }
        assert!(Elf::read(b"#!/bin/sh").is_err());
        assert!(Elf::read(&program(3)).is_err());
    }
}
