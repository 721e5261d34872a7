//! The files that a call writes besides stdout: a report, and a log of everything that happens. Both are tried before
//! anything is simulated, so that no hours are lost to a name that was typed wrongly; the scenario itself is never one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Context, anyhow};
use dht_sim::{Outcome, Scenario};
use serde_json::{Value, json};

use crate::{
    exit::{line, usage},
    output::lenient,
};

/// The page of a report.
const PAGE: &str = "report.html";
/// All its figures.
const FIGURES: &str = "outcomes.json";

/// What is written.
pub(super) struct Files {
    folder: Option<PathBuf>,
    log: Option<Log>,
}

impl Files {
    /// Makes what is missing. Only the log is emptied: an older report stays until there is a new one.
    pub(super) fn create(
        scenario: &Path,
        report: Option<&Path>,
        events: Option<&Path>,
    ) -> anyhow::Result<Self> {
        if let Some(events) = events {
            refuse_same("--events", events, scenario)?;
        }
        if let Some(folder) = report {
            // A folder hides the scenario of this name that comes with the program.
            refuse_same("--report", folder, scenario)?;
            try_folder(folder, scenario).map_err(|error| usage(line(&error)))?;
            for name in [PAGE, FIGURES] {
                events.map_or(Ok(()), |events| refuse_same("--events", events, &folder.join(name)))?;
            }
        }
        let log = events.map(Log::create).transpose().map_err(|error| usage(line(&error)))?;
        Ok(Self { folder: report.map(Path::to_owned), log })
    }

    /// Where everything that happens goes.
    pub(super) fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    /// Writes what is left; that one file fails is no reason to go without the other.
    pub(super) fn finish(self, scenario: &Scenario, outcomes: &[Outcome]) -> Vec<anyhow::Error> {
        let logged = self.log.map_or(Ok(()), Log::finish);
        let reported = self.folder.map_or(Ok(()), |folder| report(&folder, scenario, outcomes));
        [logged, reported].into_iter().filter_map(Result::err).collect()
    }
}

fn refuse_same(flag: &str, written: &Path, read: &Path) -> anyhow::Result<()> {
    if written != read && !is_same(written, read) {
        return Ok(());
    }
    Err(usage(format!("{flag} would overwrite `{}`; give another name", read.display())))
}

/// Whether both are one file that can be lost, whatever links lead there.
fn is_same(a: &Path, b: &Path) -> bool {
    let (Ok(first), Ok(second)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    if !first.is_file() || !second.is_file() {
        return false;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (first.dev(), first.ino()) == (second.dev(), second.ino())
    }
    #[cfg(not(unix))]
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn try_folder(folder: &Path, scenario: &Path) -> anyhow::Result<()> {
    let cannot = || cannot(folder);
    fs::create_dir_all(folder).with_context(cannot)?;
    for file in [PAGE, FIGURES].map(|name| folder.join(name)) {
        refuse_same("--report", &file, scenario)?;
        OpenOptions::new().write(true).create(true).truncate(false).open(file).with_context(cannot)?;
    }
    Ok(())
}

fn report(folder: &Path, scenario: &Scenario, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let cannot = || cannot(folder);
    fs::write(folder.join(PAGE), dht_sim::report(scenario, outcomes)).with_context(cannot)?;
    let data = outcomes.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
    let data = json!({ "scenario": scenario, "outcomes": data });
    fs::write(folder.join(FIGURES), data.to_string()).with_context(cannot)
}

fn cannot(path: &Path) -> String {
    format!("cannot write to `{}`", path.display())
}

/// A file of everything that happens, shared by the runs.
pub(super) struct Log {
    lines: Mutex<Lines<BufWriter<File>>>,
    path: PathBuf,
}

impl Log {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| cannot(path))?;
        Ok(Self { lines: Mutex::new(Lines::new(BufWriter::new(file))), path: path.to_owned() })
    }

    /// One line.
    pub(super) fn write(&self, json: &Value) {
        if let Ok(mut lines) = self.lines.lock() {
            lines.write(json);
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        let lines = self.lines.into_inner().map_err(|_| anyhow!("a run ended in the middle"))?;
        lenient(lines.finish()).with_context(|| cannot(&self.path))
    }
}

/// Lines up to the first that cannot be written: what comes after a gap tells another story.
struct Lines<W> {
    to: W,
    written: io::Result<()>,
}

impl<W: Write> Lines<W> {
    fn new(to: W) -> Self {
        Self { to, written: Ok(()) }
    }

    fn write(&mut self, json: &Value) {
        if self.written.is_ok() {
            self.written = writeln!(self.to, "{json}");
        }
    }

    fn finish(mut self) -> io::Result<()> {
        self.written.and_then(|()| self.to.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A medium that is full once, and then has room again.
    struct Full(bool, Vec<u8>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::take(&mut self.0) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_with_a_gap_is_no_log() {
        let mut lines = Lines::new(Full(true, Vec::new()));
        lines.write(&json!(1));
        lines.write(&json!(2));
        assert!(lines.to.1.is_empty());
        assert_eq!(lines.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_report_that_fails_leaves_the_log() {
        let folder = std::env::temp_dir().join(format!("dht-cli-gone-{}", std::process::id()));
        let (report, events) = (folder.join("report"), folder.join("events"));
        fs::create_dir_all(&folder).unwrap();
        let files = Files::create(Path::new("scenario"), Some(&report), Some(&events)).unwrap();
        files.log().unwrap().write(&json!({ "at": 1 }));
        fs::remove_dir_all(&report).unwrap();
        let faults = files.finish(&Scenario::new("x", 2), &[]);
        assert_eq!(faults.len(), 1);
        assert!(line(&faults[0]).contains("report"), "{faults:?}");
        assert_eq!(fs::read_to_string(&events).unwrap(), "{\"at\":1}\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_files_that_can_be_lost_are_protected() {
        let folder = std::env::temp_dir().join(format!("dht-cli-same-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.join(name));
        fs::write(&a, "").unwrap();
        fs::write(&b, "").unwrap();
        assert!(is_same(&a, &folder.join("../").join(folder.file_name().unwrap()).join("a")));
        assert!(!is_same(&a, &b) && !is_same(&folder, &folder) && !is_same(&a, &folder.join("c")));
        fs::remove_dir_all(&folder).unwrap();
    }
}
