//! Values between a row of either database and a line of JSON.

use postern_store::StoreError;
use serde_json::Value;

use super::tables::{Kind, Table};
use crate::column::{Columns, holds_nul};

/// A value of a column, or none; the kind stays, so that it can be bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Text(Option<String>),
    Integer(Option<i64>),
    Boolean(Option<bool>),
}

/// A row, a cell for each column of its table.
pub(super) type Row = Vec<Cell>;

impl Cell {
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => text.clone().map_or(Value::Null, Value::from),
            Self::Integer(number) => number.map_or(Value::Null, Value::from),
            Self::Boolean(truth) => truth.map_or(Value::Null, Value::from),
        }
    }

    /// None where it is no value of this kind, or no text that every database holds.
    fn from_json(kind: Kind, value: Value) -> Option<Self> {
        match (kind, value) {
            (Kind::Text, Value::Null) => Some(Self::Text(None)),
            (Kind::Integer, Value::Null) => Some(Self::Integer(None)),
            (Kind::Boolean, Value::Null) => Some(Self::Boolean(None)),
            (Kind::Text, Value::String(text)) if !holds_nul(&text) => Some(Self::Text(Some(text))),
            (Kind::Integer, Value::Number(number)) => {
                number.as_i64().map(|number| Self::Integer(Some(number)))
            }
            (Kind::Boolean, Value::Bool(truth)) => Some(Self::Boolean(Some(truth))),
            _ => None,
        }
    }
}

/// Reads a row of a database.
pub(super) fn read<R: Columns>(table: &Table, row: &R) -> Result<Row, StoreError> {
    let cell = |column: &super::Column| {
        Ok(match column.kind {
            Kind::Text => Cell::Text(row.optional_text(column.name)?),
            Kind::Integer => Cell::Integer(row.optional_integer(column.name)?),
            Kind::Boolean => Cell::Boolean(row.optional_boolean(column.name)?),
        })
    };
    table.columns.iter().map(cell).collect()
}

/// A row as its line, without the line's end.
pub(super) fn to_line(table: &Table, row: &Row) -> String {
    let cells = row.iter().map(Cell::to_json).collect();
    Value::Array(vec![Value::from(table.name), Value::Array(cells)]).to_string()
}

/// The values of a row of this table; none where they do not fit its columns.
pub(super) fn from_json(table: &Table, values: Vec<Value>) -> Option<Row> {
    if values.len() != table.columns.len() {
        return None;
    }
    let cells = table.columns.iter().zip(values);
    cells.map(|(column, value)| Cell::from_json(column.kind, value)).collect()
}

/// A column's text.
pub(super) fn text<'a>(table: &Table, row: &'a Row, name: &str) -> Option<&'a str> {
    let place = table.columns.iter().position(|column| column.name == name)?;
    match row.get(place)? {
        Cell::Text(text) => text.as_deref(),
        Cell::Integer(_) | Cell::Boolean(_) => None,
    }
}

/// A column's number.
pub(super) fn number(table: &Table, row: &Row, name: &str) -> Option<u64> {
    let place = table.columns.iter().position(|column| column.name == name)?;
    match row.get(place)? {
        Cell::Integer(number) => number.and_then(|number| u64::try_from(number).ok()),
        Cell::Text(_) | Cell::Boolean(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_values_of_the_columns_kind_are_read() {
        for (kind, value, expected) in [
            (Kind::Text, json!("a'\"\n é"), Some(Cell::Text(Some("a'\"\n é".to_owned())))),
            (Kind::Text, json!(null), Some(Cell::Text(None))),
            (Kind::Text, json!("a\0b"), None),
            (Kind::Text, json!(1), None),
            (Kind::Integer, json!(i64::MIN), Some(Cell::Integer(Some(i64::MIN)))),
            (Kind::Integer, json!(u64::MAX), None),
            (Kind::Integer, json!(1.0), None),
            (Kind::Integer, json!("1"), None),
            (Kind::Integer, json!(true), None),
            (Kind::Boolean, json!(false), Some(Cell::Boolean(Some(false)))),
            (Kind::Boolean, json!(0), None),
            (Kind::Boolean, json!({"a": 1}), None),
        ] {
            let read = Cell::from_json(kind, value.clone());
            assert_eq!(read, expected, "{kind:?} {value}");
            if let Some(cell) = read {
                assert_eq!(Cell::from_json(kind, cell.to_json()), Some(cell));
            }
        }
    }
}
