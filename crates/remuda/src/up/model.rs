//! The model that the network starts with: a GGUF file of this machine, or one that is fetched.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use futures::StreamExt;
use remuda_link::https;
use remuda_wire::api::model::AddModel;
use reqwest::Url;

use super::cast;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;

/// What every GGUF file begins with.
const MAGIC: &[u8; 4] = b"GGUF";

/// A file that is a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelFile {
    name: String,
    path: PathBuf,
}

impl ModelFile {
    /// The file that was named, fetched if need be; or the one that `make model` fetches.
    pub(crate) async fn find(given: Option<&str>, context: &Context) -> anyhow::Result<Self> {
        let folder = context.environment.cache_dir().join("models");
        let path = match given {
            None => usual(&folder)?,
            Some(text) if text.starts_with("http://") || text.starts_with("https://") => {
                fetched(text, &folder, context).await?
            }
            Some(text) => PathBuf::from(text),
        };
        Ok(Self::open(&path)?)
    }

    /// It goes by the name it was given, not by that of a file it links to.
    fn open(given: &Path) -> Result<Self, Failure> {
        let name = name(given);
        let path = given
            .canonicalize()
            .map_err(|error| unreadable(given, error))?;
        let mut magic = [0; MAGIC.len()];
        let read = File::open(&path).and_then(|mut file| file.read_exact(&mut magic));
        match read {
            Ok(()) if &magic == MAGIC => Ok(Self { name, path }),
            Ok(()) => Err(no_model(given)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(no_model(given)),
            Err(error) => Err(unreadable(given, error)),
        }
    }

    /// As it is registered.
    pub(crate) fn registration(&self) -> AddModel {
        AddModel {
            name: self.name.clone(),
            path: self.path.display().to_string(),
        }
    }
}

fn usual(folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("{}.gguf", cast::MODEL));
    if path.exists() {
        return Ok(path);
    }
    let message = format!("there is no model at {}", path.display());
    let way_out = "fetch the small one with `make model`, or name a GGUF file or URL with --model";
    Err(Failure::new(Exit::Usage, message, way_out))
}

/// A name for the catalogue, out of the file's.
fn name(path: &Path) -> String {
    const LONGEST: usize = 63;
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".-_".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = stem.chars().map(plain).take(LONGEST).collect();
    if name.is_empty() {
        cast::MODEL.to_owned()
    } else {
        name
    }
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let message = format!("cannot read the model {}", path.display());
    Failure::new(Exit::Usage, message, "name a GGUF file with --model").caused_by(error)
}

fn no_model(path: &Path) -> Failure {
    let message = format!("{} is no GGUF file", path.display());
    Failure::new(Exit::Usage, message, "name a GGUF file with --model")
}

/// Fetches a file once; one that was cut off is fetched anew.
async fn fetched(url: &str, folder: &Path, context: &Context) -> anyhow::Result<PathBuf> {
    let parsed: Url = url
        .parse()
        .map_err(|error| unfetched(url).caused_by(error))?;
    let file = parsed
        .path_segments()
        .and_then(Iterator::last)
        .filter(|name| !name.is_empty());
    let path = folder.join(file.unwrap_or("model.gguf"));
    if path.exists() {
        return Ok(path);
    }
    let http = https::client(reqwest::Client::builder())?;
    let response = http.get(parsed).send().await;
    let response = response
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| unfetched(url).caused_by(error))?;
    let bar = progress::bytes(
        context.output,
        "fetching the model",
        response.content_length().unwrap_or_default(),
    );
    fs::create_dir_all(folder)?;
    let draft = path.with_extension("part");
    let mut out = File::create(&draft)?;
    let mut bytes = response.bytes_stream();
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| unfetched(url).caused_by(error))?;
        out.write_all(&piece)?;
        bar.inc(piece.len() as u64);
    }
    out.sync_all()?;
    fs::rename(&draft, &path)?;
    bar.finish_and_clear();
    Ok(path)
}

fn unfetched(url: &str) -> Failure {
    let message = format!("cannot fetch the model from {url}");
    Failure::new(
        Exit::Unreachable,
        message,
        "look at the address, or fetch the file yourself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_model_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for content in [&b"GGU"[..], b"PK\x03\x04 more"] {
            let path = folder.path().join("weights.gguf");
            fs::write(&path, content).unwrap();
            let text = ModelFile::open(&path).unwrap_err().to_string();
            assert!(text.ends_with("weights.gguf is no GGUF file"), "{text}");
        }
    }

    #[test]
    fn names_are_those_of_the_catalogue() {
        for (path, expected) in [
            ("a/SmolLM2 135M.gguf", "smollm2-135m"),
            ("q4.K_M.gguf", "q4.k_m"),
            ("", cast::MODEL),
        ] {
            assert_eq!(name(Path::new(path)), expected);
        }
    }
}
