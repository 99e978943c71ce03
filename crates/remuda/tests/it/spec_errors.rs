//! A malformed spec names the line, the column and the field, and what is expected there.

use crate::program::Program;

/// A spec with nothing wrong in it.
const GOOD: &str = "\
name: chat
tier: multi-site
replicas: 2
resources:
  cpu_milli: 500
  memory_mib: 512
placement:
  countries: [KR, DE]
  max_price_usd_per_hour: \"0.50\"
model:
  name: smollm2
  context_tokens: 1024
tags:
  team: search
";

fn failure(spec: &str) -> String {
    let program = Program::new();
    program.file("app.yaml", spec);
    let said = program.run(&["deploy", "app.yaml", "--dry-run"]);
    said.failure(&program)
}

fn with(line: &str, instead: &str) -> String {
    let spec = GOOD.replace(line, instead);
    assert_ne!(spec, GOOD, "`{line}` is in the spec");
    failure(&spec)
}

#[test]
fn a_good_spec_is_taken() {
    let program = Program::new();
    program.file("app.yaml", GOOD);
    let read = program.json(&["deploy", "app.yaml", "--dry-run"]);
    insta::assert_json_snapshot!(read);
}

#[test]
fn an_unknown_field_is_named_with_the_one_that_was_meant() {
    insta::assert_snapshot!(with("replicas: 2", "replica: 2"));
    insta::assert_snapshot!(with("  cpu_milli: 500", "  zzz: 500"));
}

#[test]
fn a_missing_field_is_named_where_it_should_stand() {
    insta::assert_snapshot!(with("  name: smollm2\n", ""));
    insta::assert_snapshot!(failure("tier: spot\n"));
}

#[test]
fn a_value_of_another_kind_is_named() {
    insta::assert_snapshot!(with("replicas: 2", "replicas: two"));
    insta::assert_snapshot!(with("replicas: 2", "replicas: -2"));
    insta::assert_snapshot!(with(
        "resources:\n  cpu_milli: 500\n  memory_mib: 512",
        "resources: big"
    ));
    insta::assert_snapshot!(with("  team: search", "  - search"));
    insta::assert_snapshot!(with("replicas: 2", "replicas: 4294967296"));
}

#[test]
fn a_word_that_is_not_known_is_named() {
    insta::assert_snapshot!(with("tier: multi-site", "tier: multisite"));
    insta::assert_snapshot!(with("[KR, DE]", "[KR, Germany]"));
}

#[test]
fn what_types_do_not_say_is_found_all_at_once() {
    let spec = GOOD
        .replace("replicas: 2", "replicas: 0")
        .replace("\"0.50\"", "cheap")
        .replace("tags:", "process:\n  command: []\ntags:");
    insta::assert_snapshot!(failure(&spec));
    insta::assert_snapshot!(with(
        "model:\n  name: smollm2\n  context_tokens: 1024\n",
        ""
    ));
}

#[test]
fn shares_that_the_tier_or_the_fabric_does_not_allow_are_named() {
    let shares = |owner: u32, site: u32| {
        let shares = format!("max_owner_share_pct: {owner}\n  max_site_share_pct: {site}");
        with("max_price_usd_per_hour: \"0.50\"", &shares)
    };
    insta::assert_snapshot!(shares(0, 101));
    insta::assert_snapshot!(shares(51, 50));
    let spec = GOOD.replace("tier: multi-site", "tier: standard");
    let gang = "placement:\n  together: fabric\n  max_site_share_pct: 50";
    insta::assert_snapshot!(failure(&spec.replace("placement:", gang)));
}

#[test]
fn one_copy_does_not_keep_what_two_owners_promise() {
    insta::assert_snapshot!(with("replicas: 2\n", ""));
    let said = Program::new().run(&["model", "deploy", "m", "--tier", "multi-site"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("--replicas 1: the tier multi-site")
            && said.stderr.contains("ask for 2 or more"),
        "{}",
        said.stderr
    );
}

#[test]
fn what_is_no_yaml_is_named_by_its_line() {
    insta::assert_snapshot!(with("tier: multi-site", "tier: [multi-site"));
    insta::assert_snapshot!(with("replicas: 2", "replicas: 2\nreplicas: 3"));
    insta::assert_snapshot!(failure(""));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let program = Program::new();
    insta::assert_snapshot!(program.run(&["deploy", "none.yaml"]).failure(&program));
}
