//! Classes of which it is known what they can do, so that one may stand in for another.
//!
//! The figures are those of the makers. What is left out stands for itself alone: other makers'
//! accelerators, and NVIDIA's with processors of their own, on which the same programs do not run.

use super::Class;

/// What a class can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    name: &'static str,
    generation: Generation,
    memory_gb: u32,
    memory_gb_per_s: u32,
    /// Dense products of halves, summed in single precision.
    teraflops: u32,
    /// To the other GPUs of its node.
    link_gb_per_s: u32,
}

/// Each runs what those before it run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Generation {
    Volta,
    Turing,
    Ampere,
    Ada,
    Hopper,
    Blackwell,
}
use Generation::{Ada, Ampere, Blackwell, Hopper, Turing, Volta};

/// All of them, the latest first.
pub(super) const ALL: [Known; 34] = [
    known("b200-sxm-180", Blackwell, (180, 7_700), 2_250, 1_800),
    known("rtx5090-32", Blackwell, (32, 1_792), 209, 128),
    known("rtx5080-16", Blackwell, (16, 960), 112, 128),
    known("h200-sxm-141", Hopper, (141, 4_800), 989, 900),
    known("h200-nvl-141", Hopper, (141, 4_800), 835, 900),
    known("h100-sxm-80", Hopper, (80, 3_350), 989, 900),
    known("h100-nvl-94", Hopper, (94, 3_900), 835, 600),
    known("h100-pcie-80", Hopper, (80, 2_000), 756, 128),
    known("h800-sxm-80", Hopper, (80, 3_350), 989, 400),
    known("l40s-48", Ada, (48, 864), 362, 64),
    known("l40-48", Ada, (48, 864), 181, 64),
    known("l4-24", Ada, (24, 300), 121, 64),
    known("rtx6000ada-48", Ada, (48, 960), 364, 64),
    known("rtx4090-24", Ada, (24, 1_008), 165, 64),
    known("rtx4080-16", Ada, (16, 717), 97, 64),
    known("a100-sxm-80", Ampere, (80, 2_039), 312, 600),
    known("a100-sxm-40", Ampere, (40, 1_555), 312, 600),
    known("a100-pcie-80", Ampere, (80, 1_935), 312, 64),
    known("a100-pcie-40", Ampere, (40, 1_555), 312, 64),
    known("a800-sxm-80", Ampere, (80, 2_039), 312, 400),
    known("a800-pcie-80", Ampere, (80, 1_935), 312, 64),
    known("a40-48", Ampere, (48, 696), 150, 64),
    known("a30-24", Ampere, (24, 933), 165, 64),
    known("a10-24", Ampere, (24, 600), 125, 64),
    known("rtxa6000-48", Ampere, (48, 768), 155, 64),
    known("rtxa5000-24", Ampere, (24, 768), 111, 64),
    known("rtxa4000-16", Ampere, (16, 448), 77, 64),
    known("rtx3090ti-24", Ampere, (24, 1_008), 80, 64),
    known("rtx3090-24", Ampere, (24, 936), 71, 64),
    known("rtx3080ti-12", Ampere, (12, 912), 68, 64),
    known("t4-16", Turing, (16, 320), 65, 32),
    known("v100-sxm-32", Volta, (32, 900), 125, 300),
    known("v100-sxm-16", Volta, (16, 900), 125, 300),
    known("v100-pcie-16", Volta, (16, 900), 112, 32),
];

const fn known(
    name: &'static str,
    generation: Generation,
    (memory_gb, memory_gb_per_s): (u32, u32),
    teraflops: u32,
    link_gb_per_s: u32,
) -> Known {
    Known {
        name,
        generation,
        memory_gb,
        memory_gb_per_s,
        teraflops,
        link_gb_per_s,
    }
}

/// What is known of a class.
pub(super) fn find(class: Class) -> Option<&'static Known> {
    ALL.iter().find(|known| known.name == class.as_str())
}

impl Known {
    pub(super) fn class(&self) -> Class {
        self.name.parse().unwrap_or(Class::CPU)
    }

    /// Whether it is in nothing worse.
    pub(super) fn stands_in_for(&self, other: &Self) -> bool {
        self.generation >= other.generation
            && self.memory_gb >= other.memory_gb
            && self.memory_gb_per_s >= other.memory_gb_per_s
            && self.teraflops >= other.teraflops
            && self.link_gb_per_s >= other.link_gb_per_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_class_of_its_own() {
        for (at, row) in ALL.iter().enumerate() {
            assert_eq!(row.class().as_str(), row.name);
            assert_eq!(find(row.class()), Some(row));
            assert!(row.name.ends_with(&format!("-{}", row.memory_gb)));
            assert!(ALL[..at].iter().all(|other| other.name != row.name));
        }
        assert!(ALL.is_sorted_by(|one, next| one.generation >= next.generation));
    }

    #[test]
    fn to_stand_in_is_an_order() {
        for one in &ALL {
            assert!(one.stands_in_for(one));
            for other in ALL.iter().filter(|other| one.stands_in_for(other)) {
                for third in ALL.iter().filter(|third| other.stands_in_for(third)) {
                    assert!(one.stands_in_for(third), "{one:?} {other:?} {third:?}");
                }
            }
        }
    }
}
