//! One fetch: from what is here already to a checked file under its final name.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use futures::StreamExt;
use remuda_types::Digest;
use tokio::io::AsyncWriteExt;

use super::source::{Content, Source, shown};
use super::{Error, Model, Models, file_error, room};
use crate::view::Progress;

/// What is here of a model, its digest so far, and the file it grows in.
struct Partial {
    path: PathBuf,
    file: tokio::fs::File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Models {
    /// Fetches a model that is not here. The caller holds its `lock`.
    pub(super) async fn fetch_into(
        &self,
        path: &Path,
        lock: &fs::File,
        model: &Model<'_>,
        progress: &Progress,
    ) -> Result<(), Error> {
        let shown = shown(model.url);
        let source = Source::parse(model.url).ok_or(Error::Url {
            shown: shown.clone(),
        })?;
        let mut partial = Partial::open(path.with_extension("part"), model.bytes).await?;
        progress.set(partial.bytes, model.bytes);
        room::claim(path, lock, model.bytes, partial.bytes)?;
        let whole = self.complete(&source, &mut partial, model, progress).await;
        match whole {
            Ok(()) => partial.finish(path, model).await,
            Err(Cut::Transport(detail)) => Err(Error::NotReachable { shown, detail }),
            Err(Cut::TooLong) => {
                partial.discard();
                let detail = format!("it has more than {} bytes", model.bytes);
                Err(Error::WrongContent { shown, detail })
            }
            Err(Cut::File(source)) => Err(self.not_written(&partial, model, source)),
        }
    }

    /// Fetches until all is here, or until tries in a row bring nothing.
    async fn complete(
        &self,
        source: &Source,
        partial: &mut Partial,
        model: &Model<'_>,
        progress: &Progress,
    ) -> Result<(), Cut> {
        let mut fruitless = 0;
        while partial.bytes < model.bytes {
            let before = partial.bytes;
            match partial
                .grow(source, &self.http, model.bytes, progress)
                .await
            {
                Err(Cut::Transport(detail)) => {
                    fruitless = if partial.bytes > before {
                        0
                    } else {
                        fruitless + 1
                    };
                    if fruitless >= self.retry.tries {
                        return Err(Cut::Transport(detail));
                    }
                    tokio::time::sleep(self.retry.pause).await;
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn not_written(&self, partial: &Partial, model: &Model<'_>, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::StorageFull {
            return room::lacking(&self.folder, model.bytes - partial.bytes, 0);
        }
        Error::File {
            path: partial.path.clone(),
            source,
        }
    }
}

/// Why a fetch stopped before its end.
enum Cut {
    /// The source gave no more.
    Transport(String),
    /// The source gives more than the model has.
    TooLong,
    /// It cannot be written.
    File(io::Error),
}

impl Partial {
    /// What an earlier fetch left; nothing of it when it is longer than the model.
    async fn open(path: PathBuf, bytes_max: u64) -> Result<Self, Error> {
        let found = path.clone();
        let hashed = tokio::task::spawn_blocking(move || hash(&found, bytes_max)).await;
        let failed = file_error(&path);
        let (hasher, bytes) = hashed
            .map_err(io::Error::other)
            .flatten()
            .map_err(&failed)?;
        let mut options = tokio::fs::OpenOptions::new();
        let file = options
            .create(true)
            .append(true)
            .open(&path)
            .await
            .map_err(&failed)?;
        file.set_len(bytes).await.map_err(&failed)?;
        Ok(Self {
            path,
            file,
            hasher,
            bytes,
        })
    }

    /// Reads from the source until it ends.
    async fn grow(
        &mut self,
        source: &Source,
        http: &reqwest::Client,
        bytes_max: u64,
        progress: &Progress,
    ) -> Result<(), Cut> {
        let content = source
            .read(http, self.bytes)
            .await
            .map_err(Cut::Transport)?;
        if !content.resumed {
            self.restart().await.map_err(Cut::File)?;
            progress.set(0, bytes_max);
        }
        let grown = self.take(content, bytes_max, progress).await;
        self.file.flush().await.map_err(Cut::File)?;
        grown
    }

    async fn take(
        &mut self,
        mut content: Content,
        bytes_max: u64,
        progress: &Progress,
    ) -> Result<(), Cut> {
        while let Some(chunk) = content.bytes.next().await {
            let chunk = chunk.map_err(Cut::Transport)?;
            let length = chunk.len() as u64;
            if self.bytes + length > bytes_max {
                return Err(Cut::TooLong);
            }
            self.file.write_all(&chunk).await.map_err(Cut::File)?;
            self.hasher.update(&chunk);
            self.bytes += length;
            progress.add(length);
        }
        if self.bytes < bytes_max {
            let detail = format!("it ended after {} of {bytes_max} bytes", self.bytes);
            return Err(Cut::Transport(detail));
        }
        Ok(())
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0).await?;
        self.hasher.reset();
        self.bytes = 0;
        Ok(())
    }

    /// Checks what was fetched and gives it its name.
    async fn finish(self, path: &Path, model: &Model<'_>) -> Result<(), Error> {
        let found = Digest(*self.hasher.finalize().as_bytes());
        if found != model.digest {
            self.discard();
            let detail = format!("its digest is {found}, that of the model {}", model.digest);
            return Err(Error::WrongContent {
                shown: shown(model.url),
                detail,
            });
        }
        self.file.sync_all().await.map_err(file_error(&self.path))?;
        tokio::fs::rename(&self.path, path)
            .await
            .map_err(file_error(path))
    }

    /// Removes what cannot become the model.
    fn discard(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a useless file stays behind");
        }
    }
}

fn hash(path: &Path, bytes_max: u64) -> io::Result<(blake3::Hasher, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut file = match fs::File::open(path) {
        Ok(file) if file.metadata()?.len() <= bytes_max => file,
        Ok(_) => return Ok((hasher, 0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((hasher, 0)),
        Err(error) => return Err(error),
    };
    let bytes = io::copy(&mut file.by_ref(), &mut hasher)?;
    Ok((hasher, bytes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::super::{Retry, client};
    use super::*;

    fn models(folder: &Path) -> Models {
        let retry = Retry {
            tries: 2,
            pause: Duration::from_millis(1),
        };
        Models::new(folder.join("store"), client().unwrap(), retry)
    }

    fn content() -> Vec<u8> {
        (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    async fn fetch(models: &Models, content: &[u8], url: &str) -> Result<PathBuf, Error> {
        let digest = Digest::of(content);
        let model = Model {
            digest,
            bytes: content.len() as u64,
            url,
        };
        let held = models.fetch(&model, &Progress::default()).await?;
        Ok(held.path().to_owned())
    }

    #[tokio::test]
    async fn a_file_is_fetched_once_and_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let models = models(folder.path());
        let content = content();
        let origin = folder.path().join("origin.gguf");
        fs::write(&origin, &content).unwrap();
        let url = format!("file://{}", origin.display());
        // The first part of the origin differs from the model: only a resumed fetch can succeed.
        let digest = Digest::of(&content);
        fs::create_dir_all(folder.path().join("store")).unwrap();
        let part = folder.path().join(format!("store/{digest}.part"));
        fs::write(part, &content[..1_000_000]).unwrap();
        let mut changed = content.clone();
        changed[..1_000].fill(0xEE);
        fs::write(&origin, &changed).unwrap();
        let path = fetch(&models, &content, &url).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), content);
        fs::remove_file(&origin).unwrap();
        assert_eq!(fetch(&models, &content, &url).await.unwrap(), path);
    }

    #[tokio::test]
    async fn other_content_is_refused_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let models = models(folder.path());
        let origin = folder.path().join("origin.gguf");
        let url = format!("file://{}", origin.display());
        let content = content();
        for other in [vec![0; content.len()], vec![0; content.len() + 1]] {
            fs::write(&origin, other).unwrap();
            let refused = fetch(&models, &content, &url).await;
            assert!(
                matches!(refused, Err(Error::WrongContent { .. })),
                "{refused:?}"
            );
        }
        fs::write(&origin, &content[1..]).unwrap();
        let short = fetch(&models, &content, &url).await;
        assert!(
            matches!(short, Err(Error::NotReachable { .. })),
            "{short:?}"
        );
        fs::write(&origin, &content).unwrap();
        // What the short file left is the beginning of nothing; it is found out and discarded.
        assert!(fetch(&models, &content, &url).await.is_err());
        assert!(fetch(&models, &content, &url).await.is_ok());
    }

    /// A server that sends half of what is asked for, each time, and knows ranges.
    async fn halving_server(content: Vec<u8>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4_096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).to_ascii_lowercase();
                let from = request.split_once("range: bytes=").map_or(0, |(_, range)| {
                    range.split('-').next().unwrap().parse::<usize>().unwrap()
                });
                let status = if from > 0 {
                    "206 Partial Content"
                } else {
                    "200 OK"
                };
                let rest = &content[from..];
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
                    rest.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream
                    .write_all(&rest[..rest.len().div_ceil(2)])
                    .await
                    .unwrap();
            }
        });
        format!("http://{address}/model.gguf?token=secret")
    }

    #[tokio::test]
    async fn a_download_that_is_cut_goes_on_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let models = models(folder.path());
        let content = content();
        let url = halving_server(content.clone()).await;
        let path = fetch(&models, &content, &url).await.unwrap();
        assert_eq!(fs::read(path).unwrap(), content);
        let nowhere = "http://127.0.0.1:1/model.gguf?token=secret";
        let refused = fetch(&models, b"other", nowhere)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("127.0.0.1:1") && !refused.contains("secret"),
            "{refused}"
        );
    }
}
