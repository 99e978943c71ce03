//! What a spec's types do not say. Control checks it again; here it is found without asking.

use remuda_types::Money;
use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::problem::FieldError;
use remuda_wire::api::workload::ModelSpec;

/// Everything that is wrong.
pub(super) fn check(spec: &WorkloadSpec) -> Vec<FieldError> {
    let checks = [runs_one_thing(spec), replicas(spec), command(spec)];
    let spread = spec.spread_faults();
    let spread = spread.map(|(pointer, detail)| wrong(pointer, detail));
    let checks = checks.into_iter().flatten().chain(spread);
    checks.chain(engine(spec)).chain(amounts(spec)).collect()
}

fn wrong(pointer: &str, detail: impl Into<String>) -> FieldError {
    FieldError {
        pointer: pointer.to_owned(),
        detail: detail.into(),
    }
}

fn runs_one_thing(spec: &WorkloadSpec) -> Option<FieldError> {
    match (&spec.model, &spec.process) {
        (Some(_), Some(_)) => Some(wrong(
            "/process",
            "give either `model` or `process`, not both",
        )),
        (None, None) => Some(wrong("", "nothing to run: give `model` or `process`")),
        (Some(_), None) | (None, Some(_)) => None,
    }
}

fn replicas(spec: &WorkloadSpec) -> Option<FieldError> {
    (spec.replicas == 0).then(|| wrong("/replicas", "at least 1 is expected"))
}

fn command(spec: &WorkloadSpec) -> Option<FieldError> {
    let empty = spec
        .process
        .as_ref()
        .is_some_and(|process| process.command.is_empty());
    empty.then(|| {
        wrong(
            "/process/command",
            "the program and its arguments are expected",
        )
    })
}

/// What no engine can run with.
fn engine(spec: &WorkloadSpec) -> impl Iterator<Item = FieldError> {
    let bounds = |model: &ModelSpec| {
        [
            (
                "/model/context_tokens",
                model.context_tokens,
                ModelSpec::CONTEXT_TOKENS,
            ),
            ("/model/slots", model.slots, ModelSpec::SLOTS),
            ("/model/threads", model.threads, ModelSpec::THREADS),
        ]
    };
    let given = spec.model.iter().flat_map(bounds);
    given
        .filter(|(_, value, bounds)| !bounds.contains(value))
        .map(|(pointer, value, bounds)| {
            let (least, most) = (bounds.start(), bounds.end());
            wrong(pointer, format!("{value}: {least} to {most} is expected"))
        })
}

fn amounts(spec: &WorkloadSpec) -> impl Iterator<Item = FieldError> {
    let model = spec.model.as_ref();
    let amounts = [
        (
            "/placement/max_price_usd_per_hour",
            spec.placement.max_price_usd_per_hour.as_ref(),
        ),
        (
            "/model/prompt_usd_per_million",
            model.map(|model| &model.prompt_usd_per_million),
        ),
        (
            "/model/completion_usd_per_million",
            model.map(|model| &model.completion_usd_per_million),
        ),
    ];
    amounts.into_iter().filter_map(|(pointer, text)| {
        let error = match text?.parse::<Money>() {
            Ok(amount) if amount.is_negative() => "an amount is never negative".to_owned(),
            Ok(_) => return None,
            Err(error) => error.to_string(),
        };
        Some(wrong(pointer, error))
    })
}
