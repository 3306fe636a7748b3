//! Calls about a container's files.

use tokio::io::AsyncRead;

use super::Engine;
use crate::api::{CommitOptions, CopyOptions};
use crate::error::EngineError;
use crate::files::{Change, FileArchive, Files, PathStat};
use crate::{commit, images};

impl Engine {
    /// What is at a path of its files.
    ///
    /// # Errors
    /// Nothing is.
    pub async fn stat_path(&self, who: &str, path: &str) -> Result<PathStat, EngineError> {
        self.files(who)?.stat(path).await
    }

    /// What is at a path of its files, as a tar.
    ///
    /// # Errors
    /// Nothing is.
    pub async fn read_path(
        &self,
        who: &str,
        path: &str,
    ) -> Result<(FileArchive, PathStat), EngineError> {
        self.files(who)?.read(path).await
    }

    /// Unpacks a tar, compressed or not, in a folder of its files.
    ///
    /// # Errors
    /// The folder is none, or the tar is damaged or not allowed.
    pub async fn write_path(
        &self,
        who: &str,
        path: &str,
        options: CopyOptions,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(), EngineError> {
        self.files(who)?.write(path, options, archive).await
    }

    /// All its files as a tar.
    ///
    /// # Errors
    /// Its disk cannot be had.
    pub async fn export(&self, who: &str) -> Result<FileArchive, EngineError> {
        let container = self.context.registry.find(who)?;
        let archive = self.files(who)?.export().await?;
        container.announce(&self.context, "export", &[]);
        Ok(archive)
    }

    /// What it has changed since it was made.
    ///
    /// # Errors
    /// Its disk cannot be had.
    pub async fn changes(&self, who: &str) -> Result<Vec<Change>, EngineError> {
        self.files(who)?.changes().await
    }

    /// Makes an image of what it has become; says the image's id.
    ///
    /// # Errors
    /// Its disk cannot be had, or a name or an instruction is wrong.
    pub async fn commit(&self, who: &str, options: CommitOptions) -> Result<String, EngineError> {
        let name = match options.reference.as_str() {
            "" => None,
            text => Some(images::parse(text)?.or_latest()),
        };
        let container = self.context.registry.find(who)?;
        let files = Files::new(&self.context, container.clone(), who);
        commit::commit(&self.context, &container, files, name, options).await
    }

    fn files(&self, who: &str) -> Result<Files, EngineError> {
        let container = self.context.registry.find(who)?;
        Ok(Files::new(&self.context, container, who))
    }
}
