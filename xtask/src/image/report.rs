//! What came of it, for people and for programs.

use serde_json::{Value, json};

use super::Image;
use crate::wasm::grouped;

/// A line for each tag: image, tag, size, digest.
pub fn table(images: &[Image]) -> String {
    let mut rows = vec![["image", "tag", "bytes", "digest"].map(str::to_owned)];
    for image in images {
        rows.extend(image.layout.tagged().iter().map(|tagged| {
            let (size, digest) = (grouped(tagged.size), tagged.digest.to_string());
            [image.name.to_owned(), tagged.tag.clone(), size, digest]
        }));
    }
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or_default()
    };
    let (name, tag, size) = (width(0), width(1), width(2));
    let lines = rows
        .iter()
        .map(|[n, t, s, digest]| format!("  {n:<name$}  {t:<tag$}  {s:>size$}  {digest}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The same as JSON.
pub fn json(images: &[Image]) -> Value {
    let rows = images.iter().flat_map(|image| {
        image.layout.tagged().iter().map(|tagged| {
            json!({
                "image": image.name,
                "tag": tagged.tag,
                "digest": tagged.digest.to_string(),
                "bytes": tagged.size,
            })
        })
    });
    Value::Array(rows.collect())
}
