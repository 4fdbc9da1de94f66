//! The readers of what strangers send, each with the promises that it must keep for every input.
//! They stand in `tests/properties`, which the stable tests share.

#[path = "../properties/mod.rs"]
mod properties;

/// Holds an input against the promises of a reader.
pub fn holds(reader: &str, input: &[u8]) {
    let mut readers = properties::READERS.iter();
    let found = readers.find(|(name, _)| *name == reader);
    let (_, holds) = found.unwrap_or_else(|| panic!("there is no reader {reader}"));
    holds(input);
}
