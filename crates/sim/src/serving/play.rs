//! The world under its clock: requests come, replicas step, and the rule is told.

use super::outcome::Outcome;
use super::replica::Replica;
use super::rule::{Router, Rule};
use super::scene::Scene;

struct Play<'a> {
    scene: &'a Scene,
    router: Box<dyn Router>,
    replicas: Vec<Replica>,
    outcome: Outcome,
}

/// What happens next.
enum Next {
    Comes(usize),
    Steps(usize),
}

pub(super) fn play(scene: &Scene, rule: Rule) -> Outcome {
    let replicas = scene.settings.replicas.max(1);
    let mut play = Play {
        scene,
        router: rule.router(scene),
        replicas: (0..replicas)
            .map(|_| Replica::new(scene.settings.hardware))
            .collect(),
        outcome: Outcome::default(),
    };
    let mut came = 0;
    while let Some((now_ns, next)) = play.next(came) {
        match next {
            Next::Comes(job) => {
                came += 1;
                play.router.came(job);
            }
            Next::Steps(replica) => play.step(replica, now_ns),
        }
        play.hand_out(now_ns);
        play.begin(now_ns);
    }
    play.outcome.sorted()
}

impl Play<'_> {
    /// Whatever is first: steps before arrivals, so that who comes finds what is free.
    fn next(&self, came: usize) -> Option<(u64, Next)> {
        let steps = self.replicas.iter().enumerate();
        let steps = steps.filter_map(|(at, replica)| Some((replica.ends_ns?, at)));
        let step = steps.min();
        let comes = self.scene.jobs.get(came).map(|job| job.at_ns);
        match (step, comes) {
            (Some((ends, at)), comes) if comes.is_none_or(|comes| ends <= comes) => {
                Some((ends, Next::Steps(at)))
            }
            (_, comes) => comes.map(|comes| (comes, Next::Comes(came))),
        }
    }

    fn step(&mut self, replica: usize, now_ns: u64) {
        let jobs = &self.scene.jobs;
        let stepped = self.replicas[replica].end(jobs);
        for job in stepped.spoke {
            self.outcome.first_token(now_ns - jobs[job].at_ns);
            self.router.spoke(job, replica);
        }
        for (job, found) in stepped.ended {
            self.outcome.prompt_tokens += u64::from(jobs[job].prompt);
            self.outcome.cached_tokens += u64::from(found);
            self.router.ended((job, found), replica, jobs, now_ns);
        }
    }

    fn hand_out(&mut self, now_ns: u64) {
        while let Some((job, replica)) = self.router.next(&self.scene.jobs, now_ns) {
            self.replicas[replica].take(job);
        }
    }

    /// Replicas that have something to do begin their next step, with what was handed out meanwhile.
    fn begin(&mut self, now_ns: u64) {
        for replica in &mut self.replicas {
            replica.begin(now_ns, &self.scene.jobs);
        }
    }
}
