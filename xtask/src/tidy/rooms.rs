//! The rooms of the workspace and who may use whom. A new crate gets its row here and in
//! ARCHITECTURE.md in the same change.

/// What kind of crate a room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pure: no clock, IO, randomness or async. May use decide crates only.
    Decide,
    /// Owns sockets, files, processes or clocks.
    Act,
    /// Simulator and tools.
    Prove,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Rooms it may use, besides `types`, which every room may.
    pub(crate) uses: &'static [&'static str],
    /// Rooms that its tests, benches and examples may use as well.
    pub(crate) tests_use: &'static [&'static str],
}

impl Room {
    const fn new(name: &'static str, kind: Kind, uses: &'static [&'static str]) -> Self {
        Self {
            name,
            kind,
            uses,
            tests_use: &[],
        }
    }

    const fn tests_use(mut self, rooms: &'static [&'static str]) -> Self {
        self.tests_use = rooms;
        self
    }

    pub(crate) fn package(&self) -> String {
        match self.name {
            "remuda" | "xtask" => self.name.to_owned(),
            room => format!("remuda-{room}"),
        }
    }

    pub(crate) fn may_use(&self, room: &str) -> bool {
        room == "types" && self.name != "xtask" || self.uses.contains(&room)
    }

    pub(crate) fn tests_may_use(&self, room: &str) -> bool {
        self.may_use(room) || self.tests_use.contains(&room)
    }
}

const DECIDE: &[&str] = &[
    "ledger",
    "placement",
    "planner",
    "network",
    "liveness",
    "assignment",
    "routing",
    "tokens",
    "proof",
];
/// What the command line runs: every act crate, and the simulator with its benchmarks.
const RUN: &[&str] = &[
    "wire", "journal", "link", "control", "node", "engine", "gateway", "checker", "volume", "mesh",
    "wallet", "chain", "sim",
];

/// Act crates never use each other but for `wire` and `journal`: they speak over the wire.
pub(crate) const ROOMS: &[Room] = &[
    Room::new("types", Kind::Decide, &[]),
    Room::new("ledger", Kind::Decide, &[]),
    Room::new("placement", Kind::Decide, &[]),
    Room::new("planner", Kind::Decide, &["placement"]),
    Room::new("network", Kind::Decide, &["ledger", "placement"]),
    Room::new("liveness", Kind::Decide, &[]),
    Room::new("assignment", Kind::Decide, &[]),
    Room::new("routing", Kind::Decide, &[]),
    Room::new("tokens", Kind::Decide, &[]),
    Room::new("proof", Kind::Decide, &[]),
    Room::new("wire", Kind::Act, &[]),
    Room::new("journal", Kind::Act, &[]),
    // The endpoint and framed streams that control, nodes and gateways use alike.
    Room::new("link", Kind::Act, &["wire"]),
    Room::new(
        "control",
        Kind::Act,
        &["network", "planner", "liveness", "journal", "link", "wire"],
    )
    .tests_use(&["ledger", "placement"]),
    Room::new("node", Kind::Act, &["assignment", "link", "proof", "wire"]),
    // Which tokens a constraint allows is decided by the code that the gateway checks it with.
    Room::new("engine", Kind::Act, &["tokens", "wire"]),
    Room::new("gateway", Kind::Act, &["link", "routing", "tokens", "wire"]),
    Room::new("checker", Kind::Act, &["proof", "tokens", "wire"]),
    Room::new("volume", Kind::Act, &["wire"]),
    Room::new("mesh", Kind::Act, &["wire"]),
    Room::new("wallet", Kind::Act, &["wire"]),
    Room::new("chain", Kind::Act, &["wire"]),
    // End-to-end tests read a journal back and hold its state against the decide crates.
    Room::new("remuda", Kind::Act, RUN).tests_use(DECIDE),
    Room::new("sim", Kind::Prove, DECIDE),
    Room::new("xtask", Kind::Prove, &[]),
];

/// The room of a package, if it is one of the workspace.
pub(crate) fn room(package: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.package() == package)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> &'static Room {
        ROOMS
            .iter()
            .find(|room| room.name == name)
            .expect("a row for every name that is used")
    }

    fn reaches(from: &Room, to: &str) -> bool {
        from.uses
            .iter()
            .any(|used| *used == to || reaches(named(used), to))
    }

    #[test]
    fn no_room_reaches_itself() {
        for room in ROOMS {
            assert!(!reaches(room, room.name), "{} uses itself", room.name);
        }
    }

    #[test]
    fn decide_rooms_use_decide_rooms_only() {
        for room in ROOMS.iter().filter(|room| room.kind == Kind::Decide) {
            for used in room.uses {
                assert_eq!(named(used).kind, Kind::Decide, "{} uses {used}", room.name);
            }
        }
    }

    #[test]
    fn the_lists_of_kinds_agree_with_the_rows() {
        assert!(DECIDE.iter().all(|name| named(name).kind == Kind::Decide));
        let act: Vec<_> = RUN.iter().filter(|name| **name != "sim").collect();
        assert!(act.iter().all(|name| named(name).kind == Kind::Act));
        assert_eq!(
            DECIDE.len() + act.len() + 4,
            ROOMS.len(),
            "types, remuda, sim and xtask apart"
        );
    }

    #[test]
    fn packages_are_named_after_rooms() {
        assert_eq!(room("remuda-ledger").expect("a room").name, "ledger");
        assert_eq!(room("remuda").expect("a room").name, "remuda");
        assert!(room("serde").is_none() && room("remuda-remuda").is_none());
    }
}
