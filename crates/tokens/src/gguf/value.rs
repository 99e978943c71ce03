//! Values of metadata keys. The eight integer widths of the format are one kind here: what a model
//! means by a number does not depend on how many bytes its converter spent on it.

use std::fmt;

use super::reader::Reader;
use super::{Error, MAX_ELEMENTS, MAX_STRING_BYTES};

/// The value of one key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer of any width.
    Integer(i128),
    /// A floating-point number of either width.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A string.
    Text(String),
    /// An array of integers; those over `i64::MAX` are malformed.
    Integers(Vec<i64>),
    /// An array of floating-point numbers.
    Floats(Vec<f64>),
    /// An array of booleans.
    Bools(Vec<bool>),
    /// An array of strings.
    Texts(Vec<String>),
}

/// The type of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Value::Integer`].
    Integer,
    /// [`Value::Float`].
    Float,
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Text`].
    Text,
    /// [`Value::Integers`].
    Integers,
    /// [`Value::Floats`].
    Floats,
    /// [`Value::Bools`].
    Bools,
    /// [`Value::Texts`].
    Texts,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Text => "string",
            Self::Integers => "array of integers",
            Self::Floats => "array of floats",
            Self::Bools => "array of bools",
            Self::Texts => "array of strings",
        })
    }
}

impl Value {
    /// The type of this value.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Integer(_) => Kind::Integer,
            Self::Float(_) => Kind::Float,
            Self::Bool(_) => Kind::Bool,
            Self::Text(_) => Kind::Text,
            Self::Integers(_) => Kind::Integers,
            Self::Floats(_) => Kind::Floats,
            Self::Bools(_) => Kind::Bools,
            Self::Texts(_) => Kind::Texts,
        }
    }
}

/// The types of the format that are not arrays.
#[derive(Clone, Copy)]
enum Scalar {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    U64,
    I64,
    F64,
}

/// The format's number for an array.
const ARRAY: u32 = 9;

impl Scalar {
    fn from_number(number: u32, offset: u64) -> Result<Self, Error> {
        Ok(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::Text,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            ARRAY => {
                return Err(Error::Malformed {
                    what: "an array of arrays",
                    offset,
                });
            }
            _ => {
                return Err(Error::Malformed {
                    what: "an unknown value type",
                    offset,
                });
            }
        })
    }
}

/// One value, its type number first.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Value, Error> {
    let offset = reader.offset();
    match reader.u32()? {
        ARRAY => read_array(reader),
        number => read_scalar(reader, Scalar::from_number(number, offset)?),
    }
}

fn read_scalar(reader: &mut Reader<'_>, scalar: Scalar) -> Result<Value, Error> {
    Ok(match scalar {
        Scalar::F32 | Scalar::F64 => Value::Float(float(reader, scalar)?),
        Scalar::Bool => Value::Bool(boolean(reader)?),
        Scalar::Text => Value::Text(text(reader)?),
        Scalar::U8
        | Scalar::I8
        | Scalar::U16
        | Scalar::I16
        | Scalar::U32
        | Scalar::I32
        | Scalar::U64
        | Scalar::I64 => Value::Integer(integer(reader, scalar)?),
    })
}

fn read_array(reader: &mut Reader<'_>) -> Result<Value, Error> {
    let offset = reader.offset();
    let scalar = Scalar::from_number(reader.u32()?, offset)?;
    let length = reader.count("the length of an array", MAX_ELEMENTS)?;
    reader.charge_elements(length)?;
    Ok(match scalar {
        Scalar::F32 | Scalar::F64 => Value::Floats(repeat(reader, length, |r| float(r, scalar))?),
        Scalar::Bool => Value::Bools(repeat(reader, length, boolean)?),
        Scalar::Text => Value::Texts(repeat(reader, length, text)?),
        Scalar::U8
        | Scalar::I8
        | Scalar::U16
        | Scalar::I16
        | Scalar::U32
        | Scalar::I32
        | Scalar::U64
        | Scalar::I64 => Value::Integers(repeat(reader, length, |r| small_integer(r, scalar))?),
    })
}

/// `length` elements. The vector grows with what was read, never to a length that was only claimed.
fn repeat<T>(
    reader: &mut Reader<'_>,
    length: u64,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    (0..length).map(|_| read(reader)).collect()
}

fn text(reader: &mut Reader<'_>) -> Result<String, Error> {
    reader.text("the length of a string", MAX_STRING_BYTES)
}

fn boolean(reader: &mut Reader<'_>) -> Result<bool, Error> {
    let offset = reader.offset();
    match reader.array::<1>()? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Error::Malformed {
            what: "a bool that is neither 0 nor 1",
            offset,
        }),
    }
}

fn float(reader: &mut Reader<'_>, scalar: Scalar) -> Result<f64, Error> {
    match scalar {
        Scalar::F64 => reader.array().map(f64::from_le_bytes),
        _ => reader.array().map(f32::from_le_bytes).map(f64::from),
    }
}

fn integer(reader: &mut Reader<'_>, scalar: Scalar) -> Result<i128, Error> {
    Ok(match scalar {
        Scalar::U8 => i128::from(u8::from_le_bytes(reader.array()?)),
        Scalar::I8 => i128::from(i8::from_le_bytes(reader.array()?)),
        Scalar::U16 => i128::from(u16::from_le_bytes(reader.array()?)),
        Scalar::I16 => i128::from(i16::from_le_bytes(reader.array()?)),
        Scalar::U32 => i128::from(u32::from_le_bytes(reader.array()?)),
        Scalar::I32 => i128::from(i32::from_le_bytes(reader.array()?)),
        Scalar::I64 => i128::from(i64::from_le_bytes(reader.array()?)),
        Scalar::U64 | Scalar::F32 | Scalar::F64 | Scalar::Bool | Scalar::Text => {
            i128::from(u64::from_le_bytes(reader.array()?))
        }
    })
}

fn small_integer(reader: &mut Reader<'_>, scalar: Scalar) -> Result<i64, Error> {
    let offset = reader.offset();
    i64::try_from(integer(reader, scalar)?).map_err(|_| Error::Malformed {
        what: "an array element over the range of i64",
        offset,
    })
}
