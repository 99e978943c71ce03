//! Reads a checkout into a [`Tree`]: every text file, and the workspace as cargo sees it.
//!
//! Cargo is asked offline and without resolving, so this takes milliseconds and no network.

use std::collections::BTreeMap;
use std::{fs, io};

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::tree::{Dependency, Package, Purpose, Tree};

/// Folders that hold what was made or fetched, not written.
const NOT_OURS: &[&str] = &[
    ".git",
    ".venv",
    "artifacts",
    "corpus",
    "node_modules",
    "target",
];

/// No source is larger; a larger file is data.
const MAX_TEXT_BYTES: u64 = 4 << 20;

/// Why a checkout could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot read {path}")]
    Read {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("cargo does not understand the workspace; mend the manifest it names")]
    Workspace(#[from] cargo_metadata::Error),
}

pub(crate) fn load(root: &Utf8Path) -> Result<Tree, LoadError> {
    let mut files = BTreeMap::new();
    read_folder(root, Utf8Path::new(""), &mut files)?;
    let packages = packages(root, &files)?;
    Ok(Tree { files, packages })
}

fn read_folder(
    root: &Utf8Path,
    folder: &Utf8Path,
    files: &mut BTreeMap<Utf8PathBuf, String>,
) -> Result<(), LoadError> {
    let failed = |source| LoadError::Read {
        path: root.join(folder),
        source,
    };
    for entry in root.join(folder).read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = folder.join(entry.file_name());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && !NOT_OURS.contains(&entry.file_name()) {
            read_folder(root, &path, files)?;
        } else if kind.is_file()
            && let Some(text) = read_text(&root.join(&path))?
        {
            files.insert(path, text);
        }
    }
    Ok(())
}

/// Nothing for a file that is no text, or that went away between listing and reading.
fn read_text(path: &Utf8Path) -> Result<Option<String>, LoadError> {
    let text = fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MAX_TEXT_BYTES {
            Ok(None)
        } else {
            fs::read_to_string(path).map(Some)
        }
    });
    match text {
        Ok(text) => Ok(text),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::NotFound
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(LoadError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn packages(
    root: &Utf8Path,
    files: &BTreeMap<Utf8PathBuf, String>,
) -> Result<Vec<Package>, LoadError> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()?;
    // Cargo resolves links in the path of the workspace; its own word for the root is the one that fits.
    let root = &metadata.workspace_root;
    Ok(metadata
        .packages
        .iter()
        .map(|package| member(root, package, files))
        .collect())
}

fn member(
    root: &Utf8Path,
    package: &cargo_metadata::Package,
    files: &BTreeMap<Utf8PathBuf, String>,
) -> Package {
    let manifest = inside(root, &package.manifest_path);
    let text = files.get(&manifest).map_or("", String::as_str);
    Package {
        name: package.name.to_string(),
        dir: manifest.parent().unwrap_or(Utf8Path::new("")).to_owned(),
        dependencies: package
            .dependencies
            .iter()
            .map(|d| dependency(text, d))
            .collect(),
        roots: package
            .targets
            .iter()
            .map(|target| inside(root, &target.src_path))
            .collect(),
    }
}

fn inside(root: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

fn dependency(manifest: &str, dependency: &cargo_metadata::Dependency) -> Dependency {
    let (purpose, section) = match dependency.kind {
        DependencyKind::Development => (Purpose::Test, "dev-dependencies"),
        DependencyKind::Build => (Purpose::Product, "build-dependencies"),
        DependencyKind::Normal | DependencyKind::Unknown => (Purpose::Product, "dependencies"),
    };
    let written = dependency.rename.as_ref().unwrap_or(&dependency.name);
    let line = line_of(manifest, section, written);
    Dependency {
        name: dependency.name.clone(),
        purpose,
        line,
    }
}

/// The line that names `name` in the manifest's `section`; 1 where it cannot be told.
fn line_of(manifest: &str, section: &str, name: &str) -> usize {
    let mut here = "";
    for (line, text) in (1..).zip(manifest.lines()) {
        let text = text.trim();
        if let Some(header) = text.strip_prefix('[') {
            here = header.trim_end_matches(']');
        }
        let key = text.split(['.', '=', ' ']).next();
        let table = here
            .strip_suffix(name)
            .and_then(|rest| rest.strip_suffix('.'));
        if is_section(here, section) && key == Some(name)
            || table.is_some_and(|table| is_section(table, section))
        {
            return line;
        }
    }
    1
}

/// `[dependencies]`, or the same of one platform.
fn is_section(header: &str, section: &str) -> bool {
    header == section
        || header
            .strip_suffix(section)
            .is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_found_in_its_own_section() {
        let manifest = "[dependencies]\nab.workspace = true\na = \"1\"\n\n[dev-dependencies]\na = \"1\"\n\n\
                        [target.'cfg(unix)'.dependencies]\nb = \"1\"\n[build-dependencies.c]\n";
        assert_eq!(line_of(manifest, "dependencies", "a"), 3);
        assert_eq!(line_of(manifest, "dev-dependencies", "a"), 6);
        assert_eq!(line_of(manifest, "dependencies", "b"), 9);
        assert_eq!(line_of(manifest, "build-dependencies", "c"), 10);
        assert_eq!(line_of(manifest, "dependencies", "absent"), 1);
    }

    #[test]
    fn a_workspace_on_disk_is_read_as_cargo_sees_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("a path in UTF-8");
        let write = |path: &str, bytes: &[u8]| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, bytes).expect("written");
        };
        write(
            "Cargo.toml",
            b"[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n",
        );
        write(
            "crates/one/Cargo.toml",
            b"[package]\nname = \"remuda-one\"\nedition = \"2024\"\n",
        );
        write("crates/one/src/lib.rs", b"//! One.\n");
        write(
            "crates/two/Cargo.toml",
            b"[package]\nname = \"remuda-two\"\nedition = \"2024\"\n\n[dependencies]\nremuda-one = { path = \"../one\" }\n",
        );
        write("crates/two/src/lib.rs", b"//! Two.\n");
        write("crates/two/tests/it/main.rs", b"//! Tests.\n");
        write("target/made.rs", b"made");
        write("data.bin", b"\xff\xfe");

        let tree = load(root).expect("loaded");
        assert_eq!(tree.rust().count(), 3);
        assert!(tree.text(Utf8Path::new("data.bin")).is_none());
        let two = tree
            .packages
            .iter()
            .find(|p| p.name == "remuda-two")
            .expect("two");
        assert_eq!(two.dir, "crates/two");
        assert_eq!(
            two.roots,
            ["crates/two/src/lib.rs", "crates/two/tests/it/main.rs"]
        );
        assert_eq!(two.entrance().expect("a library"), "crates/two/src/lib.rs");
        assert_eq!(
            (two.dependencies[0].name.as_str(), two.dependencies[0].line),
            ("remuda-one", 6)
        );
    }

    #[test]
    fn a_folder_without_a_workspace_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("a path in UTF-8");
        assert!(matches!(load(root), Err(LoadError::Workspace(_))));
    }
}
