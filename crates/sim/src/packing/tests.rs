//! The experiment on a small made-up trace: nothing is lost, and all packers play by its rules.

use super::*;
use crate::openb;

/// Machines of three kinds and tasks of many shapes, drawn from a seed.
fn scene(seed: u64) -> Scene {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut machines, mut tasks) = (
        "cpu_milli,memory_mib,gpu,model\n".to_owned(),
        "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n".to_owned(),
    );
    for _ in 0..30 {
        machines += [
            "96000,393216,8,G2\n",
            "104000,524288,2,T4\n",
            "16000,122880,2,P100\n",
        ][rng.random_range(0..3)];
    }
    for _ in 0..400 {
        let (gpus, milli) = [
            (1, 1_000),
            (1, 500),
            (1, 250),
            (2, 1_000),
            (8, 1_000),
            (0, 0),
        ][rng.random_range(0..6)];
        let spec = ["", "", "", "T4", "P100|G2"][rng.random_range(0..5)];
        let cpu = rng.random_range(1..=12) * 1_000;
        let line = [cpu, 4_096, gpus, milli]
            .map(|amount| amount.to_string())
            .join(",");
        tasks = [
            tasks,
            line,
            ",".to_owned(),
            spec.to_owned(),
            "\n".to_owned(),
        ]
        .concat();
    }
    Scene {
        machines: openb::parse_machines(machines.as_bytes()).unwrap(),
        tasks: openb::parse_tasks(tasks.as_bytes()).unwrap(),
    }
}

/// Checks every placement against a book of its own.
struct Audit<'a> {
    packer: &'a mut dyn Packer,
    /// CPU, memory and GPUs left of each machine.
    left: Vec<(u64, u64, Vec<u64>)>,
    classes: Vec<remuda_types::Class>,
}

impl<'a> Audit<'a> {
    fn new(scene: &Scene, packer: &'a mut dyn Packer) -> Self {
        let left = scene.machines.iter().map(|machine| {
            let has = machine.capacity;
            (
                has.cpu_milli,
                has.memory_mib,
                vec![1_000; has.gpus as usize],
            )
        });
        Self {
            packer,
            left: left.collect(),
            classes: scene.machines.iter().map(|machine| machine.class).collect(),
        }
    }
}

fn each_milli(task: &Task, gpus: GpuSet) -> u64 {
    task.shape.gpu_milli / u64::from(gpus.len()).max(1)
}

impl Packer for Audit<'_> {
    fn place(&mut self, task: &Task) -> Option<Placed> {
        let placed = self.packer.place(task)?;
        let (cpu, memory, gpus) = &mut self.left[placed.machine];
        *cpu = cpu.checked_sub(task.shape.cpu_milli).unwrap();
        *memory = memory.checked_sub(task.shape.memory_mib).unwrap();
        for index in placed.gpus.indices() {
            gpus[index] = gpus[index]
                .checked_sub(each_milli(task, placed.gpus))
                .unwrap();
        }
        let asked = task.shape.gpu_milli.div_ceil(1_000);
        assert_eq!(u64::from(placed.gpus.len()), asked);
        let class = &self.classes[placed.machine];
        assert!(asked == 0 || task.classes.is_empty() || task.classes.contains(class));
        Some(placed)
    }

    fn release(&mut self, task: &Task, placed: Placed) {
        let (cpu, memory, gpus) = &mut self.left[placed.machine];
        *cpu += task.shape.cpu_milli;
        *memory += task.shape.memory_mib;
        for index in placed.gpus.indices() {
            gpus[index] += each_milli(task, placed.gpus);
            assert!(gpus[index] <= 1_000);
        }
        self.packer.release(task, placed);
    }
}

fn packers(scene: &Scene, seed: u64) -> Vec<Box<dyn Packer>> {
    let baselines = Baseline::ALL.map(|baseline| baseline.packer(scene, seed));
    let ours: Box<dyn Packer> = Box::new(Ours::new(scene, seed));
    baselines.into_iter().chain([ours]).collect()
}

#[test]
fn nobody_gives_out_what_is_not_there() {
    for seed in 0..5 {
        let scene = scene(seed);
        let arriving = arrivals(&scene, seed, 140);
        for mut packer in packers(&scene, seed) {
            let mut audit = Audit::new(&scene, &mut *packer);
            let [at_70, at_140] = filled(&scene, &arriving, &mut audit, [70, 140]);
            assert!(
                at_70 > 20.0 && at_70 <= at_140 && at_140 <= 100.0,
                "{at_70} {at_140}"
            );
        }
        for mut packer in packers(&scene, seed) {
            let mut audit = Audit::new(&scene, &mut *packer);
            let share = churned(&scene, seed, &mut audit);
            assert!(share > 20.0 && share <= 100.0, "{share}");
        }
    }
}

#[test]
fn tasks_that_no_machine_could_run_are_found() {
    let mut scene = scene(1);
    let rows = [
        "1,1,9,1000,",
        "99999999,1,1,1000,",
        "1,1,1,500,XYZ",
        "1,1,8,1000,G2",
    ];
    let text = format!(
        "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n{}\n",
        rows.join("\n")
    );
    scene.tasks = openb::parse_tasks(text.as_bytes()).unwrap();
    let homeless: Vec<_> = scene.homeless().into_iter().cloned().collect();
    assert_eq!(homeless, scene.tasks[..3]);
}

#[test]
fn as_much_arrives_as_is_wanted_and_the_seed_says_in_which_order() {
    let scene = scene(1);
    let asked = |tasks: &[Task]| tasks.iter().map(|task| task.shape.gpu_milli).sum::<u64>();
    for percent in [20, 130, 400] {
        let tasks = arrivals(&scene, 7, percent);
        let wanted = scene.gpu_milli() * percent / 100;
        assert!(asked(&tasks) <= wanted && asked(&tasks) + 16_000 > wanted);
        assert_eq!(tasks, arrivals(&scene, 7, percent));
        assert_ne!(tasks, arrivals(&scene, 8, percent));
    }
}

#[test]
fn placement_packs_better_than_the_others_here_too() {
    let share = |packer: &dyn Fn(&Scene, u64) -> Box<dyn Packer>| {
        let shares = (0..8).map(|seed| {
            let scene = scene(seed);
            let arriving = arrivals(&scene, seed, 130);
            filled(&scene, &arriving, &mut *packer(&scene, seed), [130])[0]
        });
        shares.sum::<f64>()
    };
    let ours = share(&|scene, seed| Box::new(Ours::new(scene, seed)));
    for baseline in [Baseline::Random, Baseline::BestFit, Baseline::Fgd] {
        let theirs = share(&|scene, seed| baseline.packer(scene, seed));
        assert!(ours > theirs, "{baseline:?}: {ours} {theirs}");
    }
}
