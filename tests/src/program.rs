//! The built programs as child processes. None outlives its value, however the test ends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long any program of a test may run: a software renderer on two busy cores is slow, but not as slow as this.
const PATIENCE: Duration = Duration::from_secs(240);

/// A folder with the programs, for who is built elsewhere: benchmarks.
const FOLDER: &str = "GEMBA_PROGRAMS";

/// Where cargo has put a program: beside this test.
pub fn path(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return PathBuf::from(folder).join(name);
    }
    let own = std::env::current_exe().expect("a test has a path");
    let found = own.ancestors().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} has not been built: cargo build --workspace --bins"))
}

/// What a program has said and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to stdout after its first line was taken.
    pub stdout: String,
    /// All it wrote to stderr.
    pub stderr: String,
}

/// A running program.
pub struct Program {
    name: String,
    child: Child,
    stderr: PathBuf,
    _folder: tempfile::TempDir,
}

impl Program {
    /// Starts a program.
    pub fn start<I: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = I>) -> Self {
        Self::start_with(name, arguments, |_| {})
    }

    /// Starts a program whose environment `prepare` may change.
    pub fn start_with<I: AsRef<OsStr>>(
        name: &str,
        arguments: impl IntoIterator<Item = I>,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the program's output");
        let stderr = folder.path().join("stderr");
        let file = std::fs::File::create(&stderr).expect("a file for the program's stderr");
        let mut command = Command::new(path(name));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        // What one that is killed leaves behind goes with its folder.
        command.env("TMPDIR", folder.path());
        prepare(&mut command);
        let child = command.spawn().expect("the program starts");
        Self { name: name.to_owned(), child, stderr, _folder: folder }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line on stdout, by which a program says that it is ready.
    pub fn first_line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.child.stdout.as_mut().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the program's output can be read");
        assert!(!line.is_empty(), "{} did not start: {}", self.name, self.stderr());
        line.trim().to_owned()
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Ends it without warning, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("the program is ours to kill");
        self.child.wait().expect("a killed program ends");
    }

    /// Waits for it to end by itself.
    pub fn wait(mut self) -> Ended {
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("the program is our child") {
                break status.code();
            }
            let stderr = self.stderr();
            assert!(begun.elapsed() < PATIENCE, "{} has not ended; it said: {stderr}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut stdout = String::new();
        if let Some(pipe) = &mut self.child.stdout {
            pipe.read_to_string(&mut stdout).expect("the program's output is text");
        }
        Ended { code, stdout, stderr: self.stderr() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end, which must be a good one.
pub fn run<I: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = I>) -> Ended {
    let ended = Program::start(name, arguments).wait();
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    ended
}

/// A headless viewer of `target` that writes its picture and report into `folder` under this person's name.
pub struct Viewer {
    program: Program,
    folder: PathBuf,
    name: String,
}

impl Viewer {
    /// Starts it; `more` are further arguments.
    pub fn start(target: &str, folder: &Path, name: &str, more: &[&str]) -> Self {
        let file = |ending: &str| folder.join(format!("{name}.{ending}")).into_os_string();
        let arguments = ["view", target, "--headless", "--name", name, "--key"].map(Into::into);
        let files = [file("key"), "--screenshot".into(), file("png"), "--report".into(), file("json")];
        let more = more.iter().map(Into::into);
        let program = Program::start("gemba", arguments.into_iter().chain(files).chain(more));
        Self { program, folder: folder.to_owned(), name: name.to_owned() }
    }

    /// Waits for its good end; its report.
    pub fn report(self) -> serde_json::Value {
        let ended = self.program.wait();
        assert_eq!(ended.code, Some(0), "{}: {}", self.name, ended.stderr);
        let report = self.folder.join(format!("{}.json", self.name));
        let text = std::fs::read_to_string(report).expect("the viewer has written its report");
        serde_json::from_str(&text).expect("the report is JSON")
    }
}
