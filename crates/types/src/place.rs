//! Where a site stands: a country and a point on the Earth, and how far apart two points are.

use std::fmt;
use std::str::FromStr;

use crate::id::text_serde;

/// An ISO 3166-1 alpha-2 country code, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// A point on the Earth, in millionths of a degree (about 11 cm).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
)]
#[cbor(map)]
pub struct Place {
    #[n(0)]
    latitude_microdeg: i32,
    #[n(1)]
    longitude_microdeg: i32,
}

/// Why a value is not a place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlaceError {
    /// Not two capital letters.
    #[error("`{0}` is not a country: two letters of ISO 3166-1 are expected, as in `KR`")]
    Country(String),
    /// Latitude outside -90..=90, or not a number.
    #[error("latitude {0} is not between -90 and 90 degrees")]
    Latitude(f64),
    /// Longitude outside -180..=180, or not a number.
    #[error("longitude {0} is not between -180 and 180 degrees")]
    Longitude(f64),
}

const EARTH_RADIUS_KM: f64 = 6_371.008_8;
const MICRODEG_PER_DEG: f64 = 1e6;

impl Country {
    /// No country in particular: the code that ISO 3166-1 leaves to its users for this.
    pub const UNKNOWN: Self = Self(*b"ZZ");

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Place {
    /// 0° north, 0° east.
    pub const ORIGIN: Self = Self {
        latitude_microdeg: 0,
        longitude_microdeg: 0,
    };

    /// A place from degrees north and east.
    pub fn from_degrees(latitude: f64, longitude: f64) -> Result<Self, PlaceError> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(PlaceError::Latitude(latitude));
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(PlaceError::Longitude(longitude));
        }
        // Both are at most 1.8e8 after scaling, well inside an i32.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by the checks above"
        )]
        let microdeg = |degrees: f64| (degrees * MICRODEG_PER_DEG).round() as i32;
        Ok(Self {
            latitude_microdeg: microdeg(latitude),
            longitude_microdeg: microdeg(longitude),
        })
    }

    /// Degrees north.
    pub fn latitude(self) -> f64 {
        f64::from(self.latitude_microdeg) / MICRODEG_PER_DEG
    }

    /// Degrees east.
    pub fn longitude(self) -> f64 {
        f64::from(self.longitude_microdeg) / MICRODEG_PER_DEG
    }

    /// Great-circle distance in kilometres (haversine).
    pub fn distance_km(self, other: Self) -> f64 {
        let (lat_a, lat_b) = (self.latitude().to_radians(), other.latitude().to_radians());
        let half_lat = (lat_b - lat_a) / 2.0;
        let half_lon = (other.longitude() - self.longitude()).to_radians() / 2.0;
        let h = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * h.sqrt().min(1.0).asin()
    }
}

impl FromStr for Country {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(PlaceError::Country(text.to_owned())),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

text_serde!(Country);

impl<C> minicbor::Encode<C> for Country {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.as_str())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Country {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(minicbor::decode::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_checked() {
        assert_eq!(
            Place::from_degrees(91.0, 0.0),
            Err(PlaceError::Latitude(91.0))
        );
        assert!(Place::from_degrees(f64::NAN, 0.0).is_err());
        assert!(Place::from_degrees(0.0, 181.0).is_err());
        assert!("kr".parse::<Country>().is_err());
    }

    #[test]
    fn seoul_to_frankfurt_is_about_8_560_km() {
        let (Ok(seoul), Ok(frankfurt)) = (
            Place::from_degrees(37.5665, 126.978),
            Place::from_degrees(50.1109, 8.6821),
        ) else {
            unreachable!("both are valid")
        };
        assert!((seoul.distance_km(frankfurt) - 8_560.0).abs() < 30.0);
        assert!(seoul.distance_km(seoul) < 1e-9);
    }
}
