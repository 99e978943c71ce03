//! A world that lives through a random history.

use remuda_network::Command;
use remuda_network::command::ObservedPhase;
use remuda_types::{Span, Time};

use super::names::Names;
use super::step::Step;
use crate::world::{World, command_id, lax};

/// A world that is not empty: three owners, a node of each, and money.
pub(super) fn furnished() -> World {
    let mut world = World::new(lax());
    for n in 0..3 {
        world.node(n, "1.00");
    }
    world.project(0, "50.00");
    world.project(1, "0.10");
    world
}

fn send(world: &mut World, id: u64, at: Time, command: &Command) {
    let before = world.state().clone();
    let is_tick = matches!(command, Command::Tick { .. });
    match world.send(command_id(at, 1_000_000 + id), command) {
        Ok(_) => {}
        Err(refusal) => {
            assert!(
                !is_tick || world.state().policy.id_window < world.now.since(at),
                "{refusal}"
            );
            assert!(
                *world.state() == before,
                "a refused command changed something"
            );
        }
    }
}

pub(super) fn live(world: &mut World, history: &[Step]) {
    let mut sent: Vec<(u64, Time, Command)> = Vec::new();
    for (n, step) in history.iter().enumerate() {
        let n = n as u64;
        match step {
            Step::Do(ask, first, second) => {
                let (first, second) = (*first, *second);
                let state = world.state();
                let names = Names {
                    state,
                    first,
                    second,
                };
                let command = names.command((**ask).clone(), world.now);
                send(world, n, world.now, &command);
                sent.push((n, world.now, command));
            }
            Step::Again(index) if !sent.is_empty() => {
                let (n, at, command) = index.get(&sent).clone();
                send(world, n, at, &command);
            }
            Step::Again(_) => {}
            Step::Wait(ms) => world.wait(Span::from_millis(*ms)),
            Step::AllSee(observed) => all_see(world, *observed),
        }
    }
}

fn all_see(world: &mut World, observed: ObservedPhase) {
    let leases: Vec<_> = world
        .state()
        .leases
        .iter()
        .map(|(id, l)| (*id, l.node, l.epoch))
        .collect();
    for (lease, node, epoch) in leases {
        let seen = Command::ObserveReplica {
            node,
            lease,
            epoch,
            observed,
            since: world.now,
        };
        let _taken = world.try_run(&seen).is_ok();
    }
}

/// Ticks until nothing is due; each tick gets further, so this ends.
pub(super) fn settle_down(world: &mut World) {
    for _ in 0..10_000 {
        if world
            .network
            .index()
            .next_due()
            .is_none_or(|due| due > world.now)
        {
            return;
        }
        world.run(Command::Tick { adopting: false });
    }
    panic!(
        "the clock runs on the spot: {:?}",
        world.network.index().due(world.now).collect::<Vec<_>>()
    );
}
