//! A cluster that `initdb` made once and every server is copied from, guarded against other processes and against damage.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account::Account;
use crate::deadline::poll;
use crate::error::StartError;
use crate::folder;
use crate::programs::Programs;

/// Longer than the slowest `initdb`.
const LOCKED_WITHIN: Duration = Duration::from_secs(120);
/// Changes when a template is made in another way: old ones are then left alone.
const FORM: u32 = 1;

/// The template of one version and account.
///
/// Its folder holds `data`, `password` (the superuser's), and `listing`, which is written last: what does not agree with it is made anew.
pub(crate) struct Template<'a> {
    programs: &'a Programs,
    account: &'a Account,
    store: PathBuf,
    home: PathBuf,
}

impl<'a> Template<'a> {
    /// The one whose copies go into `base`.
    pub(crate) fn new(base: &Path, programs: &'a Programs, account: &'a Account) -> Self {
        let store = base.join(format!("tollgate-pg-templates-{}", rustix::process::geteuid().as_raw()));
        let version: String = programs.version.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let home = store.join(format!("{version}-uid{}-{FORM}", account.uid));
        Self { programs, account, store, home }
    }

    /// Copies the cluster to `data`, made first if there is none or it is damaged. Gives the superuser's password.
    pub(crate) fn copy_to(&self, data: &Path) -> Result<String, StartError> {
        self.open_store()?;
        if let Some(password) = self.copy_sound(data)? {
            return Ok(password);
        }
        let lock = self.lock(File::try_lock)?;
        // Another process may have been quicker.
        let password = match self.sound()? {
            Some(password) => password,
            None => self.make()?,
        };
        folder::copy(&self.data(), data, self.account)?;
        drop(lock);
        Ok(password)
    }

    /// Many may copy at a time.
    fn copy_sound(&self, data: &Path) -> Result<Option<String>, StartError> {
        let lock = self.lock(File::try_lock_shared)?;
        let Some(password) = self.sound()? else { return Ok(None) };
        folder::copy(&self.data(), data, self.account)?;
        drop(lock);
        Ok(Some(password))
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// A folder that nobody else can write to: in a folder for temporary files somebody might have put one there for us.
    fn open_store(&self) -> Result<(), StartError> {
        match DirBuilder::new().mode(0o711).create(&self.store) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(StartError::io("making", &self.store)(e)),
            _ => {}
        }
        let meta = fs::symlink_metadata(&self.store).map_err(StartError::io("reading", &self.store))?;
        if meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o022 == 0 {
            return Ok(());
        }
        Err(StartError::Folder { path: self.store.clone(), why: "is not ours alone to write to".into() })
    }

    /// The system gives the lock back when this process ends, however it ends.
    fn lock(&self, take: fn(&File) -> Result<(), TryLockError>) -> Result<File, StartError> {
        let path = self.home.with_added_extension("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StartError::io("opening", &path))?;
        let taken = poll(LOCKED_WITHIN, || match take(&file) {
            Ok(()) => Ok(Some(())),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        });
        match taken.map_err(StartError::io("locking", &path))? {
            Some(()) => Ok(file),
            None => Err(StartError::Locked { path, seconds: LOCKED_WITHIN.as_secs() }),
        }
    }

    /// The password, if the template is whole.
    fn sound(&self) -> Result<Option<String>, StartError> {
        let Ok(recorded) = fs::read_to_string(self.home.join("listing")) else { return Ok(None) };
        let Ok(found) = folder::listing(&self.data()) else { return Ok(None) };
        if recorded != found {
            return Ok(None);
        }
        Ok(fs::read_to_string(self.home.join("password")).ok().filter(|p| !p.is_empty()))
    }

    fn make(&self) -> Result<String, StartError> {
        match fs::remove_dir_all(&self.home) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(StartError::io("removing", &self.home)(e)),
            _ => {}
        }
        DirBuilder::new().mode(0o711).create(&self.home).map_err(StartError::io("making", &self.home))?;
        let password = random_hex().map_err(StartError::io("reading", Path::new("/dev/urandom")))?;
        let file = self.home.join("password");
        write_private(&file, &password)?;
        self.account.give(&file)?;
        folder::make_private(&self.data(), self.account)?;
        self.initdb(&file)?;
        let listing = folder::listing(&self.data()).map_err(StartError::io("reading", &self.data()))?;
        write_private(&self.home.join("listing"), &listing)?;
        Ok(password)
    }

    /// A password over TCP, so that a role's password means something; none over the socket, whose folder is the owner's alone.
    fn initdb(&self, password: &Path) -> Result<(), StartError> {
        let mut command = self.account.command(&self.programs.initdb);
        command.arg("-D").arg(self.data()).args(["-U", crate::server::SUPERUSER, "-E", "UTF8", "--locale=C", "--no-sync"]);
        command.args(["--auth-local=trust", "--auth-host=scram-sha-256"]).arg("--pwfile").arg(password);
        let out = command.output().map_err(StartError::io("running", &self.programs.initdb))?;
        if out.status.success() {
            return Ok(());
        }
        let output = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        Err(StartError::Initdb { status: out.status, output: output.trim().to_owned() })
    }
}

fn write_private(path: &Path, text: &str) -> Result<(), StartError> {
    use std::io::Write as _;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes())).map_err(StartError::io("writing", path))
}

/// 128 random bits.
pub(crate) fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use std::thread;

    struct Place {
        base: tempfile::TempDir,
        programs: Programs,
        account: Account,
    }

    impl Place {
        fn new() -> Self {
            let account = Account::find().unwrap();
            let base = tempfile::tempdir_in(folder::base(None, &account).unwrap()).unwrap();
            account.give(base.path()).unwrap();
            Self { base, programs: Programs::find().unwrap(), account }
        }

        fn template(&self) -> Template<'_> {
            Template::new(self.base.path(), &self.programs, &self.account)
        }

        fn copy(&self, name: &str) -> String {
            self.template().copy_to(&self.base.path().join(name)).unwrap()
        }
    }

    #[test]
    fn made_once_and_again_only_when_damaged() {
        let place = Place::new();
        let data = place.template().data();
        let password = place.copy("a");
        assert_eq!(place.copy("b"), password, "made twice");

        let file = data.join("PG_VERSION");
        fs::write(&file, "99\n").unwrap();
        let after_change = place.copy("c");
        assert_ne!(after_change, password, "a changed file was not noticed");
        assert_eq!(fs::read(place.base.path().join("c/PG_VERSION")).unwrap(), fs::read(place.base.path().join("a/PG_VERSION")).unwrap());

        fs::remove_file(data.join("global/pg_control")).unwrap();
        let after_loss = place.copy("d");
        assert_ne!(after_loss, after_change, "a missing file was not noticed");

        fs::remove_file(place.template().home.join("listing")).unwrap();
        assert_ne!(place.copy("e"), after_loss, "a half-made template was not noticed");
    }

    #[test]
    fn those_who_come_at_once_share_one() {
        let place = Place::new();
        let passwords: Vec<String> = thread::scope(|scope| {
            let copies: Vec<_> = ["a", "b", "c"].map(|name| scope.spawn(|| place.copy(name))).into_iter().collect();
            copies.into_iter().map(|c| c.join().unwrap()).collect()
        });
        assert_eq!(passwords[0], passwords[1]);
        assert_eq!(passwords[0], passwords[2]);
    }

    #[test]
    fn a_store_that_others_can_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = Place::new();
        let store = place.template().store.clone();
        fs::create_dir(&store).unwrap();
        fs::set_permissions(&store, fs::Permissions::from_mode(0o777)).unwrap();
        let refused = place.template().copy_to(&place.base.path().join("a")).unwrap_err();
        assert!(matches!(refused, StartError::Folder { .. }), "{refused}");
    }
}
