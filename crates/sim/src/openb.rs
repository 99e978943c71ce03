//! The `openb` trace: nodes and tasks of a production GPU cluster.
//!
//! Read from the files of `cluster-trace-gpu-v2023` (alibaba/clusterdata) and of the simulator of
//! FGD (USENIX ATC'23): `openb_node_list_gpu_node.csv` and `openb_pod_list_*.csv`, as they are or
//! gzipped. Columns are found by their names; those not needed may be missing.

mod published;

use std::fs;
use std::path::{Path, PathBuf};

use remuda_types::{Capacity, Class, Shape};

pub use crate::file::ReadError;
pub use published::{Published, published};

pub use crate::file;
use crate::table::LineError;
use crate::table::{self, Names, Row};

/// The most GPUs of one node that the trace's nodes may have.
const NODE_GPUS_MAX: u64 = 64;
/// Thousandths of one whole GPU.
const WHOLE_GPU_MILLI: u64 = 1_000;

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The model of its GPUs.
    pub class: Class,
    /// What it has.
    pub capacity: Capacity,
}

/// A task that arrives at the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// What it asks of its node.
    pub shape: Shape,
    /// The models of GPU that will do; none means any.
    pub classes: Vec<Class>,
}

/// A list of tasks and where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    /// What tells it from the others: `default`, `gpuspec25`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

const NODES: &str = "openb_node_list_gpu_node";
const TASKS: &str = "openb_pod_list_";
const NO_TASKS: &str = "no openb_pod_list_*.csv, plain or with .gz";
const NO_NODES: &str = "no openb_node_list_gpu_node.csv, plain or with .gz";
const WHERE: &str = "name a folder as `data/csv` of hkust-adsl/kubernetes-scheduler-simulator";
const NO_GPUS: &str = "no GPU in it at all";
const NODE_COLUMNS: &str = "cpu_milli, memory_mib, gpu and model";
const TASK_COLUMNS: &str = "cpu_milli, memory_mib, num_gpu and gpu_milli";

/// The task lists in a folder, by name.
pub fn variants(dir: &Path) -> Result<Vec<Variant>, ReadError> {
    let unread = |source| ReadError::io(dir, source);
    let mut variants = Vec::new();
    for entry in fs::read_dir(dir).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let stem = name.and_then(|name| name.strip_suffix(".csv.gz").or(name.strip_suffix(".csv")));
        if let Some(name) = stem.and_then(|stem| stem.strip_prefix(TASKS)) {
            let name = name.to_owned();
            variants.push(Variant { name, path });
        }
    }
    variants.sort_unstable();
    variants.dedup_by(|a, b| a.name == b.name);
    if variants.is_empty() {
        return Err(ReadError::empty(dir, NO_TASKS, WHERE));
    }
    Ok(variants)
}

/// The nodes listed in a folder, in the file's order.
pub fn machines(dir: &Path) -> Result<Vec<Machine>, ReadError> {
    let path = list_of_machines(dir)?;
    let machines = file::read(&path, NODE_COLUMNS, parse_machines)?;
    if machines.iter().all(|machine| machine.capacity.gpus == 0) {
        let way_out = "one node at least is to have some in its column gpu";
        return Err(ReadError::empty(&path, NO_GPUS, way_out));
    }
    Ok(machines)
}

fn list_of_machines(dir: &Path) -> Result<PathBuf, ReadError> {
    for ending in ["csv", "csv.gz"] {
        let path = dir.join(format!("{NODES}.{ending}"));
        let is_there = path.try_exists();
        if is_there.map_err(|source| ReadError::io(&path, source))? {
            return Ok(path);
        }
    }
    Err(ReadError::empty(dir, NO_NODES, WHERE))
}

/// The tasks of a file, in its order.
pub fn tasks(path: &Path) -> Result<Vec<Task>, ReadError> {
    let tasks = file::read(path, TASK_COLUMNS, parse_tasks)?;
    if tasks.iter().all(|task| task.shape.gpu_milli == 0) {
        let way_out = "one task at least is to ask for some in its column num_gpu";
        return Err(ReadError::empty(path, NO_GPUS, way_out));
    }
    Ok(tasks)
}

/// The nodes of such a file's content.
pub fn parse_machines(bytes: &[u8]) -> Result<Vec<Machine>, LineError> {
    let mut names = Names::of("sn");
    table::rows(bytes, |row| {
        names.take(row)?;
        machine(row)
    })
}

/// The tasks of such a file's content.
pub fn parse_tasks(bytes: &[u8]) -> Result<Vec<Task>, LineError> {
    let mut names = Names::of("name");
    table::rows(bytes, |row| {
        names.take(row)?;
        task(row)
    })
}

fn machine(row: &Row<'_>) -> Result<Machine, LineError> {
    let gpus = row.amount("gpu", NODE_GPUS_MAX)?;
    Ok(Machine {
        class: if gpus == 0 {
            Class::CPU
        } else {
            row.class("model")?
        },
        capacity: Capacity {
            gpus: u32::try_from(gpus).unwrap_or(u32::MAX),
            gpu_memory_mib: 0,
            cpu_milli: row.amount("cpu_milli", table::AMOUNT_MAX)?,
            memory_mib: row.amount("memory_mib", table::AMOUNT_MAX)?,
            disk_mib: 0,
        },
    })
}

fn task(row: &Row<'_>) -> Result<Task, LineError> {
    let gpus = row.amount("num_gpu", NODE_GPUS_MAX)?;
    let each = if gpus == 0 {
        0
    } else {
        row.amount("gpu_milli", WHOLE_GPU_MILLI)?
    };
    if gpus > 1 && each != WHOLE_GPU_MILLI {
        return Err(row.wrong(
            "gpu_milli",
            "several GPUs are asked for whole: 1000 is expected",
        ));
    }
    if gpus == 1 && each == 0 {
        return Err(row.wrong("gpu_milli", "one GPU is asked for, but nothing of it"));
    }
    let shape = Shape {
        gpu_milli: gpus * each,
        cpu_milli: row.amount("cpu_milli", table::AMOUNT_MAX)?,
        memory_mib: row.amount("memory_mib", table::AMOUNT_MAX)?,
        ..Shape::default()
    };
    if shape == Shape::default() {
        return Err(row.wrong("num_gpu", "nothing is asked for at all"));
    }
    let classes = row.classes("gpu_spec")?;
    Ok(Task { shape, classes })
}

#[cfg(test)]
mod tests;
