//! The command line's reference: every `--help`, so that no change of it goes unseen.

use crate::program::Program;

/// The names that a help text lists under `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let rows = listed.lines().take_while(|line| !line.trim().is_empty());
    // Names stand two spaces in; what goes on from the line before stands further.
    let names = rows.filter_map(|row| row.strip_prefix("  ").filter(|row| !row.starts_with(' ')));
    names
        .filter_map(|row| row.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn reference(program: &Program, path: &[&str], into: &mut String) {
    let said = program.run(&[path, &["--help"]].concat());
    assert_eq!(said.code, 0, "{path:?}: {}", said.stderr);
    let name = [&["remuda"], path].concat().join(" ");
    into.push_str(&format!("# {name}\n\n{}\n", said.stdout));
    for command in commands(&said.stdout) {
        reference(program, &[path, &[command.as_str()]].concat(), into);
    }
}

/// The flags that every command below the first repeats.
fn everywhere(text: &str) -> String {
    let last = text.rfind("\nEverywhere:\n").unwrap();
    text[last..].to_owned()
}

#[test]
fn every_help_is_as_it_was() {
    let mut text = String::new();
    reference(&Program::new(), &[], &mut text);
    insta::assert_snapshot!(text.replace(&everywhere(&text), "\n"));
}

#[test]
fn every_command_takes_json_and_a_url() {
    let mut text = String::new();
    reference(&Program::new(), &[], &mut text);
    let helps = text.matches("\nUsage: ").count();
    assert!(helps > 40, "{helps} commands were found");
    for flag in ["--json", "--url <URL>", "--profile <NAME>"] {
        assert!(text.matches(&format!(" {flag}")).count() >= helps, "{flag}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = Program::new().run(&["completions", shell]);
        assert_eq!(said.code, 0);
        assert!(
            said.stdout.contains("provider") && said.stdout.contains("deploy"),
            "{shell}"
        );
    }
}

#[test]
fn the_spec_schema_is_as_it_was() {
    let program = Program::new();
    let schema = program.json(&["schema"]);
    assert_eq!(program.json(&["deploy", "--schema"]), schema);
    insta::assert_json_snapshot!(schema);
}
