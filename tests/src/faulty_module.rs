//! The module that ships with a fault planted in it: no request is known to crash it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::Call;
use crate::env;
use crate::envoy::for_each_object;

/// More headers than this, Envoy's own included, and the module traps. Below 64, so that it is
/// one byte in WASM's signed LEB128.
const MOST: u8 = 50;

/// Has Envoy load the bundle with the fault in place of the one without. The module lies in
/// `folder`, which must be there for as long as Envoy runs.
///
/// # Panics
/// When the bundle or the configuration is not as it should be.
pub fn plant_in(config: &mut Value, folder: &Path) {
    let module = folder.join("faulty.wasm");
    fs::write(&module, plant(&fs::read(env::bundle()).expect("the bundle"))).expect("a module");
    let module = module.display().to_string();
    let mut loaded = 0;
    for_each_object(config, &mut |object| {
        if object.get("runtime") == Some(&json!("envoy.wasm.runtime.v8")) {
            object.insert("code".to_owned(), json!({"local": {"filename": module}}));
            loaded += 1;
        }
    });
    assert_eq!(loaded, 1, "the rendered configuration has no module");
}

/// The call with what makes the module trap.
#[must_use]
pub fn crashing(call: &Call) -> Call {
    (0..=MOST).fold(call.clone(), |call, at| call.header(&format!("x-many-{at}"), "1"))
}

/// What Envoy calls for a request: context, number of headers, whether that is all of it.
const CALLBACK: &[u8] = b"proxy_on_request_headers";

/// Sections by their ids, and some instructions (WebAssembly core specification, §5.5 and §5.4).
const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;
const UNREACHABLE: u8 = 0x00;
const IF: u8 = 0x04;
const END: u8 = 0x0b;
const CALL: u8 = 0x10;
const LOCAL_GET: u8 = 0x20;
const I32_CONST: u8 = 0x41;
const I32_GT_S: u8 = 0x4a;
const NO_RESULT: u8 = 0x40;

/// The module with one function more: it stands where the callback stood, traps where there are
/// too many headers and hands everything else on to the callback.
fn plant(module: &[u8]) -> Vec<u8> {
    let mut reader = Reader(module);
    let mut faulty = reader.take(8).to_vec();
    let mut sections: Vec<(u8, Vec<u8>)> = Vec::new();
    while !reader.0.is_empty() {
        let id = reader.byte();
        sections.push((id, reader.sized().to_vec()));
    }
    let place = |id: u8| {
        sections.iter().position(|(found, _)| *found == id).expect("a section of the bundle")
    };
    let (imports, functions) = (place(IMPORTS), place(FUNCTIONS));
    let (exports, code) = (place(EXPORTS), place(CODE));

    let imported = imported_functions(&sections[imports].1);
    let types = Reader(&sections[functions].1).numbers();
    let added = imported + u32::try_from(types.len()).expect("few functions");
    let (redirected, callback) = redirect(&sections[exports].1, added);
    let of_callback = types[usize::try_from(callback - imported).expect("a place")];
    sections[exports].1 = redirected;
    sections[functions].1 = one_more(&sections[functions].1, &number(of_callback));
    sections[code].1 = one_more(&sections[code].1, &sized(&fault(callback)));

    for (id, section) in sections {
        faulty.push(id);
        faulty.extend(sized(&section));
    }
    faulty
}

/// The body of the function that is planted.
fn fault(callback: u32) -> Vec<u8> {
    let no_locals = 0;
    let mut body = vec![no_locals];
    body.extend([LOCAL_GET, 1, I32_CONST, MOST, I32_GT_S]);
    body.extend([IF, NO_RESULT, UNREACHABLE, END]);
    body.extend([LOCAL_GET, 0, LOCAL_GET, 1, LOCAL_GET, 2, CALL]);
    body.extend(number(callback));
    body.push(END);
    body
}

/// How many functions a module imports; their indices go before those of its own.
fn imported_functions(section: &[u8]) -> u32 {
    let mut reader = Reader(section);
    let count = reader.number();
    for _ in 0..count {
        // Module, name, kind, type.
        reader.sized();
        reader.sized();
        assert_eq!(reader.byte(), 0, "the bundle imports something that is no function");
        reader.number();
    }
    count
}

/// The exports with the callback's name at another function; and the one it was at.
fn redirect(section: &[u8], to: u32) -> (Vec<u8>, u32) {
    let mut reader = Reader(section);
    let count = reader.number();
    let (mut exports, mut callback) = (number(count), None);
    for _ in 0..count {
        let (name, kind, mut index) = (reader.sized(), reader.byte(), reader.number());
        if name == CALLBACK {
            callback = Some(index);
            index = to;
        }
        exports.extend(sized(name));
        exports.push(kind);
        exports.extend(number(index));
    }
    (exports, callback.expect("the callback"))
}

/// A list with an entry more at its end.
fn one_more(section: &[u8], entry: &[u8]) -> Vec<u8> {
    let mut reader = Reader(section);
    let mut list = number(reader.number() + 1);
    list.extend(reader.0);
    list.extend(entry);
    list
}

/// Unsigned LEB128.
fn number(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Bytes with their number before them.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut sized = number(u32::try_from(bytes.len()).expect("a small module"));
    sized.extend(bytes);
    sized
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(count);
        self.0 = left;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn number(&mut self) -> u32 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
            shift += 7;
        }
    }

    fn sized(&mut self) -> &'a [u8] {
        let count = self.number();
        self.take(usize::try_from(count).expect("a length"))
    }

    /// All entries of a list of numbers.
    fn numbers(&mut self) -> Vec<u32> {
        let count = self.number();
        (0..count).map(|_| self.number()).collect()
    }
}
