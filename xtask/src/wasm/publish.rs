//! From what the compiler wrote to what is published.

use std::fs;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::exports;
use crate::paths::Workspace;
use crate::say;
use crate::setup::binaryen::WasmOpt;

/// How a module is optimised. The features are those that the compiler has on for this target by
/// default; wasm-opt is told, because stripped modules do not say so themselves.
pub(super) const FLAGS: &[&str] = &[
    "-O3",
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-multivalue",
];
/// What nobody reads goes: names, and who made the module.
const STRIP: &[&str] = &["--strip-debug", "--strip-producers"];

/// Publishes a module, without callbacks that it does not use and optimised, and returns where and
/// how many bytes. When it is there already, it stays as it is.
pub(super) fn run(
    workspace: &Workspace,
    wasm_opt: &WasmOpt,
    built: &Path,
    name: &str,
) -> Result<(PathBuf, usize)> {
    let folder = workspace.target().join("wasm");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let to = folder.join(name);
    let flags = [FLAGS, STRIP].concat();
    let how = format!("wasm-opt {} {}", wasm_opt.version(), flags.join(" "));
    let bytes = replace(built, &to, &how, |from, to| {
        wasm_opt.run(from, to, &flags, &workspace.log("wasm-opt"))
    })?;
    say::ok(&format!(
        "{} ({} bytes; {} before wasm-opt)",
        workspace.shown(&to),
        grouped(bytes.after),
        grouped(bytes.before)
    ));
    Ok((to, bytes.after))
}

struct Bytes {
    before: usize,
    after: usize,
}

/// A running Envoy may be reading the old module, so it is replaced, not rewritten. `how` names
/// all that the result depends on besides the module itself.
fn replace(
    built: &Path,
    to: &Path,
    how: &str,
    optimise: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<Bytes> {
    let module = fs::read(built).with_context(|| format!("reading {}", built.display()))?;
    let module = exports::drop_unused(&module).with_context(|| format!("{}", built.display()))?;
    let before = module.len();
    let beside = |extension: &str| to.with_extension(extension);
    let made_of = beside("made-of");
    if let Ok(present) = fs::read(to)
        && fs::read_to_string(&made_of).is_ok_and(|text| text == stamp(how, &module, &present))
    {
        return Ok(Bytes { before, after: present.len() });
    }
    let (input, output) = (beside("unoptimised"), beside("part"));
    fs::write(&input, &module).with_context(|| format!("writing {}", input.display()))?;
    optimise(&input, &output)?;
    let optimised = fs::read(&output).with_context(|| format!("reading {}", output.display()))?;
    fs::rename(&output, to).with_context(|| format!("writing {}", to.display()))?;
    fs::write(&made_of, stamp(how, &module, &optimised))
        .with_context(|| format!("writing {}", made_of.display()))?;
    fs::remove_file(&input).with_context(|| format!("removing {}", input.display()))?;
    Ok(Bytes { before, after: optimised.len() })
}

/// What a published module was made of, and that it is still what was made of it. Nobody is kept
/// out by this hash: it spares seconds.
fn stamp(how: &str, module: &[u8], result: &[u8]) -> String {
    let hash = |bytes: &[u8]| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(bytes);
        hasher.finish()
    };
    format!("{how}\n{:016x} {:016x}\n", hash(module), hash(result))
}

/// A number as people read it: `1,234,567`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn only_modules_are_published_and_only_when_something_changed() {
        let folder = std::env::temp_dir().join(format!("xtask-wasm-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from.wasm"), folder.join("to.wasm"));
        let times = Cell::new(0);
        let publish = |how: &str| {
            replace(&from, &to, how, |input, output| {
                times.set(times.get() + 1);
                let mut module = fs::read(input)?;
                module.push(b'!');
                fs::write(output, module)?;
                Ok(())
            })
        };

        fs::write(&from, b"\x7fELF").unwrap();
        assert!(publish("as always").is_err());
        assert!(!to.exists());

        fs::write(&from, EMPTY).unwrap();
        for (how, expected) in [("as always", 1), ("as always", 1), ("another way", 2)] {
            let bytes = publish(how).unwrap();
            assert_eq!((bytes.before, bytes.after, times.get()), (8, 9, expected), "{how}");
        }
        assert_eq!(fs::read(&to).unwrap(), b"\0asm\x01\0\0\0!");

        // Somebody has put something else there.
        fs::write(&to, EMPTY).unwrap();
        assert_eq!(publish("another way").unwrap().after, 9);
        assert_eq!(times.get(), 3);
        // Nothing is left of the work but the note what it was made of.
        let mut left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["from.wasm", "to.made-of", "to.wasm"]);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn long_numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (600_000, "600,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
