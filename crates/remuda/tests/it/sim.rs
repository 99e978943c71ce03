//! `remuda sim`: what it prints, what it writes, and what it refuses.

use std::fs;

use rusqlite::Connection;
use serde_json::Value;

use crate::against_control::Network;
use crate::program::Program;

/// A small network for two days.
const SMALL: [&str; 10] = [
    "sim",
    "--gpus",
    "3000",
    "--site-gpus",
    "60",
    "--days",
    "2",
    "--seed",
    "7",
    "--scenario",
];

fn sim(program: &Program, scenario: &str, more: &[&str]) -> Vec<Value> {
    let arguments = [&SMALL[..], &[scenario], more, &["--json"]].concat();
    let said = program.run(&arguments);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let lines = said.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn each_tier_has_a_line_and_the_run_has_the_last() {
    let lines = sim(&Program::new(), "ten-times-worse", &[]);
    let tiers: Vec<_> = lines
        .iter()
        .filter_map(|line| line["tier"].as_str())
        .collect();
    assert_eq!(tiers, ["multi-site", "enterprise", "standard", "spot"]);
    let multi_site = &lines[0];
    assert_eq!(multi_site["promised"], 0.9999);
    assert!(multi_site["delivered"].as_f64().unwrap() > 0.999);
    assert!(multi_site["cost_ratio"].as_f64().unwrap() > 1.0);
    assert!(multi_site["by_replicas"]["12"]["units"].as_u64().unwrap() > 0);
    let run = lines.last().unwrap();
    assert_eq!(
        (run["sim"].as_str(), run["gpus"].as_u64()),
        (Some("run"), Some(3_000))
    );
    assert!(run["nodes_lost"].as_u64().unwrap() > 10, "{run}");
    assert!(run["plans"]["made"].as_u64().unwrap() > 10, "{run}");
    assert!(run["plans"]["gap_mean_ppm"].is_u64(), "{run}");
    assert!(
        run["bookings"].is_null() && run["requests"].is_null(),
        "{run}"
    );
    let seeds = lines.iter().map(|line| line["seed"].as_u64());
    assert!(seeds.eq([Some(7); 5]), "{lines:?}");
}

/// A network of a few hundred GPUs, under what a file says befalls it.
fn small_of(program: &Program, text: &str) -> String {
    let network = "gpus = 200\ndays = 1\nsite_gpus = 20\n";
    let file = program.file("small.toml", &format!("{network}{text}"));
    file.to_str().unwrap().to_owned()
}

#[test]
fn one_seed_gives_one_answer_byte_for_byte() {
    let program = Program::new();
    let file = small_of(
        &program,
        "[failures]\ngpu_hours = 500\nrestart = \"1m\"\nrestarts = 1\n",
    );
    let page = program.home().join("page.html");
    let told = |more: &[&str]| {
        let said = program.run(&[&["sim", "--scenario", &file], more].concat());
        assert_eq!(said.code, 0, "{}", said.stderr);
        said
    };
    let told_and_written = || {
        let said = told(&["--report", page.to_str().unwrap()]);
        assert!(said.stderr.contains("simulated in "), "{}", said.stderr);
        (said.stdout, fs::read_to_string(&page).unwrap())
    };
    assert_eq!(told_and_written(), told_and_written());
    let twice = ["--seeds", "2", "--json"];
    assert_eq!(told(&twice).stdout, told(&twice).stdout);
}

#[test]
fn a_tier_of_which_nothing_was_delivered_has_its_line() {
    let program = Program::new();
    for text in [
        "[wires]\nlost = 1\nevery_report = true\n",
        "[pace]\nprepare = \"90y\"\n",
    ] {
        let arguments = ["sim", "--scenario", &small_of(&program, text)];
        let said = program.run(&[&arguments[..], &["--json"]].concat());
        assert_eq!(said.code, 0, "{}", said.stderr);
        let lines = said.stdout.lines();
        let lines: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 5, "{lines:?}");
        for tier in &lines[..4] {
            assert!(tier["delivered"].is_null(), "{tier}");
            assert_eq!(tier["units"], 0, "{tier}");
            assert!(tier["units_wanted"].as_u64().unwrap() > 0, "{tier}");
        }
        let said = program.run(&arguments);
        assert!(
            said.stdout.contains("nothing was delivered"),
            "{}",
            said.stdout
        );
        assert!(!said.stdout.contains("nothing was down"), "{}", said.stdout);
    }
}

#[test]
fn what_redundancy_costs_is_held_against_the_same_without() {
    let lines = sim(&Program::new(), "calm", &["--against", "no-spare,none"]);
    let against = &lines[0]["replicas_12_up"]["cost_against"];
    let (no_spare, none) = (&against["no-spare"], &against["none"]);
    let (no_spare, none) = (no_spare.as_f64().unwrap(), none.as_f64().unwrap());
    assert!((1.03..1.15).contains(&no_spare), "{no_spare}");
    assert!(none > no_spare, "{none}");
    assert!(lines[1]["cost_against"].is_null(), "{}", lines[1]);
}

#[test]
fn what_tenants_booked_is_counted() {
    let program = Program::new();
    program.file(
        "booked.toml",
        "gpus = 400\ndays = 1\nsite_gpus = 20\n[demand]\nload = 0.5\nlifetime = \"1h\"\n\
         reservations_per_day = 80\norders_per_day = 80\nscales_per_day = 80\n",
    );
    let file = program.home().join("booked.toml");
    let arguments = ["sim", "--scenario", file.to_str().unwrap()];
    let said = program.run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let run: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    let count = |what: &str| run["bookings"][what].as_u64().unwrap();
    assert!(count("reservations_made") > 20, "{run}");
    assert!(count("reservations_begun_whole") > 20, "{run}");
    assert_eq!(
        count("reservations_begun_late"),
        0,
        "nothing befalls it: {run}"
    );
    assert!(count("standing_orders_filled_at_once") > 10, "{run}");
    assert!(count("scaled") > 20, "{run}");
    let said = program.run(&arguments);
    for row in [
        "reservations made, begun whole, begun late",
        "standing orders placed, filled, ended",
        "dearer than the cheapest, mean and last",
    ] {
        assert!(said.stdout.contains(row), "{}", said.stdout);
    }
}

#[test]
fn the_report_is_one_page_that_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let page_at = page.to_str().unwrap();
    let words = "sim --scenario exit --gpus 1500 --site-gpus 60 --days 11 --seed 7 --report";
    let words: Vec<&str> = words.split(' ').chain([page_at]).collect();
    let said = Program::new().run(&words);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(page.contains("providers with 5 % of the fleet leave") && page.contains("multi-site"));
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http") && !outside.contains("<script"));
}

#[test]
fn what_cannot_be_simulated_is_refused_with_the_way_out() {
    let program = Program::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let refused = |arguments: &[&str]| {
        let said = program.run(&[&["sim"], arguments].concat());
        assert_eq!(said.code, 2, "{}", said.stderr);
        said.stderr
    };
    assert!(refused(&["--gpus", "0"]).contains("gpus is 0: 1 to 2000000 is expected"));
    let unknown = refused(&["--scenario", "nope"]);
    assert!(
        unknown.contains("next: give a TOML file, or one of calm, published"),
        "{unknown}"
    );
    let scenario = file("bad.toml", "[wires]\nlost = 2.0\n");
    assert!(refused(&["--scenario", &scenario]).contains("2 is no share: 0 to 1 is expected"));
    let trace = file(
        "trace.json",
        r#"{"metadata":{"gap_seconds":60},"data":[1,-3]}"#,
    );
    let trace = refused(&["--availability", &trace]);
    assert!(trace.contains("data[1] is -3"), "{trace}");
    assert!(refused(&["--journal", "nothing-here"]).contains("next: name control's data folder"));
}

#[test]
fn what_would_be_noticed_only_after_the_run_is_refused_before_it() {
    let program = Program::new();
    let trace = program.file(
        "zone.json",
        r#"{"metadata":{"gap_seconds":600},"data":[4,4]}"#,
    );
    let trace = trace.to_str().unwrap();
    let taken = program.home().join("taken.html");
    fs::create_dir(&taken).unwrap();
    let late = "[[cuts]]\nafter = \"90y\"\nlength = \"1h\"\nradius_km = 9\n";
    let late = small_of(&program, late);
    let tiny = ["--gpus", "8", "--site-gpus", "100", "--days", "3660"];
    let many = [&tiny[..], &["--availability", trace].repeat(30)].concat();
    for (arguments, expected) in [
        (
            &["--scenario", "big-exit", "--days", "2"][..],
            "exits[0].after is 10days, and the run lasts 2 days: it would never happen\n  \
             next: run it for longer, with --days 11 or more",
        ),
        (
            &["--scenario", &late],
            "and the run lasts 1 day: it would never happen\n  next: give `cuts[0].after` an earlier time",
        ),
        (
            &["--days", "3660", "--report", "nowhere/page.html"],
            "cannot write nowhere/page.html",
        ),
        (
            &["--days", "3660", "--report", "taken.html"],
            "cannot write taken.html",
        ),
        (
            &[
                "--seed",
                "18446744073709551615",
                "--seeds",
                "2",
                "--days",
                "3660",
            ],
            "--seed and --seeds go beyond the last seed there is",
        ),
        (&many, "30 availability traces for"),
        (
            &["--availability", "/dev/zero"],
            "/dev/zero is a pipe or a device: a file is expected",
        ),
        (
            &["--scenario", "taken.html"],
            "taken.html is a folder: a file is expected",
        ),
        (
            &["--site-gpus", "0"],
            "next: give another number with --site-gpus",
        ),
    ] {
        let said = program.run(&[&["sim"], arguments].concat());
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(
            said.stderr.contains(expected),
            "{expected}: {}",
            said.stderr
        );
    }
    assert_eq!(
        fs::read_dir(program.home()).unwrap().count(),
        3,
        "no page was begun"
    );
}

#[test]
fn a_journal_that_is_not_what_was_committed_is_not_replayed() {
    let network = Network::start();
    let program = network.operator();
    program.json(&["tenant", "create", "acme"]);
    program.json(&["tenant", "create", "other"]);
    let dir = network.data_dir();
    let _host = network.stop();
    let offline = Program::new();
    let altered = |change: &str| {
        let copy = tempfile::tempdir().unwrap();
        let journal = copy.path().join("journal.db");
        let from = Connection::open(dir.join("journal.db")).unwrap();
        from.execute("VACUUM INTO ?1", [journal.to_str().unwrap()])
            .unwrap();
        Connection::open(&journal)
            .unwrap()
            .execute_batch(change)
            .unwrap();
        let at = copy.path().to_str().unwrap();
        let (replayed, verified) = (
            offline.run(&["sim", "--journal", at]),
            offline.run(&["audit", "verify", at]),
        );
        (replayed, verified)
    };
    for change in [
        "UPDATE batch SET payload = CAST(payload || x'00' AS BLOB) WHERE first_seq = 1",
        "UPDATE batch SET payload = substr(payload, 1, length(payload) / 2) WHERE first_seq = 2",
        "DELETE FROM batch WHERE first_seq = 2",
        "DROP TABLE batch",
    ] {
        let (replayed, verified) = altered(change);
        // Without its table it cannot be read, so nothing is known of its content.
        let code = if change.starts_with("DROP") { 1 } else { 8 };
        assert_eq!(
            (replayed.code, verified.code),
            (code, code),
            "{change}: {}",
            replayed.stderr
        );
        assert_eq!(replayed.stderr, verified.stderr, "{change}");
    }
    let (replayed, _) = altered("DELETE FROM batch");
    let empty = "has no records";
    assert_eq!(replayed.code, 2, "{}", replayed.stderr);
    assert!(replayed.stderr.contains(empty), "{}", replayed.stderr);
    let (replayed, _) = altered("SELECT 1");
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
}

#[test]
fn messages_take_as_long_as_round_trips_were_measured() {
    let program = Program::new();
    let file = |name: &str, text: &str| {
        program.file(name, text);
        program.home().join(name).to_str().unwrap().to_owned()
    };
    let cities = "city,Lat,Long,Population\nSeoul,37.5,127,10\nBusan,35,129,4\n";
    let cities = file("cities.csv", cities);
    let header = "from_city,to_city_country_continent,distance_km,avg_ms,min_ms,max_ms,mdev_ms\n";
    let trips = format!(
        "{header}Seoul,\"Busan Korea, Asia\",325,9,8,12,0.5\nSeoul,Oslo,7700,250,248,260,2\n"
    );
    let trips = file("rtt.csv", &trips);
    let both = ["--cities", &cities, "--rtt", &trips];
    let run = sim(&program, "calm", &both);
    assert_eq!(run.last().unwrap()["sim"], "run");
    let small = [&SMALL[..], &["calm"], &both].concat();
    let said = program.run(&small);
    let unknown = "1 names in the round trips are none of the cities, and are left out: Oslo";
    assert!(said.stderr.contains(unknown), "{}", said.stderr);

    let refused = |arguments: &[&str]| {
        let said = program.run(&[&["sim"], arguments].concat());
        assert_eq!(said.code, 2, "{}", said.stderr);
        said.stderr
    };
    assert!(refused(&["--rtt", &trips]).contains("--cities"));
    let wrong = file(
        "wrong.csv",
        &format!("{header}Seoul,Busan,325,NaN,8,12,1\n"),
    );
    let wrong = refused(&["--cities", &cities, "--rtt", &wrong]);
    assert!(wrong.contains("line 2, column `avg_ms`: `NaN`"), "{wrong}");
    assert!(wrong.contains("next: the columns from_city"), "{wrong}");
    let strange = file("strange.csv", &format!("{header}Oslo,Rome,1,1,1,1,1\n"));
    let strange = refused(&["--cities", &cities, "--rtt", &strange]);
    assert!(
        strange.contains("no round trip between any two of the cities"),
        "{strange}"
    );
}

#[test]
fn a_real_journal_replays() {
    let network = Network::start();
    let program = network.operator();
    program.json(&["tenant", "create", "acme"]);
    let dir = network.data_dir();
    let _host = network.stop();
    let said = Program::new().run(&["sim", "--journal", dir.to_str().unwrap(), "--json"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let run: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert!(run["commands"].as_u64().unwrap() >= 2, "{run}");
}

#[test]
fn requests_come_from_a_trace_and_are_counted() {
    let program = Program::new();
    let file = |name: &str, text: &str| {
        program.file(name, text);
        program.home().join(name).to_str().unwrap().to_owned()
    };
    let header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let lines = "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:16:50.9951690,396,109\n";
    let trace = file("trace.csv", &format!("{header}{lines}"));
    let run = sim(
        &program,
        "published",
        &["--requests", &trace, "--gateways", "2"],
    );
    let requests = &run.last().unwrap()["requests"];
    assert!(requests["came"].as_u64().unwrap() > 1_000, "{requests}");
    assert_eq!(requests["failed_though_served"], 0, "{requests}");

    let refused = |arguments: &[&str]| {
        let said = program.run(&[&["sim"], arguments].concat());
        assert_eq!(said.code, 2, "{}", said.stderr);
        said.stderr
    };
    assert!(refused(&["--requests", &trace]).contains("next: add --gateways 2"));
    let with = |lines: &str| {
        let trace = file("wrong.csv", &format!("{header}{lines}"));
        refused(&["--gateways", "1", "--requests", &trace])
    };
    let backward = with("2023-11-16 18:15:46,1,1\n2023-11-16 18:15:45,1,1\n");
    assert!(
        backward.contains("line 3, column `TIMESTAMP`"),
        "{backward}"
    );
    assert!(backward.contains("a trace is in order"), "{backward}");
    assert!(with("2023-11-16 18:15:46,NaN,1\n").contains("line 2, column `ContextTokens`: `NaN`"));
    assert!(with("").contains("wrong.csv has no request in it"));
    assert!(refused(&["--gateways", "101"]).contains("gateways.count is 101: 0 to 100"));
}
