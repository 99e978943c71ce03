//! What a replica asks for and what a node has.

/// Resources one replica asks of one node.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(map)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// Thousandths of a GPU: 500 is half of one, 8,000 is eight whole ones. Above 1,000 only whole GPUs.
    #[n(0)]
    pub gpu_milli: u64,
    /// Thousandths of a CPU core.
    #[n(1)]
    pub cpu_milli: u64,
    /// Main memory in MiB.
    #[n(2)]
    pub memory_mib: u64,
    /// Memory that each GPU must have, in MiB.
    #[n(3)]
    pub gpu_memory_mib: u64,
    /// Disk in MiB.
    #[n(4)]
    pub disk_mib: u64,
}

/// What a node has in all.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Whole GPUs of the node's class.
    #[n(0)]
    pub gpus: u32,
    /// Memory of each GPU, in MiB.
    #[n(1)]
    pub gpu_memory_mib: u64,
    /// Thousandths of a CPU core.
    #[n(2)]
    pub cpu_milli: u64,
    /// Main memory in MiB.
    #[n(3)]
    pub memory_mib: u64,
    /// Disk in MiB.
    #[n(4)]
    pub disk_mib: u64,
}
