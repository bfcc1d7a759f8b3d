//! `gemba demo`: the real parts, each in a process of its own on this machine: plant generator, simulator with its
//! OPC UA server, host with its gateway, and this viewer. What is shown is what is shipped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bevy::app::AppExit;

use crate::args::Demo;
use crate::{app, target};

/// How long a program may take to end once it has been told to.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process that lives as long as this value.
pub struct Companion {
    name: String,
    child: Child,
}

impl Companion {
    /// Starts a program that was built with this one; its stdout is ours to read, its stderr goes to the terminal.
    pub fn start(name: &str, arguments: &[&OsStr]) -> Result<Self> {
        let program = target::beside(name)?;
        let mut command = Command::new(&program);
        // The other end of its stdin is ours and closes when we end, however that happens: what has been told to end
        // then leaves nothing behind.
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// The first line the program prints, which says that it is ready and where.
    pub fn first_line(&mut self) -> Result<String> {
        let stdout = self.child.stdout.as_mut().context("its output was taken already")?;
        let mut line = String::new();
        // A line is short; a program gone wild must not fill our memory.
        BufReader::new(stdout.take(4096))
            .read_line(&mut line)
            .with_context(|| format!("cannot read from {}", self.name))?;
        if line.trim().is_empty() {
            bail!("{} did not start (its own message stands above)", self.name);
        }
        Ok(line.trim().to_owned())
    }

    /// Waits for the program to end well.
    fn finish(mut self) -> Result<()> {
        let status = self.child.wait().with_context(|| format!("lost {}", self.name))?;
        if !status.success() {
            bail!("{} failed (its own message stands above)", self.name);
        }
        Ok(())
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // Told to end by this, it takes its temporary files along.
        drop(self.child.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Crash-only: the record loses nothing by it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that goes when the demo ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("gemba-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts everything and shows it.
pub fn run(demo: &Demo) -> Result<AppExit> {
    let scratch = Scratch::new()?;
    let site = demo.site.clone().unwrap_or_else(|| scratch.0.join("demo"));
    let is_new = !site.join("site.record").exists();
    if is_new {
        import_plant(demo, &scratch.0, &site)?;
    }
    let (lines, seed) = (demo.lines.to_string(), demo.seed.to_string());
    let mut simulator = Companion::start(
        "gembactl",
        &["simulate", "--until-stdin-closes", "--listen", "127.0.0.1:0", "--lines", &lines, "--seed", &seed]
            .map(OsStr::new),
    )?;
    let endpoint = simulator.first_line()?;
    let arguments =
        ["--until-stdin-closes", "--listen", "127.0.0.1:0", "--admit", "editor", "--opcua", &endpoint].map(OsStr::new);
    let mut host = Companion::start("gembad", &[&[site.as_os_str()], &arguments[..]].concat())?;
    let address = host.first_line()?;
    if !demo.viewing.headless {
        eprintln!("gemba: others can join with:  ./gemba view '{address}'");
    }
    // Whoever starts a plant of their own may do everything in it.
    let address = if is_new { invitation(&site)? } else { address };
    let exit = app::run_viewer(target::site(&address, &demo.viewing)?, &demo.viewing);
    drop((host, simulator));
    exit
}

/// A link that makes who opens it an owner of the site.
fn invitation(site: &Path) -> Result<String> {
    let arguments = ["invite", "owner", "--for", "1h", "--site"].map(OsStr::new);
    let mut inviting =
        Companion::start("gembactl", &[&arguments[..], &[site.as_os_str(), OsStr::new("--json")]].concat())?;
    let line = inviting.first_line()?;
    inviting.finish()?;
    let told: serde_json::Value = serde_json::from_str(&line).context("the invitation cannot be read")?;
    told["link"].as_str().map(str::to_owned).context("the invitation holds no link")
}

fn import_plant(demo: &Demo, scratch: &Path, site: &Path) -> Result<()> {
    let model = scratch.join("plant.glb");
    let lines = demo.lines.to_string();
    let generate = ["plant", "generate", "--lines", &lines, "--out"].map(OsStr::new);
    Companion::start("gembactl", &[&generate[..], &[model.as_os_str()]].concat())?.finish()?;
    let import = [OsStr::new("import"), model.as_os_str(), OsStr::new("--site"), site.as_os_str()];
    Companion::start("gembactl", &import)?.finish()
}
