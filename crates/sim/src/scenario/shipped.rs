//! The scenarios that come with the program.

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its name.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

const fn scenario(name: &'static str, text: &'static str) -> Shipped {
    Shipped { name, text }
}

const ALL: &[Shipped] = &[
    scenario("calm", include_str!("../../scenarios/calm.toml")),
    scenario("published", include_str!("../../scenarios/published.toml")),
    scenario(
        "ten-times-worse",
        include_str!("../../scenarios/ten-times-worse.toml"),
    ),
    scenario(
        "site-outages",
        include_str!("../../scenarios/site-outages.toml"),
    ),
    scenario(
        "shared-fate",
        include_str!("../../scenarios/shared-fate.toml"),
    ),
    scenario("exit", include_str!("../../scenarios/exit.toml")),
    scenario("big-exit", include_str!("../../scenarios/big-exit.toml")),
    scenario(
        "price-shock",
        include_str!("../../scenarios/price-shock.toml"),
    ),
    scenario(
        "region-cut",
        include_str!("../../scenarios/region-cut.toml"),
    ),
    scenario("storm", include_str!("../../scenarios/storm.toml")),
];

/// All of them.
pub const fn shipped() -> &'static [Shipped] {
    ALL
}
