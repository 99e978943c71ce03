//! How amounts read in sentences: exact, and no longer than they must be.

use std::fmt::{self, Display, Formatter};

use remuda_types::Price;

/// `2.10 USD/h`: two decimals, more only where the price has them.
pub(crate) struct Usd(pub(crate) Price);

/// `80 GB` where it is whole (1,024 MiB, as on a GPU's label), else `500 MiB`.
pub(crate) struct Mib(pub(crate) u64);

/// Thousandths as a decimal number: `4`, `1.5`.
pub(crate) struct Milli(pub(crate) u64);

/// `1 GPU`, `2 GPUs`, `0.5 of a GPU`.
pub(crate) struct Gpus(pub(crate) u64);

/// `1 node`, `2 nodes`.
pub(crate) struct Nodes(pub(crate) usize);

/// `KR`, `KR or JP`, `KR, JP or DE`.
pub(crate) struct AnyOf<'a, T>(pub(crate) &'a [T]);

impl Display for Usd {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_string();
        let keep = exact.find('.').map_or(exact.len(), |point| point + 3);
        let (short, rest) = exact.split_at(keep.min(exact.len()));
        write!(f, "{short}{} USD/h", rest.trim_end_matches('0'))
    }
}

impl Display for Mib {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1_024) {
            write!(f, "{} GB", self.0 / 1_024)
        } else {
            write!(f, "{} MiB", self.0)
        }
    }
}

impl Display for Milli {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exact = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.write_str(exact.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Display for Gpus {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unit = match self.0 {
            0..1_000 => "of a GPU",
            1_000 => "GPU",
            _ => "GPUs",
        };
        write!(f, "{} {unit}", Milli(self.0))
    }
}

impl Display for Nodes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} node{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

impl<T: Display> Display for AnyOf<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, one) in self.0.iter().enumerate() {
            let before = match index {
                0 => "",
                _ if index + 1 == self.0.len() => " or ",
                _ => ", ",
            };
            write!(f, "{before}{one}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(micros: u64) -> String {
        Usd(Price::from_micros_per_hour(micros)).to_string()
    }

    #[test]
    fn amounts_are_short_and_exact() {
        assert_eq!(usd(2_100_000), "2.10 USD/h");
        assert_eq!(usd(1), "0.000001 USD/h");
        assert_eq!(usd(12_345_600), "12.3456 USD/h");
        assert_eq!(usd(u64::MAX), "18446744073709.551615 USD/h");
        assert_eq!(
            [Mib(81_920), Mib(500)].map(|mib| mib.to_string()),
            ["80 GB", "500 MiB"]
        );
        assert_eq!(
            [Milli(4_000), Milli(1_500), Milli(20)].map(|m| m.to_string()),
            ["4", "1.5", "0.02"]
        );
        assert_eq!(
            [Gpus(500), Gpus(1_000), Gpus(8_000)].map(|gpus| gpus.to_string()),
            ["0.5 of a GPU", "1 GPU", "8 GPUs"],
        );
    }

    #[test]
    fn lists_read_as_a_choice() {
        assert_eq!(AnyOf(&["KR"]).to_string(), "KR");
        assert_eq!(AnyOf(&["KR", "JP"]).to_string(), "KR or JP");
        assert_eq!(AnyOf(&["KR", "JP", "DE"]).to_string(), "KR, JP or DE");
    }
}
