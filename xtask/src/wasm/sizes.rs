//! `./dev wasm --sizes`: what takes the room in the bundle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

use super::publish::grouped;

/// How many functions are shown, the largest first.
const SHOWN: usize = 60;

/// What a module consists of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    /// Functions by name, with the bytes of their code.
    functions: Vec<(String, usize)>,
    data: usize,
}

/// Prints a module's largest functions, and the crates that they are of.
pub(super) fn print(module: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("reading {}", module.display()))?;
    println!("{}", report(read(&bytes)?));
    Ok(())
}

fn report(mut contents: Contents) -> String {
    contents.functions.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    let mut crates: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, bytes) in &contents.functions {
        *crates.entry(crate_of(name)).or_default() += bytes;
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));

    let mut lines = vec!["bytes of code, by the crate that a function is named by".to_owned()];
    lines.extend(crates.iter().map(|(name, bytes)| format!("{:>10}  {name}", grouped(*bytes))));
    lines.push(format!("{:>10}  (data: constants and tables)", grouped(contents.data)));
    lines.push(format!("\nthe largest of {} functions", contents.functions.len()));
    let largest = contents.functions.iter().take(SHOWN);
    lines.extend(largest.map(|(name, bytes)| format!("{:>10}  {name}", grouped(*bytes))));
    lines.join("\n")
}

fn read(module: &[u8]) -> Result<Contents> {
    let (mut imported, mut bodies, mut data) = (0_usize, Vec::new(), 0);
    let mut names = BTreeMap::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.context("not a WASM module")? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let of_function =
                        matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                    imported += usize::from(of_function);
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes().len()),
            Payload::DataSection(section) => {
                for segment in section {
                    data += segment?.data.len();
                }
            }
            Payload::CustomSection(section) => {
                let KnownCustom::Name(section) = section.as_known() else { continue };
                for name in section {
                    let Name::Function(functions) = name? else { continue };
                    for function in functions {
                        let function = function?;
                        names.insert(usize::try_from(function.index)?, readable(function.name));
                    }
                }
            }
            _ => {}
        }
    }
    // Imported functions have the first numbers.
    let functions = bodies.into_iter().enumerate().map(|(at, bytes)| {
        let number = imported + at;
        let name = names.remove(&number).unwrap_or_else(|| format!("function {number}"));
        (name, bytes)
    });
    Ok(Contents { functions: functions.collect(), data })
}

/// The first crate that a name names: `<alloc::string::String as core::fmt::Write>::write_str` is
/// one of `alloc`.
fn crate_of(name: &str) -> &str {
    let start = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let start = ["mut ", "dyn ", "const "]
        .into_iter()
        .fold(start, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    match start.split_once("::") {
        Some((first, _)) if first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => first,
        _ => "(other)",
    }
}

/// A name as the source has it, as far as the compiler's `_ZN…E` spelling tells.
fn readable(mangled: &str) -> String {
    let mut rest = mangled.strip_prefix("_ZN").unwrap_or_default();
    let mut parts = Vec::new();
    while let Some((length, after)) = number(rest) {
        let Some((part, after)) = after.split_at_checked(length) else { break };
        parts.push(part);
        rest = after;
    }
    // The last part is a hash.
    if parts.len() < 2 || parts.pop().is_none_or(|hash| !hash.starts_with('h')) {
        return mangled.to_owned();
    }
    let mut name = parts.into_iter().map(unescaped).collect::<Vec<_>>().join("::");
    for (spelled, meant) in [
        ("$LT$", "<"),
        ("$GT$", ">"),
        ("$RF$", "&"),
        ("$BP$", "*"),
        ("$C$", ","),
        ("$u20$", " "),
        ("$u27$", "'"),
        ("$u5b$", "["),
        ("$u5d$", "]"),
        ("$u7b$", "{"),
        ("$u7d$", "}"),
        ("$LP$", "("),
        ("$RP$", ")"),
        ("..", "::"),
    ] {
        name = name.replace(spelled, meant);
    }
    name
}

/// A part that begins with a sign has a `_` before it.
fn unescaped(part: &str) -> &str {
    part.strip_prefix('_').filter(|rest| rest.starts_with('$')).unwrap_or(part)
}

/// A number at the beginning of a text, and what follows it.
fn number(text: &str) -> Option<(usize, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        CodeSection, EntityType, Function, FunctionSection, ImportSection, Module, NameMap,
        NameSection, TypeSection,
    };

    #[test]
    fn names_are_those_of_the_source() {
        for (mangled, name, of) in [
            (
                "_ZN15postern_request4json5parse17h0123456789abcdefE",
                "postern_request::json::parse",
                "postern_request",
            ),
            (
                "_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Write$GT$9write_str17h0123456789abcdefE",
                "<alloc::string::String as core::fmt::Write>::write_str",
                "alloc",
            ),
            (
                "_ZN38_$LT$$RF$mut$u20$T$u20$as$u20$a..B$GT$1f17h0123456789abcdefE",
                "<&mut T as a::B>::f",
                "(other)",
            ),
            ("memcpy", "memcpy", "(other)"),
            ("_ZN9999x", "_ZN9999x", "(other)"),
        ] {
            assert_eq!(readable(mangled), name);
            assert_eq!(crate_of(name), of, "{name}");
        }
    }

    #[test]
    fn code_goes_with_the_names_of_its_functions() {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut imports = ImportSection::new();
        imports.import("env", "imported", EntityType::Function(0));
        let mut functions = FunctionSection::new();
        functions.function(0).function(0);
        let mut code = CodeSection::new();
        for calls in [1, 2] {
            let mut function = Function::new([]);
            for _ in 0..calls {
                function.instructions().call(0);
            }
            function.instructions().end();
            code.function(&function);
        }
        let mut map = NameMap::new();
        map.append(0, "imported");
        map.append(2, "_ZN1a1b17h0123456789abcdefE");
        let mut names = NameSection::new();
        names.functions(&map);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&code).section(&names);

        let contents = read(&module.finish()).unwrap();
        // No locals, calls of two bytes each, the end.
        let expected = [("function 1".to_owned(), 4), ("a::b".to_owned(), 6)];
        assert_eq!(contents, Contents { functions: expected.to_vec(), data: 0 });
        let report = report(contents);
        assert!(report.find("a::b") < report.find("function 1"), "{report}");
        assert!(read(b"\x7fELF").is_err());
    }
}
