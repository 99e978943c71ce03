//! Where everything stands in a YAML file: its keys and items, without their values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned};

/// A value's place, and those within it.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    at: Location,
    within: Within,
}

#[derive(Clone, Debug)]
enum Within {
    Fields(Vec<(Spanned<String>, Tree)>),
    Items(Vec<Tree>),
    Nothing,
}

impl Tree {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        serde_saphyr::from_str::<Spanned<Within>>(text).map(Self::of)
    }

    fn of(spanned: Spanned<Within>) -> Self {
        Self {
            at: spanned.referenced,
            within: spanned.value,
        }
    }

    /// Where the value stands that a JSON pointer names, or the nearest that is there.
    pub(super) fn locate<'p>(&self, segments: impl IntoIterator<Item = &'p str>) -> Location {
        let (mut tree, mut at) = (self, self.at);
        for segment in segments {
            let Some((place, inner)) = tree.inner(segment) else {
                break;
            };
            (tree, at) = (inner, place);
        }
        at
    }

    fn inner(&self, segment: &str) -> Option<(Location, &Self)> {
        match &self.within {
            Within::Fields(fields) => {
                let (key, tree) = fields.iter().find(|(key, _)| key.value == segment)?;
                Some((key.referenced, tree))
            }
            Within::Items(items) => {
                let tree = items.get(segment.parse::<usize>().ok()?)?;
                Some((tree.at, tree))
            }
            Within::Nothing => None,
        }
    }
}

impl<'de> Deserialize<'de> for Within {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

macro_rules! scalars {
    ($($visit:ident: $scalar:ty),*) => {$(
        fn $visit<E>(self, _: $scalar) -> Result<Within, E> {
            Ok(Within::Nothing)
        }
    )*};
}

impl<'de> Visitor<'de> for Anything {
    type Value = Within;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    scalars!(visit_i128: i128, visit_u128: u128, visit_bytes: &[u8]);

    fn visit_unit<E>(self) -> Result<Within, E> {
        Ok(Within::Nothing)
    }

    fn visit_none<E>(self) -> Result<Within, E> {
        Ok(Within::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Within, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Within, D::Error> {
        IgnoredAny::deserialize(inner).map(|_| Within::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Within, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key()? {
            fields.push((key, Tree::of(map.next_value()?)));
        }
        Ok(Within::Fields(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Within, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(Tree::of(item));
        }
        Ok(Within::Items(items))
    }
}
