//! The archive as a folder: one export per range, its sealed values beside it. Knows files, not what they mean.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tollgate_worker::Archive;

/// A folder of archived ranges: `<log>-<from>-<to>.jsonl`, and `….sealed` beside it.
#[derive(Clone, Debug)]
pub struct ArchiveFolder {
    dir: PathBuf,
}

impl ArchiveFolder {
    /// Makes the folder if it is not there, private to its owner.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn name(log: &str, (from, to): (u64, u64)) -> String {
        // Positions of one width, so that the files of a log lie in its order.
        format!("{}-{from:012}-{to:012}", log.replace('/', "."))
    }

    fn path(&self, log: &str, range: (u64, u64), tail: &str) -> PathBuf {
        self.dir.join(format!("{}.{tail}", Self::name(log, range)))
    }

    fn fill(&self, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
        let mut temp = path.as_os_str().to_owned();
        temp.push(".new");
        let temp = PathBuf::from(temp);
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(temp)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

impl Archive for ArchiveFolder {
    fn ranges(&self, log: &str) -> io::Result<Vec<(u64, u64)>> {
        let prefix = format!("{}-", log.replace('/', "."));
        let mut out = Vec::new();
        for file in fs::read_dir(&self.dir)? {
            let name = file?.file_name();
            let range = name.to_str().and_then(|n| n.strip_prefix(&prefix)?.strip_suffix(".jsonl")?.split_once('-'));
            out.extend(range.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?))));
        }
        out.sort_unstable();
        Ok(out)
    }

    fn export(&self, log: &str, range: (u64, u64)) -> io::Result<Vec<u8>> {
        fs::read(self.path(log, range, "jsonl"))
    }

    fn put(&self, log: &str, range: (u64, u64), export: &[u8], sealed: &[u8]) -> io::Result<()> {
        let (path, beside) = (self.path(log, range, "jsonl"), self.path(log, range, "sealed"));
        if path.symlink_metadata().is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{}` is there already", path.display())));
        }
        fs::rename(self.fill(&beside, sealed)?, &beside)?;
        self.sync()?;
        let temp = self.fill(&path, export)?;
        // A link takes no name that is taken.
        fs::hard_link(&temp, &path)?;
        fs::remove_file(&temp)?;
        self.sync()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
mod tests {
    use super::*;

    #[test]
    fn what_is_archived_is_never_overwritten_and_half_of_it_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let archive = ArchiveFolder::open(&dir.path().join("a")).unwrap();
        let log = "rs_x/t_y/live";
        // What a crash leaves before the export has its name.
        fs::write(archive.path(log, (256, 512), "sealed"), b"old").unwrap();
        fs::write(dir.path().join("a/rs_x.t_y.live-000000000256-000000000512.jsonl.new"), b"half").unwrap();
        assert_eq!(archive.ranges(log).unwrap(), []);
        archive.put(log, (256, 512), b"export", b"sealed").unwrap();
        archive.put(log, (0, 256), b"first", b"").unwrap();
        assert_eq!(archive.put(log, (256, 512), b"other", b"other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(archive.ranges(log).unwrap(), [(0, 256), (256, 512)]);
        assert_eq!(archive.ranges("rs_x/t_y/test").unwrap(), []);
        assert_eq!(archive.export(log, (256, 512)).unwrap(), b"export");
        assert_eq!(fs::read(archive.path(log, (256, 512), "sealed")).unwrap(), b"sealed");
    }
}
