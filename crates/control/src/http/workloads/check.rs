//! A workload spec checked: all that is wrong with it, or what decisions need of it.

mod shares;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use remuda_network::placement::Request;
use remuda_network::state::{Near, TokenPrices};
use remuda_types::{Place, Price, Share, WorkloadKind};
use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::problem::FieldError;
use remuda_wire::api::workload::{ModelSpec, NearSpec, ProcessSpec};

use serde_json::Value;

use super::super::labels::is_plain;
use super::super::problem::Problem;
use super::super::providers::place_error;

/// The most tags, environment variables, classes and countries.
const ENTRIES_MAX: usize = 64;
/// The longest tag, argument or value.
const TEXT_BYTES_MAX: usize = 4_096;

/// The most bytes of a spec as JSON: control holds all of them in memory.
const SPEC_BYTES_MAX: usize = 64 << 10;

/// What decisions need of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: WorkloadKind,
    pub(super) max_price: Option<Price>,
    pub(super) near: Option<Near>,
    pub(super) max_owner_share: Option<Share>,
    pub(super) max_site_share: Option<Share>,
    pub(super) tokens: Option<TokenPrices>,
}

/// What was found wrong so far.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn push(&mut self, pointer: &str, detail: impl Into<String>) {
        self.0.push(FieldError {
            pointer: pointer.to_owned(),
            detail: detail.into(),
        });
    }

    fn expect(&mut self, holds: bool, pointer: &str, detail: &str) {
        if !holds {
            self.push(pointer, detail);
        }
    }

    fn within(&mut self, pointer: &str, value: u32, bounds: &RangeInclusive<u32>) {
        if !bounds.contains(&value) {
            let (least, most) = (bounds.start(), bounds.end());
            self.push(pointer, format!("{value}: {least} to {most} is expected"));
        }
    }

    fn price(&mut self, pointer: &str, text: &str) -> Option<Price> {
        match text.parse() {
            Ok(price) => Some(price),
            Err(error) => {
                let error: remuda_types::MoneyError = error;
                self.push(pointer, error.to_string());
                None
            }
        }
    }
}

/// Checks a spec; a problem names every field that is wrong.
pub(super) fn checked(spec: &WorkloadSpec) -> Result<Asked, Problem> {
    let mut errors = Errors::default();
    let detail = "1 to 63 of a-z, 0-9, `-` and `.`, a letter or digit first, are expected";
    errors.expect(is_plain(&spec.name, b""), "/name", detail);
    errors.expect(
        spec.replicas > 0,
        "/replicas",
        "0: at least one is expected",
    );
    if let Err(error) = Request::new(spec.resources) {
        errors.push("/resources", error.to_string());
    }
    let placement = &spec.placement;
    let few = placement.classes.len().max(placement.countries.len()) <= ENTRIES_MAX;
    errors.expect(
        few,
        "/placement",
        "at most 64 classes and 64 countries are expected",
    );
    let max_price = placement
        .max_price_usd_per_hour
        .as_deref()
        .and_then(|text| errors.price("/placement/max_price_usd_per_hour", text));
    let near = placement.near.and_then(|spec| near(&mut errors, spec));
    let [max_owner_share, max_site_share] = shares::shares(&mut errors, spec);
    texts(&mut errors, "/tags", &spec.tags);
    let (kind, tokens) = runtime(&mut errors, spec);
    size(&mut errors, spec);
    if errors.0.is_empty() {
        Ok(Asked {
            kind,
            max_price,
            near,
            max_owner_share,
            max_site_share,
            tokens,
        })
    } else {
        Err(Problem::fields(errors.0))
    }
}

fn near(errors: &mut Errors, spec: NearSpec) -> Option<Near> {
    match Place::from_degrees(spec.latitude, spec.longitude) {
        Ok(place) => Some(Near {
            place,
            max_distance_km: spec.max_distance_km,
        }),
        Err(error) => {
            errors.0.push(place_error("/placement/near", &error));
            None
        }
    }
}

fn runtime(errors: &mut Errors, spec: &WorkloadSpec) -> (WorkloadKind, Option<TokenPrices>) {
    match (&spec.model, &spec.process) {
        (Some(spec), None) => (WorkloadKind::Model, model(errors, spec)),
        (None, Some(spec)) => {
            process(errors, spec);
            (WorkloadKind::Service, None)
        }
        (Some(_), Some(_)) => {
            errors.push(
                "/process",
                "model is given, too: exactly one of them is expected",
            );
            (WorkloadKind::Model, None)
        }
        (None, None) => {
            errors.push(
                "/model",
                "neither model nor process is given: one of them is expected",
            );
            (WorkloadKind::Model, None)
        }
    }
}

fn model(errors: &mut Errors, spec: &ModelSpec) -> Option<TokenPrices> {
    errors.within(
        "/model/context_tokens",
        spec.context_tokens,
        &ModelSpec::CONTEXT_TOKENS,
    );
    errors.within("/model/slots", spec.slots, &ModelSpec::SLOTS);
    errors.within("/model/threads", spec.threads, &ModelSpec::THREADS);
    let prompt = errors.price(
        "/model/prompt_usd_per_million",
        &spec.prompt_usd_per_million,
    );
    let completion = errors.price(
        "/model/completion_usd_per_million",
        &spec.completion_usd_per_million,
    );
    Some(TokenPrices {
        prompt_micros_per_million: prompt?.micros_per_hour(),
        completion_micros_per_million: completion?.micros_per_hour(),
    })
}

fn process(errors: &mut Errors, spec: &ProcessSpec) {
    let program = spec
        .command
        .first()
        .is_some_and(|program| !program.is_empty());
    errors.expect(
        program,
        "/process/command",
        "the program to run is expected",
    );
    let fit = |text: &String| text.len() <= TEXT_BYTES_MAX && !text.contains('\0');
    let arguments = spec.command.len() <= ENTRIES_MAX && spec.command.iter().all(fit);
    let detail = "at most 64 arguments of at most 4,096 bytes, without NUL, are expected";
    errors.expect(arguments, "/process/command", detail);
    texts(errors, "/process/env", &spec.env);
    let named = spec.env.keys().all(|name| !name.contains('='));
    errors.expect(named, "/process/env", "names without `=` are expected");
    errors.expect(
        spec.port != Some(0),
        "/process/port",
        "0: 1 to 65535 is expected",
    );
    if let Some(path) = &spec.health_path {
        errors.expect(
            spec.port.is_some(),
            "/process/health_path",
            "a port is needed with it",
        );
        errors.expect(
            path.starts_with('/'),
            "/process/health_path",
            "a path begins with `/`",
        );
    }
}

/// Refuses a spec that is too large, naming what takes the most of it.
fn size(errors: &mut Errors, spec: &WorkloadSpec) {
    let json = serde_json::to_value(spec).unwrap_or_default();
    let bytes = json.to_string().len();
    if bytes > SPEC_BYTES_MAX {
        let detail = format!("the spec has {bytes} bytes, at most {SPEC_BYTES_MAX} are expected");
        errors.push(&largest(&json), detail);
    }
}

/// A pointer to the field of a field that takes the most.
fn largest(json: &Value) -> String {
    let field = |of: &Value| {
        let fields = of.as_object().into_iter().flatten();
        let largest = fields.max_by_key(|(_, value)| value.to_string().len());
        largest.map(|(name, value)| (name.clone(), value.clone()))
    };
    let Some((outer, within)) = field(json) else {
        return String::new();
    };
    // The names below tags are the tenant's own.
    match field(&within).filter(|_| outer != "tags") {
        Some((inner, _)) => format!("/{outer}/{inner}"),
        None => format!("/{outer}"),
    }
}

fn texts(errors: &mut Errors, pointer: &str, texts: &BTreeMap<String, String>) {
    let fit = |text: &String| text.len() <= TEXT_BYTES_MAX && !text.contains('\0');
    let all_fit = texts
        .iter()
        .all(|(key, value)| !key.is_empty() && fit(key) && fit(value));
    let detail = "at most 64 entries of at most 4,096 bytes, without NUL, are expected";
    errors.expect(texts.len() <= ENTRIES_MAX && all_fit, pointer, detail);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(json: serde_json::Value) -> Vec<String> {
        let spec: WorkloadSpec = serde_json::from_value(json).unwrap();
        let problem = checked(&spec).map(|_| ()).unwrap_err();
        problem
            .errors()
            .iter()
            .map(|error| error.pointer.clone())
            .collect()
    }

    #[test]
    fn a_good_spec_gives_what_decisions_need() {
        let spec = serde_json::json!({
            "name": "chat.v1", "model": {"name": "tiny", "prompt_usd_per_million": "0.10"},
            "placement": {"max_price_usd_per_hour": "1.5"},
        });
        let asked = checked(&serde_json::from_value(spec).unwrap()).unwrap();
        assert_eq!(asked.kind, WorkloadKind::Model);
        assert_eq!(
            asked.max_price,
            Some(Price::from_micros_per_hour(1_500_000))
        );
        let tokens = asked.tokens.unwrap();
        assert_eq!(
            (
                tokens.prompt_micros_per_million,
                tokens.completion_micros_per_million
            ),
            (100_000, 0)
        );
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let found = pointers(serde_json::json!({
            "name": "Chat", "replicas": 0, "resources": {"gpu_memory_mib": 1},
            "placement": {
                "max_price_usd_per_hour": "cheap",
                "near": {"latitude": 91.0, "longitude": 0.0, "max_distance_km": 1},
            },
            "model": {"name": "tiny", "slots": 0, "completion_usd_per_million": "-1"},
        }));
        assert_eq!(
            found,
            [
                "/name",
                "/replicas",
                "/resources",
                "/placement/max_price_usd_per_hour",
                "/placement/near/latitude",
                "/model/slots",
                "/model/completion_usd_per_million",
            ]
        );
    }

    #[test]
    fn one_fabric_and_sites_apart_are_not_asked_together() {
        let spec = |tier: &str| {
            serde_json::json!({
                "name": "a", "model": {"name": "tiny"}, "tier": tier, "replicas": 2,
                "placement": {"together": "fabric"},
            })
        };
        assert_eq!(pointers(spec("multi-site")), ["/placement/together"]);
        let gang = serde_json::from_value(spec("enterprise")).unwrap();
        assert!(checked(&gang).is_ok());
    }

    #[test]
    fn a_spec_that_is_too_large_names_what_is_large() {
        let many = |bytes: usize| -> BTreeMap<String, String> {
            let entry = |n| (format!("k{n}"), "x".repeat(bytes / 60));
            (0..60).map(entry).collect()
        };
        let spec = |tags: usize, env: usize| {
            serde_json::json!({
                "name": "a", "tags": many(tags),
                "process": {"command": ["true"], "env": many(env)},
            })
        };
        assert_eq!(pointers(spec(60_000, 30_000)), ["/tags"]);
        assert_eq!(pointers(spec(30_000, 60_000)), ["/process/env"]);
        let fit = serde_json::from_value(spec(30_000, 30_000)).unwrap();
        assert!(checked(&fit).is_ok());
    }

    #[test]
    fn what_no_engine_can_run_with_is_named() {
        let model = |field: &str, value: u32| {
            let mut spec = serde_json::json!({"name": "a", "model": {"name": "tiny"}});
            spec["model"][field] = value.into();
            spec
        };
        for (field, value) in [("slots", 65), ("context_tokens", 1), ("threads", 513)] {
            assert_eq!(pointers(model(field, value)), [format!("/model/{field}")]);
        }
    }

    #[test]
    fn exactly_one_runtime_is_expected() {
        assert_eq!(pointers(serde_json::json!({"name": "a"})), ["/model"]);
        let both = serde_json::json!({
            "name": "a", "model": {"name": "tiny"}, "process": {"command": ["true"]},
        });
        assert_eq!(pointers(both), ["/process"]);
        let process = serde_json::json!({
            "name": "a", "process": {"command": [], "env": {"A=B": "c"}, "health_path": "x"},
        });
        assert_eq!(
            pointers(process),
            [
                "/process/command",
                "/process/env",
                "/process/health_path",
                "/process/health_path",
            ]
        );
    }
}
