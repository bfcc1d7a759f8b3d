//! The machine the figures hold for, and its state when the measuring began.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::report::{Runs, timed};

/// What figures depend on.
#[derive(Serialize)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: usize,
    /// Model of the processor.
    pub cpu: String,
    /// Processes that wanted to run, on average over the last minute: above zero, something else was measured too.
    pub load: f64,
    /// Median time to write 4 KiB and have it on the disk, milliseconds: what every commit pays.
    pub fsync_ms: f64,
    /// Of the source; `+` where it was changed since.
    pub commit: String,
    /// How the program was built.
    pub profile: &'static str,
}

impl Machine {
    /// Looks at this machine, and at the disk that `work` lies on.
    pub fn look(work: &Path) -> anyhow::Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
        let loadavg = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu.unwrap_or("unknown").to_owned(),
            load: loadavg.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(-1.0),
            fsync_ms: fsync_ms(work)?,
            commit: commit(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cores, cpu, load, fsync_ms, commit, profile } = self;
        write!(f, "{cores} cores of {cpu}; load {load}; fsync {fsync_ms:.2} ms; commit {commit}, {profile}")
    }
}

fn fsync_ms(work: &Path) -> anyhow::Result<f64> {
    let mut file = tempfile::tempfile_in(work)?;
    let mut runs = Runs::default();
    for _ in 0..50 {
        let (took, written) = timed(|| file.write_all(&[0; 4096]).and_then(|()| file.sync_data()));
        written?;
        runs.push(took.as_secs_f64() * 1e3);
    }
    Ok(runs.median())
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    if changed { commit + "+" } else { commit }
}
