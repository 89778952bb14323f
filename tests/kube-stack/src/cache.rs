//! What is built or downloaded once per machine, for every clone on it.
//!
//! Invariant: an entry gets its name when all of it is written, and is compared with its checksums whenever a
//! clone takes it; one that does not hold is made again. A clone has links to an entry's files, so the cache
//! can be deleted at any time.
//!
//! An entry is the folder `<name>-<key>`, and its key changes with anything that it is made from. Its
//! checksums are what `sha256sum --check SHA256SUMS` reads.

use std::collections::BTreeMap;
use std::env;
use std::fmt::{self, Display, Write as _};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};
use ring::digest::{Context, SHA256};

use super::guests;
use super::lock::Lock;
use super::progress::Progress;

/// Overrides where the cache is.
const VARIABLE: &str = "STACK_CACHE";
const SUMS: &str = "SHA256SUMS";
/// Where entries are made.
const FRESH: &str = "fresh";
/// Entries that stay of each name: what clones before and after a change of versions need.
const KEPT: usize = 2;

/// What a thing is called, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    name: String,
    key: String,
}

impl Entry {
    /// The key is that of [`key`].
    #[must_use]
    pub fn new(name: &str, key: String) -> Self {
        Self {
            name: name.to_owned(),
            key,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.name, self.key)
    }
}

/// Changes with every part, and with the kind of machine.
pub fn key<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> String {
    let mut context = Context::new(&SHA256);
    let mut add = |part: &[u8]| {
        // So that no two lists of parts read alike.
        context.update(&part.len().to_be_bytes());
        context.update(part);
    };
    add(env::consts::ARCH.as_bytes());
    for part in parts {
        add(part.as_ref());
    }
    let mut key = hex(context.finish().as_ref());
    key.truncate(16);
    key
}

/// The machine's cache.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `STACK_CACHE`, else the project's folder where this user's caches are.
    pub fn here() -> Result<Self> {
        let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
        let root = match env::var_os(VARIABLE) {
            Some(folder) => PathBuf::from(folder),
            None => env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(home)
                .with_context(|| format!("set {VARIABLE}: there is no home to have a cache in"))?
                .join(guests::project()),
        };
        let root = std::path::absolute(root).context("the cache's path is empty")?;
        Ok(Self::at(root))
    }

    const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Puts what the entry has into the folder `to`, whose other files stay. `make` fills an empty folder with
    /// it, if the cache has none that is whole. Others who want one of this name wait.
    pub async fn take(
        &self,
        entry: &Entry,
        to: &Path,
        progress: &Progress,
        make: impl AsyncFnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let _alone = self.lock(entry, progress).await?;
        if !self.has(entry, progress)? {
            let folder = self.fresh(entry)?;
            make(&folder).await?;
            self.keep(entry, &folder)?;
        }
        self.give(entry, to)
    }

    /// Like [`Cache::take`], but says whether there is one instead of making it.
    pub(super) async fn take_made(
        &self,
        entry: &Entry,
        to: &Path,
        progress: &Progress,
    ) -> Result<bool> {
        let _alone = self.lock(entry, progress).await?;
        let found = self.has(entry, progress)?;
        if found {
            self.give(entry, to)?;
        }
        Ok(found)
    }

    /// Keeps what is in a folder, unless there is such an entry.
    pub(super) async fn put(&self, entry: &Entry, from: &Path, progress: &Progress) -> Result<()> {
        let _alone = self.lock(entry, progress).await?;
        if self.has(entry, progress)? {
            return Ok(());
        }
        let folder = self.fresh(entry)?;
        for file in files(from)? {
            link(&from.join(&file), &folder.join(&file))?;
        }
        self.keep(entry, &folder)
    }

    async fn lock(&self, entry: &Entry, progress: &Progress) -> Result<Lock> {
        Lock::take(&self.root.join(format!("{}.lock", entry.name)), progress).await
    }

    fn folder(&self, entry: &Entry) -> PathBuf {
        self.root.join(entry.to_string())
    }

    /// Whether there is such an entry; one that is not whole is taken away.
    fn has(&self, entry: &Entry, progress: &Progress) -> Result<bool> {
        let folder = self.folder(entry);
        if !folder.exists() {
            return Ok(false);
        }
        let Err(why) = check(&folder) else {
            return Ok(true);
        };
        progress.note(format_args!("{} is made again: {why:#}", folder.display()));
        fs::remove_dir_all(&folder)?;
        Ok(false)
    }

    /// An empty folder to make an entry in.
    fn fresh(&self, entry: &Entry) -> Result<PathBuf> {
        let prefix = format!("{}-", entry.name);
        let all = self.root.join(FRESH);
        fs::create_dir_all(&all).with_context(|| format!("cannot make {}", all.display()))?;
        // Left by those who were killed.
        for left in named(&all, &prefix)? {
            fs::remove_dir_all(left)?;
        }
        // A name of our own: a compiler that outlived a killed caller may still write to that one's.
        let folder = all.join(format!("{prefix}{}", std::process::id()));
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Makes a folder an entry, and drops entries of its name that nobody took for long.
    fn keep(&self, entry: &Entry, folder: &Path) -> Result<()> {
        let mut sums = String::new();
        for file in files(folder)? {
            writeln!(sums, "{}  {}", sum(&folder.join(&file))?, file.display())?;
        }
        fs::write(folder.join(SUMS), sums)?;
        fs::rename(folder, self.folder(entry))?;
        let mut all = named(&self.root, &format!("{}-", entry.name))?;
        all.retain(|path| *path != self.folder(entry));
        all.sort_by_key(|path| std::cmp::Reverse(taken(path)));
        for old in all.into_iter().skip(KEPT - 1) {
            fs::remove_dir_all(old)?;
        }
        Ok(())
    }

    fn give(&self, entry: &Entry, to: &Path) -> Result<()> {
        let folder = self.folder(entry);
        for file in files(&folder)? {
            link(&folder.join(&file), &to.join(&file))?;
        }
        let sums = File::options().append(true).open(folder.join(SUMS))?;
        Ok(sums.set_modified(SystemTime::now())?)
    }
}

/// Fails if something is missing, different or too much.
fn check(folder: &Path) -> Result<()> {
    let sums = fs::read_to_string(folder.join(SUMS)).context("its checksums")?;
    let mut wanted = BTreeMap::new();
    for line in sums.lines() {
        let (sum, file) = line.split_once("  ").context("its checksums are damaged")?;
        wanted.insert(PathBuf::from(file), sum);
    }
    ensure!(!wanted.is_empty(), "its checksums are empty");
    for file in files(folder)? {
        let shown = file.display();
        match wanted.remove(&file) {
            None => bail!("{shown} does not belong to it"),
            Some(wanted) => ensure!(sum(&folder.join(&file))? == wanted, "{shown} is damaged"),
        }
    }
    match wanted.into_keys().next() {
        None => Ok(()),
        Some(file) => bail!("{} is missing", file.display()),
    }
}

/// The files below a folder, by their paths in it, but for the checksums.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inner) = open.pop() {
        for entry in fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(path);
            } else if !kind.is_file() {
                bail!("{} is neither a file nor a folder", entry.path().display());
            } else if path != Path::new(SUMS) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Folders whose names begin with this and end with a key or a process id, which have no dash.
fn named(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(prefix));
        if entry.file_type()?.is_dir() && rest.is_some_and(|rest| !rest.contains('-')) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// When an entry was last taken.
fn taken(folder: &Path) -> Option<SystemTime> {
    fs::metadata(folder.join(SUMS)).ok()?.modified().ok()
}

/// Another name for a file, or a copy where there can be none. A program that runs from `to` keeps its own file.
fn link(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if part.exists() {
        fs::remove_file(&part)?;
    }
    // Not possible from one file system to another.
    if fs::hard_link(from, &part).is_err() {
        fs::copy(from, &part)
            .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    }
    // Of two names of one file, a rename does nothing and leaves both.
    if to.exists() {
        fs::remove_file(to)?;
    }
    Ok(fs::rename(&part, to)?)
}

fn sum(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => context.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(hex(context.finish().as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tempfile::TempDir;
    use tokio::sync::Notify;

    use super::*;

    /// A cache, a clone's folder, and how often an entry was made.
    struct Bench {
        folder: TempDir,
        cache: Cache,
        made: Cell<u32>,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self {
                cache: Cache::at(folder.path().join("cache")),
                folder,
                made: Cell::new(0),
            }
        }

        fn clone_folder(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        async fn take(&self, entry: &Entry, clone: &str) -> Result<()> {
            let make = async |folder: &Path| {
                self.made.set(self.made.get() + 1);
                fs::create_dir(folder.join("inner"))?;
                fs::write(folder.join("inner/tool"), format!("of {entry}"))?;
                Ok(fs::write(folder.join("program"), "runs")?)
            };
            let to = self.clone_folder(clone);
            self.cache.take(entry, &to, &Progress::quiet(), make).await
        }
    }

    fn entry(key: &str) -> Entry {
        Entry::new("kube", key.to_owned())
    }

    #[test]
    fn a_key_changes_with_each_part() {
        let keys = [
            key(["1.35.4", "go.mod", "go.sum"]),
            key(["1.35.5", "go.mod", "go.sum"]),
            key(["1.35.4", "go.mod of another", "go.sum"]),
            key(["1.35.4", "go.mod", "go.sum", "patch"]),
            key(["1.35.4go.mod", "go.sum"]),
            key(["go.mod", "1.35.4", "go.sum"]),
        ];
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
        assert_eq!(keys[0], key(["1.35.4", "go.mod", "go.sum"]));
    }

    #[tokio::test]
    async fn an_entry_is_made_once_for_all_clones() {
        let bench = Bench::new();
        bench.take(&entry("one"), "first").await.unwrap();
        bench.take(&entry("one"), "second").await.unwrap();
        assert_eq!(bench.made.get(), 1);
        for clone in ["first", "second"] {
            let tool = bench.clone_folder(clone).join("inner/tool");
            assert_eq!(fs::read_to_string(tool).unwrap(), "of kube-one");
            assert!(!bench.clone_folder(clone).join(SUMS).exists());
        }
    }

    #[tokio::test]
    async fn a_damaged_entry_is_made_again() {
        let bench = Bench::new();
        let entry = entry("one");
        bench.take(&entry, "first").await.unwrap();
        let folder = bench.cache.folder(&entry);
        let damages: [fn(&Path); 6] = [
            |folder| fs::write(folder.join("program"), "ruin").unwrap(),
            |folder| fs::write(folder.join("program"), "").unwrap(),
            |folder| fs::remove_file(folder.join("inner/tool")).unwrap(),
            |folder| fs::write(folder.join("stranger"), "").unwrap(),
            |folder| fs::remove_file(folder.join(SUMS)).unwrap(),
            |folder| fs::remove_dir_all(folder).unwrap(),
        ];
        for (damage, made) in damages.into_iter().zip(2..) {
            damage(&folder);
            bench.take(&entry, "second").await.unwrap();
            assert_eq!(bench.made.get(), made);
            let program = bench.clone_folder("second").join("program");
            assert_eq!(fs::read_to_string(program).unwrap(), "runs");
        }
    }

    #[tokio::test]
    async fn a_clone_keeps_what_it_has_when_the_cache_goes() {
        let bench = Bench::new();
        bench.take(&entry("one"), "first").await.unwrap();
        fs::remove_dir_all(&bench.cache.root).unwrap();
        let program = bench.clone_folder("first").join("program");
        assert_eq!(fs::read_to_string(program).unwrap(), "runs");
    }

    #[tokio::test]
    async fn an_entry_that_could_not_be_made_is_none() {
        let bench = Bench::new();
        let entry = entry("one");
        let fail = async |folder: &Path| {
            fs::write(folder.join("program"), "half")?;
            bail!("the network went away")
        };
        let to = bench.clone_folder("first");
        let failed = bench
            .cache
            .take(&entry, &to, &Progress::quiet(), fail)
            .await;
        assert_eq!(failed.unwrap_err().to_string(), "the network went away");
        assert!(!bench.cache.folder(&entry).exists() && !to.exists());
        bench.take(&entry, "first").await.unwrap();
        assert_eq!(fs::read_to_string(to.join("program")).unwrap(), "runs");
    }

    #[tokio::test]
    async fn entries_of_one_name_are_made_one_after_the_other() {
        let bench = Bench::new();
        let asked = Notify::new();
        let slow = async |folder: &Path| {
            asked.notified().await;
            Ok(fs::write(folder.join("program"), "runs")?)
        };
        let to = bench.clone_folder("first");
        let one = entry("one");
        let quiet = Progress::quiet();
        let first = bench.cache.take(&one, &to, &quiet, slow);
        let second = async {
            asked.notify_one();
            bench.take(&one, "second").await
        };
        tokio::try_join!(first, second).unwrap();
        assert_eq!(bench.made.get(), 0, "the second takes what the first made");
    }

    #[tokio::test]
    async fn old_entries_go_and_the_one_taken_last_stays() {
        let bench = Bench::new();
        let age = |key: &str, seconds| {
            let sums = bench.cache.folder(&entry(key)).join(SUMS);
            let sums = File::options().append(true).open(sums).unwrap();
            sums.set_modified(SystemTime::now() - Duration::from_secs(seconds))
                .unwrap();
        };
        bench.take(&entry("one"), "first").await.unwrap();
        age("one", 100);
        bench.take(&entry("two"), "first").await.unwrap();
        age("two", 50);
        bench.take(&entry("one"), "first").await.unwrap();
        bench.take(&entry("three"), "first").await.unwrap();
        let there = |key: &str| bench.cache.folder(&entry(key)).exists();
        assert!(there("one") && there("three"));
        assert!(!there("two"));
        let other = Entry::new("kube-proxy", "four".to_owned());
        bench.take(&other, "first").await.unwrap();
        assert!(there("one") && there("three"), "that is another name");
    }
}
