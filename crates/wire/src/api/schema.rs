//! Schemas of types that are defined where no schema is known.

use remuda_types::{Tier, Together};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

fn whole_number(description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .description(Some(description))
        .build()
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

pub(super) fn tier() -> Object {
    text("The promise it is sold under.")
        .enum_values(Some(Tier::ALL.iter().map(|tier| tier.as_str())))
        .build()
}

pub(super) fn together() -> Object {
    text(
        "Whether its copies must stand together: `fabric` is one site and one class, all or none \
         of them; `anywhere` if not given. Not with the tier `multi-site`.",
    )
    .enum_values(Some(Together::ALL.iter().map(|together| together.as_str())))
    .build()
}

pub(super) fn decimal() -> Object {
    text("Dollars, as a decimal string.")
        .pattern(Some(r"^[0-9]+(\.[0-9]{1,6})?$"))
        .build()
}

/// What one replica asks of one node.
pub(super) fn shape() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("What each copy needs of its node."))
        .property(
            "gpu_milli",
            whole_number("Thousandths of a GPU; above 1,000 whole GPUs only."),
        )
        .property("cpu_milli", whole_number("Thousandths of a CPU core."))
        .property("memory_mib", whole_number("Main memory in MiB."))
        .property(
            "gpu_memory_mib",
            whole_number("Memory that each GPU must have, in MiB."),
        )
        .property("disk_mib", whole_number("Disk in MiB."))
        .build()
}

/// What a node has in all.
pub(super) fn capacity() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("What the node has in all."))
        .property("gpus", whole_number("Whole GPUs of the node's class."))
        .property(
            "gpu_memory_mib",
            whole_number("Memory of each GPU, in MiB."),
        )
        .property("cpu_milli", whole_number("Thousandths of a CPU core."))
        .property("memory_mib", whole_number("Main memory in MiB."))
        .property("disk_mib", whole_number("Disk in MiB."))
        .build()
}
