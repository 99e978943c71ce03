//! A share of a whole, in whole percent.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// A share of a whole: 1 to 100 percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Share(u8);

/// Why a number is not a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: 1 to 100 percent is expected")]
pub struct ShareError(u32);

impl Share {
    /// As near to a sixth as whole percents are: of up to 11 one, of 12 two, of 24 four.
    pub const SIXTH: Self = Self(17);

    /// What a share can be, in percent.
    pub const PERCENT: RangeInclusive<u32> = 1..=100;

    /// So many percent.
    pub fn of_percent(percent: u32) -> Result<Self, ShareError> {
        let share = u8::try_from(percent).map_err(|_| ShareError(percent))?;
        if Self::PERCENT.contains(&percent) {
            Ok(Self(share))
        } else {
            Err(ShareError(percent))
        }
    }

    /// In percent.
    pub const fn percent(self) -> u32 {
        self.0 as u32
    }

    /// So much of so many that cannot be divided: rounded down, but at least one.
    pub fn of(self, whole: u32) -> NonZeroU32 {
        let part = u64::from(whole) * u64::from(self.percent()) / 100;
        let part = u32::try_from(part).unwrap_or(whole);
        NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN)
    }
}

impl Share {
    /// The same, rounded up.
    pub fn of_rounded_up(self, whole: u32) -> NonZeroU32 {
        let part = (u64::from(whole) * u64::from(self.percent())).div_ceil(100);
        let part = u32::try_from(part).unwrap_or(whole);
        NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

impl<C> minicbor::Encode<C> for Share {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Share {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::of_percent(d.u32()?).map_err(minicbor::decode::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_checked_wherever_they_come_from() {
        for percent in [0, 101, 256, u32::MAX] {
            assert_eq!(Share::of_percent(percent), Err(ShareError(percent)));
            let bytes = minicbor::to_vec(percent).unwrap();
            assert!(minicbor::decode::<Share>(&bytes).is_err());
        }
        for percent in Share::PERCENT {
            let share = Share::of_percent(percent).unwrap();
            assert_eq!(share.percent(), percent);
            let bytes = minicbor::to_vec(share).unwrap();
            assert_eq!(minicbor::decode::<Share>(&bytes).unwrap(), share);
        }
        assert_eq!(
            ShareError(101).to_string(),
            "101: 1 to 100 percent is expected"
        );
    }

    #[test]
    fn a_share_of_some_is_one_at_least_and_rounded_down() {
        let of = |percent, whole| Share::of_percent(percent).unwrap().of(whole).get();
        assert_eq!((of(25, 8), of(25, 11), of(25, 3), of(1, 0)), (2, 2, 1, 1));
        assert_eq!((of(100, 7), of(100, u32::MAX)), (7, u32::MAX));
    }
}
