//! Dollars as they travel: decimal strings, so that no client reads them into a float.

use remuda_types::{Money, Price};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

/// An amount in dollars, as a decimal string with at most six decimals: `"12.500000"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd(pub Money);

/// A price in dollars an hour, as a decimal string with at most six decimals: `"2.100000"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsdPerHour(pub Price);

macro_rules! decimal_text {
    ($name:ident, $pattern:literal, $description:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map(Self).map_err(serde::de::Error::custom)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some($pattern))
                    .description(Some($description))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

decimal_text!(
    Usd,
    r"^-?[0-9]+(\.[0-9]{1,6})?$",
    "An amount in dollars, as a decimal string."
);
decimal_text!(
    UsdPerHour,
    r"^[0-9]+(\.[0-9]{1,6})?$",
    "A price in dollars an hour, as a decimal string."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn amounts_round_trip_as_text(micros in -i64::MAX..i64::MAX) {
            let amount = Usd(Money::from_micros(micros));
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert!(json.starts_with('"'));
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        }

        #[test]
        fn reading_is_total(text in "\\PC{0,30}") {
            let json = serde_json::to_string(&text).unwrap();
            if let Ok(amount) = serde_json::from_str::<Usd>(&json) {
                prop_assert_eq!(Ok(amount.0), text.parse());
            }
        }
    }

    #[test]
    fn numbers_and_negative_prices_are_refused() {
        assert!(serde_json::from_str::<Usd>("12.5").is_err());
        assert!(serde_json::from_str::<UsdPerHour>("\"-1\"").is_err());
    }
}
