//! A rig that wears the headset: a viewer inside a real OpenXR runtime (Monado, in its own process, with a compositor that
//! shows nothing), whose head and hands a test moves and through whose eyes it looks.
//!
//! `./gemba test` builds the runtime once; without it the rig says so and its tests are skipped. The pictures are the
//! viewer's own (`--eyes`), one of each eye.

mod remote;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::picture::Picture;
use crate::plant_site::eventually;
use crate::program;
pub use remote::{Controller, Person, Pose, Remote};

/// The runtime's manifest; none, with a clear line, where it has not been built.
pub fn runtime(test: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let manifest = home.join(".cache/gemba/monado-25.0.0/openxr_monado.json");
    if manifest.is_file() {
        return Some(manifest);
    }
    println!("{test}: skipped, there is no OpenXR runtime for tests; `./gemba test` builds it where apt can fetch it");
    None
}

/// A viewer in the headset.
pub struct Rig {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    name: String,
    looks: u32,
    remote: Option<Remote>,
    /// The person as they were last put.
    pub person: Person,
}

/// What was seen at one moment.
#[derive(Debug)]
pub struct Look {
    /// How the person stood, as the viewer's `--eyes` tells it.
    pub standing: Value,
    /// What each eye saw, left first.
    pub eyes: [Picture; 2],
}

impl Rig {
    /// Puts on the headset before `target`: returns once the session has focus and the plant is there.
    pub fn enter(runtime: &Path, target: &str, folder: &Path, name: &str) -> Self {
        let port = remote::free_port();
        let config = folder.join(format!("{name}-config"));
        std::fs::create_dir_all(config.join("monado")).expect("a folder for the runtime's settings");
        let settings = format!("{{\"remote\":{{\"version\":0,\"port\":{port},\"view_count\":2}}}}");
        std::fs::write(config.join("monado/config_v0.json"), settings).expect("the runtime's settings");
        let file = |ending: &str| folder.join(format!("{name}.{ending}"));
        let mut command = Command::new(program::path("gemba"));
        command
            .args(["view", target, "--xr", "--headless", "--size", "640x360", "--name", name, "--eyes"])
            .arg(folder)
            .arg("--key")
            .arg(file("key"))
            .arg("--report")
            .arg(file("json"))
            .env("XDG_CONFIG_HOME", &config)
            .env("XR_RUNTIME_JSON", runtime)
            .env("XRT_COMPOSITOR_NULL", "1")
            .env("P_OVERRIDE_ACTIVE_CONFIG", "remote")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(file("stderr")).expect("a file for stderr"));
        let mut child = command.spawn().expect("the viewer starts");
        let words = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (folder, name) = (folder.to_owned(), name.to_owned());
        let mut rig = Self { child, words, answers, folder, name, looks: 0, remote: None, person: Person::default() };
        // The runtime listens once the viewer has entered it: before that, a throw-away instance does.
        eventually("the session has focus and the plant is there", || {
            let standing = rig.ask();
            (standing["state"] == "Focused" && standing["ready"] == true).then_some(())
        });
        rig.remote = Some(Remote::connect(port));
        rig.put(|_| {});
        rig
    }

    /// Moves the person; returns once the viewer has them there.
    pub fn put(&mut self, change: impl FnOnce(&mut Person)) -> Value {
        change(&mut self.person);
        self.remote.as_mut().expect("entered").tell(&self.person);
        let wanted = self.person;
        eventually("the viewer has the person where the rig has put them", || {
            let standing = self.ask();
            wanted.is_at(&standing).then_some(standing)
        })
    }

    /// What both eyes see now.
    pub fn look(&mut self) -> Look {
        let standing = self.ask();
        let word = format!("{}-{}", self.name, self.looks);
        let eyes = ["left", "right"].map(|eye| Picture::read(&self.folder.join(format!("{word}-{eye}.png"))));
        Look { standing, eyes }
    }

    /// How the person stands now.
    pub fn ask(&mut self) -> Value {
        self.looks += 1;
        let word = format!("{}-{}", self.name, self.looks);
        let words = self.words.as_mut().expect("the headset is on");
        writeln!(words, "{word}").and_then(|()| words.flush()).expect("the viewer listens");
        let mut answer = String::new();
        // The runtime writes to stdout too: its lines are not answers.
        while answer.trim() != word {
            answer.clear();
            let read = self.answers.read_line(&mut answer).expect("the viewer answers");
            assert!(read > 0, "{} has ended: {}", self.name, self.stderr());
        }
        let text = std::fs::read_to_string(self.folder.join(format!("{word}.json"))).expect("the viewer tells");
        serde_json::from_str(&text).expect("it tells JSON")
    }

    /// What the viewer and its runtime have written to stderr.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.join(format!("{}.stderr", self.name))).unwrap_or_default()
    }

    /// Takes the headset off: the viewer's report.
    pub fn leave(mut self) -> Value {
        self.words = None;
        let status = self.child.wait().expect("the viewer ends");
        assert!(status.success(), "{}: {status}: {}", self.name, self.stderr());
        let report = std::fs::read_to_string(self.folder.join(format!("{}.json", self.name))).expect("its report");
        serde_json::from_str(&report).expect("the report is JSON")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
