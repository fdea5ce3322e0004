//! The callbacks that a module offers to Envoy.

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ExportSection, Module, RawSection};
use wasmparser::{Parser, Payload};

/// Callbacks that the SDK always offers and `filters/host` does nothing in. Envoy enters the
/// module for each that is there, body chunks and the end of a request included; one that is
/// missing costs nothing. A filter that comes to need one takes it off this list.
const UNUSED: [&str; 14] = [
    "proxy_on_done",
    "proxy_on_downstream_connection_close",
    "proxy_on_downstream_data",
    "proxy_on_foreign_function",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_log",
    "proxy_on_new_connection",
    "proxy_on_queue_ready",
    "proxy_on_request_body",
    "proxy_on_upstream_connection_close",
    "proxy_on_upstream_data",
];

/// The module without its unused callbacks.
pub fn drop_unused(module: &[u8]) -> Result<Vec<u8>> {
    let mut slim = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("not a WASM module")?;
        if let Payload::ExportSection(exports) = payload {
            let mut kept = ExportSection::new();
            for export in exports {
                let export = export.context("an export of the module")?;
                if !UNUSED.contains(&export.name) {
                    let kind = RoundtripReencoder.export_kind(export.kind)?;
                    kept.export(export.name, kind, export.index);
                }
            }
            slim.section(&kept);
        } else if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            let data = module.get(range).context("a section ends beyond the module")?;
            slim.section(&RawSection { id, data });
        }
    }
    Ok(slim.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{CodeSection, ExportKind, Function, FunctionSection, TypeSection, ValType};

    fn module(exports: &[&str]) -> Vec<u8> {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([ValType::I32], []);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut section = ExportSection::new();
        for name in exports {
            section.export(name, ExportKind::Func, 0);
        }
        let mut function = Function::new([]);
        function.instructions().end();
        let mut code = CodeSection::new();
        code.function(&function);
        module.section(&types).section(&functions).section(&section).section(&code);
        module.finish()
    }

    #[test]
    fn only_unused_callbacks_go() {
        let names = ["malloc", "proxy_on_log", "proxy_on_tick", "proxy_on_request_body"];
        assert_eq!(drop_unused(&module(&names)).unwrap(), module(&["malloc", "proxy_on_tick"]));
        let slim = module(&["malloc", "proxy_on_tick"]);
        assert_eq!(drop_unused(&slim).unwrap(), slim);
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        for bad in [&b"\x7fELF"[..], b"", b"\0asm\x01\0\0\0\x07\xff"] {
            assert!(drop_unused(bad).is_err(), "{bad:?}");
        }
    }
}
