//! Writes what is stored and sent, byte for byte as `serde_json` would, at about a third of its cost: an
//! event is mostly hashes, which need no escaping, and a whole string is tested for that faster than byte
//! after byte.

use std::fmt::Display;

use serde::de::value::Error;
use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer,
};

/// The value as JSON. For objects with text for names, lists, strings, numbers, booleans and null, of which
/// events consist.
///
/// # Errors
/// The value holds something else, such as bytes or a variant with fields.
pub(crate) fn to_string<T: Serialize + ?Sized>(value: &T, capacity: usize) -> Result<String, Error> {
    let mut writer = Writer(Vec::with_capacity(capacity));
    value.serialize(&mut writer)?;
    String::from_utf8(writer.0).map_err(Error::custom)
}

struct Writer(Vec<u8>);

impl Writer {
    fn text(&mut self, text: &str) -> Result<(), Error> {
        if needs_escape(text.as_bytes()) {
            return self.as_serde_json(text);
        }
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    fn as_serde_json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        serde_json::to_writer(&mut self.0, value).map_err(Error::custom)
    }

    fn parts(&mut self, brackets: [u8; 2]) -> Parts<'_> {
        self.0.push(brackets[0]);
        Parts {
            writer: self,
            is_first: true,
            end: brackets[1],
        }
    }
}

/// Looks at all bytes, without stopping at the first, so that the compiler can look at sixteen at a time.
fn needs_escape(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| {
        found | (*byte < b' ') | (*byte == b'"') | (*byte == b'\\')
    })
}

/// A list or an object under construction.
struct Parts<'w> {
    writer: &'w mut Writer,
    is_first: bool,
    end: u8,
}

impl Parts<'_> {
    fn next(&mut self) -> &mut Writer {
        if !self.is_first {
            self.writer.0.push(b',');
        }
        self.is_first = false;
        self.writer
    }

    fn close(self) -> Result<(), Error> {
        self.writer.0.push(self.end);
        Ok(())
    }
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
        item.serialize(self.next())
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Error> {
        name.serialize(self.next())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.writer.0.push(b':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.serialize_entry(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

/// The kinds of number, each written as `serde_json` writes it.
macro_rules! numbers {
    ($($method:ident: $number:ty),*) => {
        $(fn $method(self, value: $number) -> Result<(), Error> {
            self.as_serde_json(&value)
        })*
    };
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'w>;
    type SerializeMap = Parts<'w>;
    type SerializeStruct = Parts<'w>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    numbers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_u8: u8,
        serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32, serialize_f64: f64
    );

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        self.text(text)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'w>, Error> {
        Ok(self.parts(*b"[]"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'w>, Error> {
        Ok(self.parts(*b"{}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'w>, Error> {
        Ok(self.parts(*b"{}"))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Err(unexpected("bytes"))
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Error> {
        Err(unexpected(name))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(unexpected(name))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(unexpected("a tuple"))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Err(unexpected(name))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unexpected(name))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unexpected(name))
    }
}

fn unexpected(kind: impl Display) -> Error {
    Error::custom(format_args!("{kind} has no place in an event"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Json;
    use super::*;

    fn any_json() -> impl Strategy<Value = Json<'static>> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<u64>().prop_map(Json::Unsigned),
            (i64::MIN..0).prop_map(Json::Negative),
            any::<f64>().prop_map(Json::Float),
            any::<String>().prop_map(|text| Json::String(text.into())),
            "[a\"\\\\/\x00-\x20\x7fé]{0,70}".prop_map(|text| Json::String(text.into())),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
                prop::collection::vec((any::<String>().prop_map(Into::into), inner), 0..5)
                    .prop_map(Json::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_written_as_serde_json_writes_it(json in any_json()) {
            prop_assert_eq!(to_string(&json, 0).unwrap(), serde_json::to_string(&json).unwrap());
        }
    }

    #[test]
    fn every_character_that_json_escapes_is_escaped_wherever_it_stands() {
        for character in (0..=0x7f).map(char::from) {
            for before in [0, 1, 15, 16, 63] {
                let text = format!("{}{character}{}", "x".repeat(before), "y".repeat(before));
                let written = to_string(&text, 0).unwrap();
                assert_eq!(written, serde_json::to_string(&text).unwrap());
            }
        }
        assert_eq!(to_string("a\"\\\u{1}/", 0).unwrap(), r#""a\"\\\u0001/""#);
    }

    #[test]
    fn what_is_no_part_of_an_event_is_an_error_and_not_wrong_json() {
        assert!(to_string(&(1, 2), 0).is_err());
        assert!(to_string(&Ok::<u8, u8>(1), 0).is_err());
    }
}
