//! A run as one page that needs nothing else: its figures and plots.

use std::error::Error as StdError;

use minijinja::{Environment, context};
use plotters::prelude::*;
use remuda_sim::run::{Day, Outcome};
use remuda_types::Tier;

use super::rows::{self, Row, Run};
use crate::table::Table;

/// The size of a plot, in pixels.
const SIZE: (u32, u32) = (860, 260);

/// One line of a plot.
struct Line {
    name: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// The page.
pub(super) fn page((run, tiers): (&Run, &[Row]), outcome: &Outcome) -> anyhow::Result<String> {
    let plots = [
        (
            "Time that was not delivered, in parts per million of each day",
            undelivered(outcome),
        ),
        (
            "Nodes that are not there as the day ends",
            vec![nodes_ill(outcome)],
        ),
        (
            "Leases lost with their node or provider, each day",
            vec![leases_lost(outcome)],
        ),
    ];
    let mut drawn = Vec::new();
    for (title, lines) in plots {
        drawn.push((
            title,
            plot(&lines).map_err(|error| anyhow::anyhow!("{error}"))?,
        ));
    }
    let mut tables = vec![("Service", cells(Row::table(tiers)))];
    let redundancy = Row::redundancy(tiers).map(cells);
    tables.extend(redundancy.map(|cells| ("What redundancy costs", cells)));
    tables.push(("Downtime by cause", cells(rows::causes(outcome))));
    let mut environment = Environment::new();
    environment.add_template("report.html", include_str!("report.html"))?;
    let page = environment.get_template("report.html")?;
    Ok(page.render(context! {
        about => &run.about, scenario => &run.scenario, seed => run.seed, days => run.days,
        facts => run.facts(), tables, plots => drawn, version => env!("CARGO_PKG_VERSION"),
    })?)
}

fn cells(table: Table) -> Vec<Vec<String>> {
    table.into_cells()
}

fn undelivered(outcome: &Outcome) -> Vec<Line> {
    let colors = [
        (Tier::MultiSite, RGBColor(0, 114, 178)),
        (Tier::Enterprise, RGBColor(0, 158, 115)),
        (Tier::Standard, RGBColor(230, 159, 0)),
        (Tier::Spot, RGBColor(150, 150, 150)),
    ];
    let missing = |day: &Day, tier| {
        let delivered = day.delivered.get(&tier);
        delivered.map_or(0.0, |tally| (1.0 - tally.availability()) * 1e6)
    };
    let line = |(tier, color): (Tier, RGBColor)| Line {
        name: tier.to_string(),
        color,
        points: by_day(outcome, |day| missing(day, tier)),
    };
    // Of what was never delivered nothing was missing on any day.
    let delivered = |(tier, _): &(Tier, RGBColor)| outcome.of(*tier).units > 0;
    colors.into_iter().filter(delivered).map(line).collect()
}

fn nodes_ill(outcome: &Outcome) -> Line {
    Line {
        name: "nodes".to_owned(),
        color: RGBColor(213, 94, 0),
        points: by_day(outcome, |day| count(day.nodes_ill as u64)),
    }
}

fn leases_lost(outcome: &Outcome) -> Line {
    Line {
        name: "leases".to_owned(),
        color: RGBColor(204, 121, 167),
        points: by_day(outcome, |day| count(day.leases_lost)),
    }
}

fn by_day(outcome: &Outcome, value: impl Fn(&Day) -> f64) -> Vec<(f64, f64)> {
    outcome
        .by_day
        .iter()
        .map(|day| (count(day.day), value(day)))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
const fn count(count: u64) -> f64 {
    count as f64
}

fn plot(lines: &[Line]) -> Result<String, Box<dyn StdError + Send + Sync>> {
    let mut svg = String::new();
    draw(&mut svg, lines).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(svg: &mut String, lines: &[Line]) -> Result<(), Box<dyn StdError>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, 0.0..most * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("day")
        .light_line_style(WHITE)
        .draw()?;
    for line in lines {
        let color = line.color;
        chart
            .draw_series(LineSeries::new(
                line.points.iter().copied(),
                color.stroke_width(2),
            ))?
            .label(line.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .draw()?;
    }
    area.present()?;
    Ok(())
}
