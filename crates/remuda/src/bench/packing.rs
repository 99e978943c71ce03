//! `remuda bench packing`: how much of a recorded cluster's GPUs placement sells, beside others.

use std::path::PathBuf;
use std::thread;

use remuda_sim::openb::{self, Published, Task, Variant};
use remuda_sim::packing::{Baseline, Ours, Packer, Scene, arrivals, churned, filled};
use serde::Serialize;

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::table::Table;

/// Packing: a recorded cluster filled by placement, by FGD and by others
///
/// Reads the `openb` trace: `openb_node_list_gpu_node.csv` and `openb_pod_list_*.csv`, plain or
/// gzipped. They are in data/csv of the repository hkust-adsl/kubernetes-scheduler-simulator.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the trace
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only these lists of tasks, as in `openb_pod_list_NAME.csv` [default: all there are]
    #[arg(long = "variant", value_name = "NAME", value_delimiter = ',')]
    variants: Vec<String>,
    /// How many orders of arrival to average over
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
}

/// The percentages of the cluster's GPUs that have arrived when the share is taken.
const MARKS: [u64; 2] = [100, 130];
/// More arrives than the last mark, so that it is passed.
const ARRIVING_PERCENT: u64 = 131;
/// The first seed, so that runs of any length begin alike.
const FIRST_SEED: u64 = 42;

/// What one list of tasks showed: percent of the GPUs allocated.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    bench: &'static str,
    variant: String,
    seeds: u64,
    tasks: usize,
    /// Of these, those that fit no node of the cluster, even of an empty one.
    tasks_without_node: usize,
    at100: f64,
    at130: f64,
    fgd_at100: f64,
    fgd_at130: f64,
    best_fit_at130: f64,
    first_fit_at130: f64,
    dot_product_at130: f64,
    clustering_at130: f64,
    packing_at130: f64,
    random_at130: f64,
    /// With departures, 110 % asked for all along.
    churn: f64,
    fgd_churn: f64,
    best_fit_churn: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fgd_published_at100: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fgd_published_at130: Option<f64>,
}

/// Somebody who packs, made anew for every seed.
type Make<'a> = &'a (dyn Fn(u64) -> Box<dyn Packer> + Sync);

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let scenes = scenes(args)?;
    let published = openb::published(&args.data)?;
    tell_of_homeless(&scenes, context);
    let bar = progress::count(context.output, "packing", scenes.len() as u64);
    let mut all = Vec::new();
    for (variant, scene) in &scenes {
        let figures = measure(&variant.name, scene, args.seeds, &published);
        if context.output.is_json() {
            context.output.item(&figures, |_| String::new())?;
        }
        all.push(figures);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if context.output.is_json() {
        return Ok(());
    }
    Ok(context.output.table(&all, |all| table(all))?)
}

fn chosen(args: &Args) -> anyhow::Result<Vec<Variant>> {
    let found = openb::variants(&args.data)?;
    let names: Vec<_> = found.iter().map(|variant| variant.name.as_str()).collect();
    if let Some(unknown) = args
        .variants
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        let message = format!(
            "--variant {unknown}: {} has no such list of tasks",
            args.data.display()
        );
        let way_out = format!("name one of {}", names.join(", "));
        return Err(Failure::new(Exit::Usage, message, way_out).into());
    }
    let wanted =
        |variant: &Variant| args.variants.is_empty() || args.variants.contains(&variant.name);
    Ok(found.into_iter().filter(wanted).collect())
}

/// What is to be packed, list by list: all of it is read before any is packed.
fn scenes(args: &Args) -> anyhow::Result<Vec<(Variant, Scene)>> {
    let variants = chosen(args)?;
    let machines = openb::machines(&args.data)?;
    let scenes = variants.into_iter().map(|variant| {
        let scene = Scene {
            machines: machines.clone(),
            tasks: openb::tasks(&variant.path)?,
        };
        check_fit(&variant, &scene)?;
        Ok((variant, scene))
    });
    scenes.collect()
}

/// Refuses a list of which no GPU can be sold on this cluster.
fn check_fit(variant: &Variant, scene: &Scene) -> Result<(), Failure> {
    let asks_gpus = |task: &&Task| task.shape.gpu_milli > 0;
    let asking = scene.tasks.iter().filter(asks_gpus).count();
    let homeless = scene.homeless().into_iter().filter(asks_gpus).count();
    if homeless < asking {
        return Ok(());
    }
    let message = format!(
        "{}: none of its tasks with GPUs fits any node of the cluster, even an empty one",
        variant.path.display()
    );
    let way_out = "give tasks and nodes of one cluster: no task may ask for more CPU, memory or \
                   GPUs than one node has, or for a model that none has";
    Err(Failure::new(Exit::Usage, message, way_out))
}

fn tell_of_homeless(scenes: &[(Variant, Scene)], context: &Context) {
    for (variant, scene) in scenes {
        let (homeless, all) = (scene.homeless().len(), scene.tasks.len());
        if homeless > 0 {
            let name = &variant.name;
            context.output.note(&format!(
                "{name}: {homeless} of {all} tasks fit no node, even an empty one"
            ));
        }
    }
}

fn measure(variant: &str, scene: &Scene, seeds: u64, published: &[Published]) -> Figures {
    let fill = |make: Make<'_>| {
        mean(seeds, |seed| {
            let arriving = arrivals(scene, seed, ARRIVING_PERCENT);
            filled(scene, &arriving, &mut *make(seed), MARKS)
        })
    };
    let churn = |make: Make<'_>| mean(seeds, |seed| [churned(scene, seed, &mut *make(seed))])[0];
    let of = |baseline: Baseline| move |seed| baseline.packer(scene, seed);
    let ours = |seed| -> Box<dyn Packer> { Box::new(Ours::new(scene, seed)) };
    let [at100, at130] = fill(&ours);
    let [fgd_at100, fgd_at130] = fill(&of(Baseline::Fgd));
    let at130_of = |baseline| fill(&of(baseline))[1];
    let theirs = published.iter().find(|row| row.is_fgd_on(variant));
    Figures {
        bench: "packing",
        variant: variant.to_owned(),
        seeds,
        tasks: scene.tasks.len(),
        tasks_without_node: scene.homeless().len(),
        at100,
        at130,
        fgd_at100,
        fgd_at130,
        best_fit_at130: at130_of(Baseline::BestFit),
        first_fit_at130: at130_of(Baseline::FirstFit),
        dot_product_at130: at130_of(Baseline::DotProduct),
        clustering_at130: at130_of(Baseline::Clustering),
        packing_at130: at130_of(Baseline::Packing),
        random_at130: at130_of(Baseline::Random),
        churn: churn(&ours),
        fgd_churn: churn(&of(Baseline::Fgd)),
        best_fit_churn: churn(&of(Baseline::BestFit)),
        fgd_published_at100: theirs.map(|row| row.at100),
        fgd_published_at130: theirs.map(|row| row.at130),
    }
}

/// The means over all seeds, to a hundredth, worked out on all cores.
fn mean<const N: usize>(seeds: u64, of: impl Fn(u64) -> [f64; N] + Sync) -> [f64; N] {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let of = &of;
    let runs: Vec<[f64; N]> = thread::scope(|scope| {
        let part = |first: usize| {
            let mine = (FIRST_SEED..FIRST_SEED + seeds)
                .skip(first)
                .step_by(threads);
            scope.spawn(move || mine.map(of).collect::<Vec<_>>())
        };
        let parts: Vec<_> = (0..threads).map(part).collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_default())
            .collect()
    });
    std::array::from_fn(|at| {
        let sum: f64 = runs.iter().map(|run| run[at]).sum();
        let count = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        (sum / f64::from(count.max(1)) * 100.0).round() / 100.0
    })
}

fn table(all: &[Figures]) -> Table {
    let headers = [
        "VARIANT",
        "AT 100",
        "FGD",
        "AT 130",
        "FGD",
        "BEST FIT",
        "CHURN",
        "FGD",
        "BEST FIT",
        "FGD PUBLISHED",
    ];
    let percent = |share: f64| format!("{share:.2}");
    let rows = all.iter().map(|of| {
        let published = of.fgd_published_at100.zip(of.fgd_published_at130);
        [
            of.variant.clone(),
            percent(of.at100),
            percent(of.fgd_at100),
            percent(of.at130),
            percent(of.fgd_at130),
            percent(of.best_fit_at130),
            percent(of.churn),
            percent(of.fgd_churn),
            percent(of.best_fit_churn),
            published.map_or("-".to_owned(), |(at100, at130)| {
                format!("{at100:.2} / {at130:.2}")
            }),
        ]
    });
    Table::new(headers).rows(rows)
}
