//! From the names that NVIDIA's driver gives to hardware classes.

use remuda_types::Class;

use super::nvidia::Gpu;

/// What a node offers: the GPUs of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) class: Class,
    pub(super) count: u32,
    pub(super) memory_mib: u64,
}

/// Driver names whose class cannot be read off them. The rest become a slug of name and memory.
const CLASSES: [(&str, &str); 38] = [
    ("NVIDIA B200", "b200-sxm-180"),
    ("NVIDIA GB200", "gb200-sxm-186"),
    ("NVIDIA H200", "h200-sxm-141"),
    ("NVIDIA H200 NVL", "h200-nvl-141"),
    ("NVIDIA GH200 480GB", "gh200-sxm-96"),
    ("NVIDIA H100 80GB HBM3", "h100-sxm-80"),
    ("NVIDIA H100 PCIe", "h100-pcie-80"),
    ("NVIDIA H100 NVL", "h100-nvl-94"),
    ("NVIDIA H800", "h800-sxm-80"),
    ("NVIDIA A100-SXM4-80GB", "a100-sxm-80"),
    ("NVIDIA A100-SXM4-40GB", "a100-sxm-40"),
    ("NVIDIA A100 80GB PCIe", "a100-pcie-80"),
    ("NVIDIA A100-PCIE-40GB", "a100-pcie-40"),
    ("NVIDIA A800-SXM4-80GB", "a800-sxm-80"),
    ("NVIDIA A800 80GB PCIe", "a800-pcie-80"),
    ("NVIDIA A40", "a40-48"),
    ("NVIDIA A30", "a30-24"),
    ("NVIDIA A16", "a16-16"),
    ("NVIDIA A10", "a10-24"),
    ("NVIDIA A10G", "a10g-24"),
    ("NVIDIA L40S", "l40s-48"),
    ("NVIDIA L40", "l40-48"),
    ("NVIDIA L4", "l4-24"),
    ("NVIDIA RTX 6000 Ada Generation", "rtx6000ada-48"),
    ("NVIDIA RTX A6000", "rtxa6000-48"),
    ("NVIDIA RTX A5000", "rtxa5000-24"),
    ("NVIDIA RTX A4000", "rtxa4000-16"),
    ("NVIDIA GeForce RTX 5090", "rtx5090-32"),
    ("NVIDIA GeForce RTX 5080", "rtx5080-16"),
    ("NVIDIA GeForce RTX 4090", "rtx4090-24"),
    ("NVIDIA GeForce RTX 4080", "rtx4080-16"),
    ("NVIDIA GeForce RTX 3090", "rtx3090-24"),
    ("NVIDIA GeForce RTX 3090 Ti", "rtx3090ti-24"),
    ("NVIDIA GeForce RTX 3080 Ti", "rtx3080ti-12"),
    ("Tesla V100-SXM2-32GB", "v100-sxm-32"),
    ("Tesla V100-SXM2-16GB", "v100-sxm-16"),
    ("Tesla V100-PCIE-16GB", "v100-pcie-16"),
    ("Tesla T4", "t4-16"),
];

const CLASS_BYTES_MAX: usize = 31;

/// The class of a GPU.
pub(super) fn of(name: &str, memory_mib: u64) -> Class {
    let known = CLASSES.iter().find(|(driver, _)| *driver == name);
    let class = known.and_then(|(_, class)| class.parse().ok());
    class
        .or_else(|| slug(name, memory_mib).parse().ok())
        .unwrap_or(Class::CPU)
}

/// What is offered of several GPUs: the class that most are of. A node is of one class.
pub(super) fn offered(gpus: &[Gpu]) -> Option<Offer> {
    let offers = gpus.iter().map(|gpu| {
        let class = of(&gpu.name, gpu.memory_mib);
        let same = || {
            gpus.iter()
                .filter(|other| of(&other.name, other.memory_mib) == class)
        };
        Offer {
            class,
            count: u32::try_from(same().count()).unwrap_or(u32::MAX),
            memory_mib: same().map(|gpu| gpu.memory_mib).min().unwrap_or(0),
        }
    });
    offers.max_by_key(|offer| (offer.count, offer.memory_mib))
}

/// `NVIDIA GeForce GTX 1650` with 4 GiB becomes `gtx-1650-4`.
fn slug(name: &str, memory_mib: u64) -> String {
    let plain = name
        .to_ascii_lowercase()
        .replace("nvidia", "")
        .replace("geforce", "");
    let words: Vec<_> = plain
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let gib = format!("-{}", memory_mib.saturating_add(512) / 1_024);
    let mut slug = if words.is_empty() {
        "gpu".to_owned()
    } else {
        words.join("-")
    };
    slug.truncate(CLASS_BYTES_MAX.saturating_sub(gib.len()));
    slug + &gib
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gpu(name: &str, memory_mib: u64) -> Gpu {
        Gpu {
            name: name.to_owned(),
            memory_mib,
        }
    }

    #[test]
    fn every_class_of_the_table_is_one() {
        for (name, class) in CLASSES {
            assert_eq!(of(name, 1).as_str(), class, "{name}");
        }
    }

    #[test]
    fn unknown_names_become_slugs() {
        assert_eq!(of("NVIDIA GeForce GTX 1650", 4_096).as_str(), "gtx-1650-4");
        assert_eq!(of("", 0).as_str(), "gpu-0");
    }

    #[test]
    fn the_class_of_most_is_offered() {
        let h100 = "NVIDIA H100 80GB HBM3";
        let gpus = [
            gpu("Tesla T4", 15_360),
            gpu(h100, 81_559),
            gpu(h100, 81_559),
        ];
        let offer = offered(&gpus).unwrap();
        assert_eq!(
            (offer.class.as_str(), offer.count, offer.memory_mib),
            ("h100-sxm-80", 2, 81_559)
        );
        assert_eq!(offered(&[]), None);
    }

    proptest! {
        #[test]
        fn any_name_is_a_class_of_its_own(name in "\\PC{0,60}", memory_mib: u64) {
            prop_assert_ne!(of(&name, memory_mib), Class::CPU);
        }
    }
}
