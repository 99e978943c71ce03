//! Changes to the config file; comments and order in it are kept.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, value};

use super::{Profile, Settings};

/// Why the config file could not be changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", .path.display())]
pub(crate) struct WriteError {
    /// Which.
    pub(crate) path: PathBuf,
    /// What the system said.
    #[source]
    pub(crate) source: io::Error,
}

impl Settings {
    /// Keeps `profile` under `name`, and makes it the current one if there is none. Fields that it
    /// does not have are left as they are in the file.
    pub(crate) fn put(&self, name: &str, profile: &Profile) -> Result<(), WriteError> {
        edit(&self.path, |document| {
            write_profile(document, name, profile);
            if self.current.is_none() {
                document["profile"] = value(name);
            }
        })
    }

    /// Makes `name`, which is there, the current profile.
    pub(crate) fn choose(&self, name: &str) -> Result<(), WriteError> {
        edit(&self.path, |document| document["profile"] = value(name))
    }
}

fn write_profile(document: &mut DocumentMut, name: &str, profile: &Profile) {
    let profiles = document.entry("profiles").or_insert_with(implicit_table);
    let entry = &mut profiles[name];
    if !entry.is_table_like() {
        *entry = Item::Table(Table::new());
    }
    let mut set = |field: &str, text: Option<String>| {
        if let Some(text) = text {
            entry[field] = value(text);
        }
    };
    set("url", profile.url.as_ref().map(ToString::to_string));
    set(
        "key",
        profile.key.as_ref().map(|key| key.reveal().to_owned()),
    );
    set(
        "key_file",
        profile
            .key_file
            .as_ref()
            .map(|path| path.display().to_string()),
    );
    set("project", profile.project.as_ref().map(ToString::to_string));
    set(
        "gateway_url",
        profile.gateway_url.as_ref().map(ToString::to_string),
    );
    if let Some(table) = entry.as_table_like_mut() {
        drop_other_key(table, profile);
    }
}

/// A profile has a key or a file with one, never both.
fn drop_other_key(table: &mut dyn toml_edit::TableLike, profile: &Profile) {
    if profile.key.is_some() {
        table.remove("key_file");
    } else if profile.key_file.is_some() {
        table.remove("key");
    }
}

fn implicit_table() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

fn edit(path: &Path, change: impl FnOnce(&mut DocumentMut)) -> Result<(), WriteError> {
    let failed = |source| WriteError {
        path: path.to_owned(),
        source,
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    change(&mut document);
    replace(path, document.to_string().as_bytes()).map_err(failed)
}

/// The file holds keys, so it is its user's alone.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let draft = path.with_extension("toml.new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
