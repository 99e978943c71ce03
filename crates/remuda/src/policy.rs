//! The network's policy as a TOML file: parameters that stand in it replace the defaults.
//!
//! ```toml
//! [network]
//! slice = "1d"            # lengths of time as people write them
//! fee_bp = 500            # basis points
//! tranche_max = "5.00"    # dollars
//! processes_allowed = false
//!
//! [liveness]
//! silence = "1500ms"
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use remuda_control::liveness::{self, Settings};
use remuda_control::network::Policy;
use remuda_types::{Money, Price, Span};

use crate::toml_file::{self, At, Faults, Reader};

/// What a policy file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies {
    /// The network's parameters.
    pub(crate) network: Policy,
    /// When silence is suspicious and when a node is lost.
    pub(crate) liveness: liveness::Policy,
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What it says cannot be used.
    #[error(transparent)]
    Faults(#[from] Faults),
}

type Field<S, T> = (&'static str, fn(&mut S) -> &mut T);

const SPANS: &[Field<Policy, Span>] = &[
    ("lease_term", |policy| &mut policy.lease_term),
    ("slice", |policy| &mut policy.slice),
    ("slice_min", |policy| &mut policy.slice_min),
    ("holdback", |policy| &mut policy.holdback),
    ("holdback_bucket", |policy| &mut policy.holdback_bucket),
    ("tranche_ttl", |policy| &mut policy.tranche_ttl),
    ("clock_drift", |policy| &mut policy.clock_drift),
    ("replace_backoff", |policy| &mut policy.replace_backoff),
    ("replace_backoff_max", |policy| {
        &mut policy.replace_backoff_max
    }),
    ("drain_grace", |policy| &mut policy.drain_grace),
    ("notice", |policy| &mut policy.notice),
    ("bond_floor", |policy| &mut policy.bond_floor),
    ("id_window", |policy| &mut policy.id_window),
    ("accept_within", |policy| &mut policy.accept_within),
    ("start_within", |policy| &mut policy.start_within),
    ("drain_retry", |policy| &mut policy.drain_retry),
    ("post_grace", |policy| &mut policy.post_grace),
    ("plan_every", |policy| &mut policy.plan_every),
    ("order_stands_max", |policy| &mut policy.order_stands_max),
    ("kin_window", |policy| &mut policy.kin.window),
    ("kin_half_life", |policy| &mut policy.kin.half_life),
    ("repack_every", |policy| &mut policy.repack.every),
    ("repack_horizon", |policy| &mut policy.repack.horizon),
    ("standby_retry_max", |policy| &mut policy.standby_retry_max),
    ("reserve_ahead_max", |policy| &mut policy.reserve_ahead_max),
    ("reserve_length_max", |policy| {
        &mut policy.reserve_length_max
    }),
    ("order_retry_max", |policy| &mut policy.order_retry_max),
];

const PRICES: &[Field<Policy, Price>] = &[("unserved_gpu_price", |policy| {
    &mut policy.unserved_gpu_price
})];

const AMOUNTS: &[Field<Policy, Money>] = &[
    ("tranche_max", |policy| &mut policy.tranche_max),
    ("tranche_min", |policy| &mut policy.tranche_min),
    ("migration_cost", |policy| &mut policy.migration_cost),
    ("repack_emptied", |policy| &mut policy.repack.emptied),
];

const NUMBERS: &[Field<Policy, u32>] = &[
    ("fee_bp", |policy| &mut policy.fee_bp),
    ("pool_bp", |policy| &mut policy.pool_bp),
    ("max_replicas", |policy| &mut policy.max_replicas),
    ("max_workloads", |policy| &mut policy.max_workloads),
    ("max_keys", |policy| &mut policy.max_keys),
    ("tick_limit", |policy| &mut policy.tick_limit),
    ("plan_headroom_percent", |policy| {
        &mut policy.plan_headroom_percent
    }),
    ("plan_classes_max", |policy| &mut policy.plan_classes_max),
    ("plan_rows_max", |policy| &mut policy.plan_rows_max),
    ("congestion_scale_milli", |policy| {
        &mut policy.congestion_scale_milli
    }),
    ("congestion_steepness_milli", |policy| {
        &mut policy.congestion_steepness_milli
    }),
    ("kin_lift_milli", |policy| &mut policy.kin.lift_milli),
    ("repack_moves", |policy| &mut policy.repack.moves),
    ("repack_look", |policy| &mut policy.repack.look),
    ("site_failed_milli", |policy| {
        &mut policy.kin.site_failed_milli
    }),
    ("replicas_per_standby", |policy| {
        &mut policy.replicas_per_standby
    }),
];

const FLAGS: &[Field<Policy, bool>] =
    &[("processes_allowed", |policy| &mut policy.processes_allowed)];

const LIVENESS_SPANS: &[Field<Settings, Span>] = &[
    ("report_interval", |settings| &mut settings.report_interval),
    ("silence", |settings| &mut settings.silence),
    ("probe_spacing", |settings| &mut settings.probe_spacing),
    ("probe_timeout", |settings| &mut settings.probe_timeout),
    ("lateness", |settings| &mut settings.lateness),
    ("isolation_silence", |settings| {
        &mut settings.isolation_silence
    }),
];

/// Reads `path`.
pub(crate) fn load(path: &Path) -> Result<Policies, PolicyError> {
    let text = fs::read_to_string(path).map_err(|source| PolicyError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(toml_file::read(path, &text, of)?)
}

fn of(reader: &mut Reader<'_>, at: At<'_>) -> Policies {
    reader.only(at, &["network", "liveness"]);
    let mut policies = Policies::default();
    let mut name = String::new();
    if let Some(table) = reader.table(at, "network", &mut name) {
        network(reader, table, &mut policies.network);
    }
    let mut name = String::new();
    if let Some(table) = reader.table(at, "liveness", &mut name) {
        policies.liveness = of_liveness(reader, table);
    }
    policies
}

fn network(reader: &mut Reader<'_>, at: At<'_>, policy: &mut Policy) {
    let known: Vec<&str> = names(SPANS)
        .chain(names(AMOUNTS))
        .chain(names(PRICES))
        .chain(names(NUMBERS))
        .chain(names(FLAGS))
        .collect();
    reader.only(at, &known);
    fill(policy, SPANS, |field| {
        reader.parsed_by(at, field, "30s", span)
    });
    fill(policy, AMOUNTS, |field| reader.parsed(at, field, "5.00"));
    fill(policy, PRICES, |field| reader.parsed(at, field, "40.00"));
    fill(policy, NUMBERS, |field| reader.number(at, field));
    fill(policy, FLAGS, |field| reader.flag(at, field));
}

fn of_liveness(reader: &mut Reader<'_>, at: At<'_>) -> liveness::Policy {
    let known: Vec<&str> = names(LIVENESS_SPANS)
        .chain(["probes", "isolation_nodes"])
        .collect();
    reader.only(at, &known);
    let mut settings = Settings::default();
    fill(&mut settings, LIVENESS_SPANS, |field| {
        reader.parsed_by(at, field, "1500ms", span)
    });
    if let Some(probes) = reader.number(at, "probes") {
        settings.probes = probes;
    }
    if let Some(nodes) = reader.number(at, "isolation_nodes") {
        settings.isolation_nodes = nodes;
    }
    liveness::Policy::try_from(settings).unwrap_or_else(|error| {
        reader.wrong_table(at, error.to_string());
        liveness::Policy::default()
    })
}

fn names<S, T>(fields: &[Field<S, T>]) -> impl Iterator<Item = &'static str> {
    fields.iter().map(|(name, _)| *name)
}

/// Sets the fields that the file names.
fn fill<S, T>(
    whole: &mut S,
    fields: &[Field<S, T>],
    mut read: impl FnMut(&'static str) -> Option<T>,
) {
    for (name, field) in fields {
        if let Some(value) = read(name) {
            *field(whole) = value;
        }
    }
}

fn span(text: &str) -> Result<Span, String> {
    let duration = humantime::parse_duration(text).map_err(|error| {
        format!("`{text}` is no length of time ({error}): write it as 30s or 14d")
    })?;
    Ok(Span::from_millis(
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policies, Faults> {
        toml_file::read(Path::new("policy.toml"), text, of)
    }

    #[test]
    fn what_is_not_said_keeps_its_default() {
        let policies =
            parse("[network]\nslice = \"20s\"\nfee_bp = 0\ntranche_max = \"0.5\"\n").unwrap();
        let expected = Policy {
            slice: Span::from_secs(20),
            fee_bp: 0,
            tranche_max: Money::from_micros(500_000),
            ..Policy::default()
        };
        assert_eq!(policies.network, expected);
        assert_eq!(policies.liveness, liveness::Policy::default());
    }

    #[test]
    fn all_faults_come_together_with_their_lines() {
        let text = "[network]\nslice = 20\nfee_bp = -1\nspeed = 1\n\n[liveness]\nprobes = 0\n";
        let faults = parse(text).unwrap_err().faults;
        let places: Vec<_> = faults
            .iter()
            .map(|fault| (fault.line, fault.field.as_str()))
            .collect();
        let expected = [
            (2, "network.slice"),
            (3, "network.fee_bp"),
            (4, "network.speed"),
            (6, "liveness"),
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn every_field_of_the_policy_can_be_set() {
        let fields = serde_json::to_value(Policy::default()).unwrap();
        let fields = fields.as_object().unwrap().len();
        assert_eq!(
            fields,
            SPANS.len() + AMOUNTS.len() + PRICES.len() + NUMBERS.len() + FLAGS.len()
        );
    }
}
