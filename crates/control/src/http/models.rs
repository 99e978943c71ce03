//! The catalogue of models, and their files.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use axum::Json;
use axum::body::Body as AxumBody;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use remuda_network::state::{Model as StateModel, Scope};
use remuda_network::{Command, Network};
use remuda_types::{Digest, DigestError, Label};
use remuda_wire::api::model::{AddModel, Model};
use remuda_wire::api::{Page, PageQuery};
use tower::ServiceExt;
use tower_http::services::ServeFile;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::act::Act;
use super::auth::Caller;
use super::body::{Body, Id, Params};
use super::labels::{MODEL_NAME, is_plain};
use super::once::Once;
use super::page::{self, Window};
use super::problem::Problem;
use super::thing::Thing;
use crate::core::Core;
use crate::vault::OPERATOR;

/// How a GGUF file begins.
const GGUF: &[u8; 4] = b"GGUF";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(add, list))
}

/// Nodes fetch without a key: a digest names what anyone may check and nobody can guess.
pub(super) fn blob_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(blob))
}

/// The label of a model's name.
pub(super) fn label(core: &Core, name: &str) -> Label {
    core.vault().label(OPERATOR, MODEL_NAME, name)
}

pub(super) fn view(core: &Core, network: &Network, name: &str) -> Option<Model> {
    let model = network.state().models.get(&label(core, name))?;
    Some(named(core, name.to_owned(), model))
}

fn named(core: &Core, name: String, model: &StateModel) -> Model {
    let url = format!("{}/v1/blobs/{}", core.config().public_url, model.digest);
    Model {
        name,
        digest: model.digest,
        bytes: model.bytes,
        url,
    }
}

/// Where a model's file lies.
fn file(data_dir: &Path, digest: Digest) -> PathBuf {
    data_dir.join("models").join(format!("{digest}.gguf"))
}

/// Why a file cannot be taken in.
#[derive(Debug, thiserror::Error)]
enum TakeInError {
    #[error("`{}` cannot be read on control's machine: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` is not a GGUF file: convert the model first", .path.display())]
    NotGguf { path: PathBuf },
    #[error("control cannot keep the file in {}", .dir.display())]
    Keep {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl From<TakeInError> for Problem {
    fn from(error: TakeInError) -> Self {
        match error {
            TakeInError::Unreadable { .. } | TakeInError::NotGguf { .. } => {
                Self::field("/path", error.to_string())
            }
            TakeInError::Keep { .. } => Self::internal(&error),
        }
    }
}

/// Reads the whole file and links it under its digest. Takes seconds for a large one.
fn take_in(data_dir: &Path, path: PathBuf) -> Result<(Digest, u64), TakeInError> {
    let (digest, bytes) = match read(&path) {
        Ok(Some(read)) => read,
        Ok(None) => return Err(TakeInError::NotGguf { path }),
        Err(source) => return Err(TakeInError::Unreadable { path, source }),
    };
    let kept = file(data_dir, digest);
    let dir = data_dir.join("models");
    keep(&dir, &path, &kept).map_err(|source| TakeInError::Keep { dir, source })?;
    Ok((digest, bytes))
}

/// Digest and size; nothing if it is not a GGUF file.
fn read(path: &Path) -> io::Result<Option<(Digest, u64)>> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    Read::by_ref(&mut file)
        .take(GGUF.len() as u64)
        .read_to_end(&mut magic)?;
    if magic != GGUF {
        return Ok(None);
    }
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&mut file)?;
    Ok(Some((
        Digest(*hasher.finalize().as_bytes()),
        hasher.count(),
    )))
}

/// A hard link, or a symbolic one where the file is on another file system.
fn keep(dir: &Path, path: &Path, kept: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    if kept.try_exists()? {
        return Ok(());
    }
    // A symbolic link to a file that is gone would be in the way.
    fs::remove_file(kept).or_else(absent_is_fine)?;
    let path = path.canonicalize()?;
    fs::hard_link(&path, kept).or_else(|_| symlink(&path, kept))
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

/// Offers a model that is a file on control's machine. Scope `admin`, the operator's.
#[utoipa::path(post, path = "/v1/models", tag = "models", security(("key" = [])),
    params(("if-match" = Option<String>, Header,
        description = "The digest of the file that the name stands for, to replace it")),
    request_body = AddModel, responses((status = 201, body = Model)))]
async fn add(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    headers: HeaderMap,
    Body(asked): Body<AddModel>,
) -> Result<Response, Problem> {
    caller.needs_operator(Scope::Admin)?;
    if !is_plain(&asked.name, b"_") {
        let detail = "1 to 63 of a-z, 0-9, `-`, `.` and `_`, a letter or digit first, are expected";
        return Err(Problem::field("/name", detail));
    }
    let replaces = replaced(&headers)?;
    let (dir, path) = (
        api.app.core.config().data_dir.clone(),
        PathBuf::from(asked.path),
    );
    let taken = tokio::task::spawn_blocking(move || take_in(&dir, path)).await;
    let (digest, bytes) = taken.map_err(|error| Problem::internal(&error))??;
    let mut act = Act::new(&api, once);
    let label = act.seal(OPERATOR, MODEL_NAME, &asked.name);
    let command = Command::AddModel {
        label,
        digest,
        bytes,
        replaces,
    };
    act.answer(command, StatusCode::CREATED, Thing::Model(asked.name))
        .await
}

/// The file that the client wants replaced.
fn replaced(headers: &HeaderMap) -> Result<Option<Digest>, Problem> {
    let Some(given) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = given.to_str().unwrap_or_default().trim_matches('"');
    let digest = text.parse().map_err(|error: DigestError| {
        Problem::invalid(format!("the header `if-match`: {error}"))
    })?;
    Ok(Some(digest))
}

/// Models that may be deployed. Scope `read`.
#[utoipa::path(get, path = "/v1/models", tag = "models", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<Model>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<Model>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let core = &api.app.core;
    Ok(Json(core.read(|network| {
        page::of_map(&network.state().models, &window, |label, model| {
            Some(named(core, core.vault().text(label), model))
        })
    })))
}

/// A model's file, or the range of it that the header `range` asks for. No key is needed.
#[utoipa::path(get, path = "/v1/blobs/{digest}", tag = "models",
    params(("digest" = String, Path, description = "BLAKE3 of the file")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream")))]
async fn blob(
    State(api): State<Api>,
    Id(digest): Id<Digest>,
    request: Request,
) -> Result<Response, Problem> {
    let path = file(&api.app.core.config().data_dir, digest);
    if !tokio::fs::try_exists(&path).await.unwrap_or(false) {
        return Err(Problem::not_found("file", digest));
    }
    let served = match ServeFile::new(path).oneshot(request).await {
        Ok(served) => served,
        Err(never) => match never {},
    };
    let mut response = served.map(AxumBody::new);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, forever);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_in_under_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gguf");
        fs::write(&path, b"GGUF and more").unwrap();
        let (digest, bytes) = take_in(dir.path(), path.clone()).unwrap();
        assert_eq!((digest, bytes), (Digest::of(b"GGUF and more"), 13));
        assert_eq!(
            fs::read(file(dir.path(), digest)).unwrap(),
            b"GGUF and more"
        );
        assert!(
            take_in(dir.path(), path).is_ok(),
            "the same again is the same"
        );
    }

    #[test]
    fn other_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, b"GG").unwrap();
        assert!(matches!(
            take_in(dir.path(), path),
            Err(TakeInError::NotGguf { .. })
        ));
        let missing = take_in(dir.path(), dir.path().join("b"));
        assert!(matches!(missing, Err(TakeInError::Unreadable { .. })));
    }
}
