//! Readers of connection properties, for all transports.  An error names the property and the value it had.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::identifiers::AddressingMode;

/// A list that is there; an empty one is an error, None and an absent one are not.
pub fn list<'a>(properties: &'a Map<String, Value>, key: &str) -> Result<Option<&'a Vec<Value>>> {
    match properties.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(values)) if !values.is_empty() => Ok(Some(values)),
        Some(other) => Err(Error::invalid(key, other, "a list with at least one entry is needed")),
    }
}

/// What an attachment record may say of the properties: only what is listed, so nothing secret comes along unseen.
pub fn shown(properties: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    let listed = properties.iter().filter(|(key, value)| keys.contains(&key.as_str()) && !value.is_null());
    listed.map(|(key, value)| (key.clone(), shown_value(value, keys))).collect()
}

fn shown_value(value: &Value, keys: &[&str]) -> Value {
    match value {
        Value::Object(fields) => Value::Object(shown(fields, keys)),
        Value::Array(values) => values.iter().map(|value| shown_value(value, keys)).collect(),
        plain => plain.clone(),
    }
}

pub fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        other => Err(Error::invalid(key, other, "a string that is not empty is needed")),
    }
}

pub fn optional_text(properties: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match properties.get(key) {
        None | Some(Value::Null) => Ok(None),
        // Cinder drivers leave the addressing mode empty when they mean none.
        Some(Value::String(empty)) if empty.is_empty() && key == "addressing_mode" => Ok(None),
        Some(value) => text(key, value).map(|text| Some(text.to_owned())),
    }
}

/// An identifier's error under the name of the list it stood in.
pub fn renamed(error: Error, field: &str) -> Error {
    match error {
        Error::InvalidRequest { value, reason, .. } => Error::InvalidRequest { field: field.to_owned(), value, reason },
        other => other,
    }
}

/// No kernel or array numbers LUNs beyond 32 bits, and `by-path` names could not show them.
pub fn lun(key: &str, value: &Value) -> Result<u64> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| *number <= u64::from(u32::MAX))
        .ok_or_else(|| Error::invalid(key, value, "a LUN is a number from 0 to 4294967295"))
}

/// `addressing_mode`; Cinder drivers leave it empty when they mean none.
pub fn addressing_mode(properties: &Map<String, Value>) -> Result<AddressingMode> {
    match optional_text(properties, "addressing_mode")? {
        Some(mode) => AddressingMode::from_str(&mode),
        None => Ok(AddressingMode::default()),
    }
}

/// `wwn` and `scsi_wwn`: the identity the storage says the volume has, maybe in two forms.
pub fn expected_wwns(properties: &Map<String, Value>) -> Result<Vec<String>> {
    let mut wwns = Vec::new();
    for key in ["wwn", "scsi_wwn"] {
        match properties.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(wwn)) if wwn.is_empty() => {}
            Some(value) => wwns.push(text(key, value)?.to_owned()),
        }
    }
    wwns.dedup();
    Ok(wwns)
}
