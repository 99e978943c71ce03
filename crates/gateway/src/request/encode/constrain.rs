//! What an output is held to: found and compiled before anything is sent anywhere, so that a schema
//! that cannot be followed is refused by name.

use remuda_tokens::Constraints;
use remuda_tokens::constraint::{Error, check_texts};
use remuda_tokens::tools::{self, Mixed, Style, Tool};
use remuda_types::Constraint;
use remuda_types::constraint::{MAX_SCHEMA_BYTES, within};
use serde_json::json;

use super::Terms;
use crate::request::ask::{Form, Toolbox};
use crate::request::refusal::Refusal;

/// The constraint of a request, if it has any.
pub(super) fn constraint(
    constraints: &Constraints,
    style: Option<Style>,
    terms: &Terms,
) -> Result<Option<Constraint>, Refusal> {
    let form = terms.form.as_ref();
    if let Some(form) = form {
        check(constraints, &form.constraint).map_err(|error| of_form(form, &error))?;
    }
    match (&terms.toolbox, style) {
        (Some(toolbox), Some(style)) => of_tools(constraints, style, toolbox, form).map(Some),
        (Some(_), None) | (None, _) => Ok(form.map(|form| form.constraint.clone())),
    }
}

fn of_tools(
    constraints: &Constraints,
    style: Style,
    toolbox: &Toolbox,
    form: Option<&Form>,
) -> Result<Constraint, Refusal> {
    check_lengths(&toolbox.tools)?;
    let whole = |tools: &[Tool]| composed(style, tools, toolbox, form);
    let constraint = whole(&toolbox.tools)?;
    if check(constraints, &constraint).is_ok() {
        return Ok(constraint);
    }
    let constraint = whole(&followable(constraints, &toolbox.tools)?)?;
    match check(constraints, &constraint) {
        Ok(()) => Ok(constraint),
        Err(error) => Err(Refusal::parameter("tools", error.to_string())),
    }
}

fn composed(
    style: Style,
    tools: &[Tool],
    Toolbox {
        choice, parallel, ..
    }: &Toolbox,
    form: Option<&Form>,
) -> Result<Constraint, Refusal> {
    let answer = form.map(|form| &form.constraint);
    let composed = tools::constraint(style, tools, choice, *parallel, answer);
    composed.map_err(|Mixed| {
        let parameter = form.map_or("tools", |form| form.parameter);
        Refusal::parameter(parameter, Mixed.to_string())
    })
}

/// Regular expressions in schemas take a time that grows with the square of their length.
fn check_lengths(tools: &[Tool]) -> Result<(), Refusal> {
    for (at, tool) in tools.iter().enumerate() {
        let Some(schema) = &tool.parameters else {
            continue;
        };
        let length = within("the schema", &schema.to_string(), MAX_SCHEMA_BYTES);
        length
            .and_then(|()| check_texts(schema))
            .map_err(|error| of_tool(at, &error))?;
    }
    Ok(())
}

/// The tools with schemas that can be followed: of a strict tool its own or none.
fn followable(constraints: &Constraints, tools: &[Tool]) -> Result<Vec<Tool>, Refusal> {
    let each = tools.iter().enumerate().map(|(at, tool)| {
        let schema = Constraint::Schema(tools::arguments(tool).to_string());
        match check(constraints, &schema) {
            Ok(()) => Ok(tool.clone()),
            Err(error) if tool.strict => Err(of_tool(at, &error)),
            Err(_) => Ok(Tool {
                parameters: Some(json!({"type": "object"})),
                ..tool.clone()
            }),
        }
    });
    each.collect()
}

fn check(constraints: &Constraints, constraint: &Constraint) -> Result<(), Error> {
    constraints.compile(constraint, &[]).map(drop)
}

fn of_form(form: &Form, error: &Error) -> Refusal {
    Refusal::parameter(form.parameter, error.to_string())
}

fn of_tool(at: usize, error: &impl ToString) -> Refusal {
    Refusal::parameter(
        format!("tools[{at}].function.parameters"),
        error.to_string(),
    )
}
