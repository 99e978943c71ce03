//! What this machine has: GPUs from NVIDIA's driver where there is one, cores, memory and disk from
//! the system.

use std::path::Path;
use std::thread::available_parallelism;

use remuda_types::{Capacity, Class};
use remuda_wire::node::Inventory;
use sysinfo::System;

use crate::config::{CapacityOverrides, Config};
use crate::model::room::free_bytes;

mod class;
pub(crate) mod nvidia;

use nvidia::{Gpu, Gpus};

const MIB: u64 = 1 << 20;

/// What was found, with the driver's handle for metrics.
#[derive(Debug)]
pub(crate) struct Found {
    /// As control is told.
    pub inventory: Inventory,
    /// The GPUs, if there are any.
    pub gpus: Option<Gpus>,
}

/// Looks at the machine.
pub(crate) fn find(config: &Config) -> Found {
    let gpus = Gpus::find();
    let listed = gpus.as_ref().map(Gpus::list).unwrap_or_default();
    let offered = class::offered(&listed);
    let class = config
        .class
        .or(offered.as_ref().map(|offer| offer.class))
        .unwrap_or(Class::CPU);
    let capacity = Capacity {
        gpus: offered.as_ref().map_or(0, |offer| offer.count),
        gpu_memory_mib: offered.as_ref().map_or(0, |offer| offer.memory_mib),
        ..machine(&config.state_dir)
    };
    let inventory = Inventory {
        class,
        capacity: overridden(capacity, config.capacity),
        description: describe(gpus.as_ref(), &listed),
    };
    Found { inventory, gpus }
}

/// Cores, memory and disk: within what the daemon's own control group may use.
fn machine(state_dir: &Path) -> Capacity {
    Capacity {
        cpu_milli: available_parallelism().map_or(1, usize::from) as u64 * 1_000,
        memory_mib: memory_bytes() / MIB,
        disk_mib: free_bytes(state_dir).unwrap_or(0) / MIB,
        ..Capacity::default()
    }
}

fn memory_bytes() -> u64 {
    let Ok(mut system) = System::new() else {
        return 0;
    };
    system.refresh_memory();
    let total = system.total_memory();
    let limited = system
        .cgroup_limits()
        .map(|limits| limits.total_memory)
        .filter(|bytes| *bytes > 0);
    limited.map_or(total, |limit| limit.min(total))
}

fn overridden(found: Capacity, overrides: CapacityOverrides) -> Capacity {
    Capacity {
        cpu_milli: overrides.cpu_milli.unwrap_or(found.cpu_milli),
        memory_mib: overrides.memory_mib.unwrap_or(found.memory_mib),
        disk_mib: overrides.disk_mib.unwrap_or(found.disk_mib),
        ..found
    }
}

fn describe(gpus: Option<&Gpus>, listed: &[Gpu]) -> String {
    let system = System::long_os_version();
    let arch = System::cpu_arch();
    let machine = format!("{}, {arch}", system.as_deref().unwrap_or("Linux"));
    let Some(gpus) = gpus else {
        return machine;
    };
    let names: Vec<_> = listed.iter().map(|gpu| gpu.name.as_str()).collect();
    format!("{}; driver {}; {machine}", names.join(", "), gpus.driver())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_cores_memory_and_disk_and_may_offer_less() {
        let folder = tempfile::tempdir().unwrap();
        let found = machine(folder.path());
        assert!(found.cpu_milli >= 1_000 && found.memory_mib > 0 && found.disk_mib > 0);
        let less = CapacityOverrides {
            memory_mib: Some(1),
            ..CapacityOverrides::default()
        };
        assert_eq!(
            overridden(found, less),
            Capacity {
                memory_mib: 1,
                ..found
            }
        );
    }
}
