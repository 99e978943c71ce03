//! Scenarios that are read, and those that are refused.

use proptest::prelude::*;

use super::*;

#[test]
fn every_shipped_scenario_can_be_read() {
    for Shipped { name, text } in shipped() {
        let scenario = Scenario::read(name, text).unwrap();
        assert_ne!(
            scenario.about,
            Scenario::default().about,
            "{name} says what it is about"
        );
    }
}

#[test]
fn each_refusal_names_its_field_and_the_way_out() {
    let refused = |text: &str| Scenario::read("mine.toml", text).unwrap_err().to_string();
    assert_eq!(refused("gpus = 0"), "gpus is 0: 1 to 2000000 is expected");
    assert_eq!(
        refused("days = 9999"),
        "days is 9999: 1 to 3660 is expected"
    );
    assert!(refused("gpu = 5").contains("unknown field `gpu`"));
    assert!(refused("[failures]\nrestarts = 1.5").contains("1.5 is no share: 0 to 1 is expected"));
    assert!(refused("[failures]\ngpu_hours = nan").contains("failures.gpu_hours is NaN"));
    assert!(refused("[pace]\nstart = \"soon\"").contains("`soon` is no length of time"));
    assert!(refused("[demand]\nload = 0.99").contains("demand.load is 0.99: at most 0.95"));
    assert!(refused("[demand]\nstandard = 0.9\nenterprise = 0.9").contains("make up"));
    assert!(refused("[demand]\nservices = []").contains("demand.services is none"));
    assert!(refused("days = 1\ncalm = \"2days\"").contains("calm is 172800.000 s: shorter than"));
    assert!(refused("[outages]\nper_group_year = 1.0").contains("outages.group_sites is 0"));
    assert!(refused("[wires]\nlost = 0.1").contains("only where wires.every_report is true"));
    assert!(refused("[clocks]\ndrift_ppm = 200000").contains("clocks.drift_ppm is 200000"));
    assert!(refused("[demand]\norders_per_day = -1.0").contains("demand.orders_per_day is -1"));
    assert!(refused("[demand]\nscales_per_day = 1e9").contains("at most 1000000 in a day"));
    assert!(refused("[demand]\nspare = 4294967295").contains("demand.spare with services.needs"));
    assert!(refused("[wires]\nlate = \"1000000years\"").contains("at most a hundred years"));
    assert!(refused("= 1").starts_with("mine.toml: TOML parse error at line 1"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _answer = Scenario::read("any", &text);
    }

    #[test]
    fn any_value_is_read_or_refused(
        field in proptest::sample::select(vec!["gpus", "days", "failures.gpu_hours", "demand.load", "pace.start", "cuts"]),
        value in "[-+.0-9a-z\"\\[\\]]{0,12}",
    ) {
        let _answer = Scenario::read("any", &format!("{field} = {value}"));
    }
}
