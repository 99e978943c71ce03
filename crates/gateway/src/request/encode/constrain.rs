//! What an output is held to: found and compiled before anything is sent anywhere, so that a schema
//! that cannot be followed is refused by name.

use remuda_tokens::Constraints;
use remuda_tokens::constraint::{Error, check_schema};
use remuda_tokens::tools::{self, Style, Tool};
use remuda_types::Constraint;
use remuda_types::constraint::{MAX_SCHEMA_BYTES, within};
use serde_json::json;

use crate::request::ask::{Form, Toolbox};
use crate::request::refusal::Refusal;

/// The constraint of a request, if it has any.
pub(super) fn constraint(
    constraints: &Constraints,
    tools: Option<(&Toolbox, Style)>,
    form: Option<&Form>,
) -> Result<Option<Constraint>, Refusal> {
    if let Some(form) = form {
        check(constraints, &form.constraint).map_err(|error| of_form(form, &error))?;
    }
    match tools {
        Some((toolbox, style)) => of_tools(constraints, style, toolbox, form).map(Some),
        None => Ok(form.map(|form| form.constraint.clone())),
    }
}

fn of_tools(
    constraints: &Constraints,
    style: Style,
    toolbox: &Toolbox,
    form: Option<&Form>,
) -> Result<Constraint, Refusal> {
    check_schemas(toolbox)?;
    let whole = |tools: &[Tool]| composed(style, tools, toolbox, form);
    let constraint = whole(&toolbox.tools)?;
    if check(constraints, &constraint).is_ok() {
        return Ok(constraint);
    }
    let constraint = whole(&followable(constraints, toolbox)?)?;
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
    composed.map_err(|mixed| {
        let parameter = form.map_or("tools", |form| form.parameter);
        Refusal::parameter(parameter, mixed.to_string())
    })
}

/// What takes too long to compile is refused before it is.
fn check_schemas(toolbox: &Toolbox) -> Result<(), Refusal> {
    for (at, tool) in toolbox.tools.iter().enumerate() {
        let Some(schema) = &tool.parameters else {
            continue;
        };
        let short = within("the schema", &schema.to_string(), MAX_SCHEMA_BYTES);
        short
            .map_err(Error::from)
            .and_then(|()| check_schema(schema))
            .map_err(|error| of_tool(toolbox, at, &error))?;
    }
    Ok(())
}

/// The tools with schemas that can be followed: of a strict tool its own or none.
fn followable(constraints: &Constraints, toolbox: &Toolbox) -> Result<Vec<Tool>, Refusal> {
    let each = toolbox.tools.iter().enumerate().map(|(at, tool)| {
        let schema = Constraint::Schema(tools::arguments(tool).to_string());
        match check(constraints, &schema) {
            Ok(()) => Ok(tool.clone()),
            Err(error) if tool.strict => Err(of_tool(toolbox, at, &error)),
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

fn of_tool(toolbox: &Toolbox, at: usize, error: &Error) -> Refusal {
    Refusal::parameter((toolbox.schema_path)(at), error.to_string())
}
