//! Encodes a value and notices numbers that JSON does not have: they become `null`, and whoever wrote them should know.

use std::cell::Cell;
use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// The JSON text of a value, and whether a NaN or an infinite number in it has become `null`.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<(Vec<u8>, bool), serde_json::Error> {
    let seen = Cell::new(false);
    let text = serde_json::to_vec(&Watched {
        inner: value,
        seen: &seen,
    })?;
    Ok((text, seen.get()))
}

/// A value, serializer or part of one, all of whose numbers are looked at on their way.
struct Watched<'a, T> {
    inner: T,
    seen: &'a Cell<bool>,
}

impl<'a, T> Watched<'a, T> {
    fn with<U>(&self, inner: U) -> Watched<'a, U> {
        Watched {
            inner,
            seen: self.seen,
        }
    }
}

impl<T: Serialize + ?Sized> Serialize for Watched<'_, &T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(self.with(serializer))
    }
}

/// Methods that hand a plain value through.
macro_rules! plain {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        })*
    };
}

impl<'a, S: Serializer> Serializer for Watched<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Watched<'a, S::SerializeSeq>;
    type SerializeTuple = Watched<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Watched<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Watched<'a, S::SerializeTupleVariant>;
    type SerializeMap = Watched<'a, S::SerializeMap>;
    type SerializeStruct = Watched<'a, S::SerializeStruct>;
    type SerializeStructVariant = Watched<'a, S::SerializeStructVariant>;

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.seen.set(self.seen.get() || !value.is_finite());
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.seen.set(self.seen.get() || !value.is_finite());
        self.inner.serialize_f64(value)
    }

    plain! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Watched {
            inner: self.inner.serialize_seq(length)?,
            seen: self.seen,
        })
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Watched {
            inner: self.inner.serialize_tuple(length)?,
            seen: self.seen,
        })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Watched {
            inner: self.inner.serialize_tuple_struct(name, length)?,
            seen: self.seen,
        })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        Ok(Watched {
            inner: self.inner.serialize_tuple_variant(name, index, variant, length)?,
            seen: self.seen,
        })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Watched {
            inner: self.inner.serialize_map(length)?,
            seen: self.seen,
        })
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Watched {
            inner: self.inner.serialize_struct(name, length)?,
            seen: self.seen,
        })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        Ok(Watched {
            inner: self
                .inner
                .serialize_struct_variant(name, index, variant, length)?,
            seen: self.seen,
        })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// The parts whose elements have no names.
macro_rules! unnamed {
    ($($part:ident: $method:ident),* $(,)?) => {
        $(impl<S: $part> $part for Watched<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let value = self.with(value);
                self.inner.$method(&value)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        })*
    };
}

unnamed! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

/// The parts whose fields have names.
macro_rules! named {
    ($($part:ident),*) => {
        $(impl<S: $part> $part for Watched<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                let value = self.with(value);
                self.inner.serialize_field(name, &value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
                self.inner.skip_field(name)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        })*
    };
}

named!(SerializeStruct, SerializeStructVariant);

impl<S: SerializeMap> SerializeMap for Watched<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    // A key that is no finite number is an error of its own.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let value = self.with(value);
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct New<T>(T);
    #[derive(Serialize)]
    struct Pair<T>(T, u8);
    #[derive(Serialize)]
    struct Named<T> {
        value: T,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<()>,
    }
    #[derive(Serialize)]
    enum Choice<T> {
        Unit,
        New(T),
        Pair(T, u8),
        Named { value: T },
    }

    fn text<T: Serialize + ?Sized>(value: &T) -> (String, bool) {
        let (text, seen) = encode(value).unwrap();
        assert_eq!(
            text,
            serde_json::to_vec(value).unwrap(),
            "watching changes nothing"
        );
        (String::from_utf8(text).unwrap(), seen)
    }

    fn named<T>(value: T) -> Named<T> {
        Named {
            value,
            left_out: None,
        }
    }

    /// Every place in which a number can stand.
    fn places(number: f64) -> Vec<(String, bool)> {
        vec![
            text(&number),
            text(&Some(number)),
            text(&[number]),
            text(&vec![0.0, number]),
            text(&(1, number)),
            text(&New(number)),
            text(&Pair(number, 1)),
            text(&named(number)),
            text(&named(named(Some(vec![number])))),
            text(&Choice::New(number)),
            text(&Choice::Pair(number, 1)),
            text(&Choice::Named { value: number }),
            text(&BTreeMap::from([("key", number)])),
        ]
    }

    #[test]
    fn a_number_that_json_does_not_have_is_null_and_is_noticed_wherever_it_stands() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for (text, seen) in places(number) {
                assert!(seen && text.contains("null"), "{text}");
            }
        }
        for (text, seen) in places(0.5) {
            assert!(!seen && !text.contains("null"), "{text}");
        }
        assert_eq!(text(&f32::NAN), ("null".to_owned(), true));
    }

    #[test]
    fn what_is_null_for_other_reasons_is_not_noticed() {
        assert_eq!(text(&None::<f64>), ("null".to_owned(), false));
        assert_eq!(text(&()), ("null".to_owned(), false));
        assert_eq!(text(&Unit), ("null".to_owned(), false));
        assert_eq!(text(&Choice::<u8>::Unit), (r#""Unit""#.to_owned(), false));
    }

    proptest! {
        #[test]
        fn any_value_is_encoded_as_without_watching(
            numbers: Vec<Option<f64>>,
            words: BTreeMap<String, (i8, u64, char, bool)>,
            large: (i64, u128, i128),
            bytes: Vec<u8>,
        ) {
            let (_, seen) = text(&(&numbers, words, large, bytes));
            prop_assert_eq!(seen, numbers.iter().flatten().any(|number| !number.is_finite()));
        }
    }
}
