//! A rig that wears the headset: a viewer inside a real OpenXR runtime (Monado, in its own process, with a compositor that
//! shows nothing), whose head and hands a test moves and through whose eyes it looks.
//!
//! `./gemba test` builds the runtime once; without it the rig says so and its tests are skipped. The pictures are the
//! viewer's own (`--eyes`), one of each eye.

mod loss;
mod remote;
mod validation;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::picture::Picture;
use crate::plant_site::eventually;
use crate::program;
pub use loss::{Fate, Loss, Offer};
pub use remote::{Controller, Person, Pose, Remote};
pub use validation::Validation;

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

/// How long the viewer may take to have the person where they are, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Frames for which what is written on a panel must have stood still before somebody presses it.
const STILL: u32 = 8;
/// A panel before machines that move may never rest: so long it is waited for.
const RESTLESS: Duration = Duration::from_secs(10);

/// After this long without an effect, headset and controllers are connected anew.
const UNHEARD: Duration = Duration::from_secs(10);

/// A viewer in the headset.
pub struct Rig {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    name: String,
    looks: u32,
    port: u16,
    remote: Option<Remote>,
    begun: SystemTime,
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
    /// What each saw in its inset, if the headset has such.
    pub insets: Option<[Picture; 2]>,
}

impl Rig {
    /// Puts on the headset before `target`: returns once the session has focus and the plant is there.
    pub fn enter(runtime: &Path, target: &str, folder: &Path, name: &str) -> Self {
        Self::enter_with(runtime, target, folder, name, |_| {})
    }

    /// The same with arguments and an environment that `prepare` may change.
    pub fn enter_with(
        runtime: &Path,
        target: &str,
        folder: &Path,
        name: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let mut rig = Self::start(runtime, target, folder, name, prepare);
        // The runtime listens once the viewer has entered it.
        rig.await_state("Focused");
        rig.wear();
        rig
    }

    /// Starts the viewer and does not wait for anything: whether there is a headset is for `prepare` to say.
    pub fn start(runtime: &Path, target: &str, folder: &Path, name: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let port = remote::free_port();
        let config = folder.join(format!("{name}-config"));
        std::fs::create_dir_all(config.join("monado")).expect("a folder for the runtime's settings");
        let settings = format!("{{\"remote\":{{\"version\":0,\"port\":{port},\"view_count\":2}}}}");
        std::fs::write(config.join("monado/config_v0.json"), settings).expect("the runtime's settings");
        let file = |ending: &str| folder.join(format!("{name}.{ending}"));
        let mut command = Command::new(program::path("gemba"));
        command
            .args(["view", target, "--xr", "--headless", "--size", "1000x620", "--name", name, "--eyes"])
            .arg(folder)
            .arg("--key")
            .arg(file("key"))
            .arg("--report")
            .arg(file("json"))
            .env("XDG_CONFIG_HOME", &config)
            .env("XR_RUNTIME_JSON", runtime)
            .env("XRT_COMPOSITOR_NULL", "1")
            .env("P_OVERRIDE_ACTIVE_CONFIG", "remote")
            // This runtime's remote headset ends the process when it is asked for one.
            .env("GEMBA_XR_WITHOUT", "XR_KHR_visibility_mask")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(file("stderr")).expect("a file for stderr"));
        prepare(&mut command);
        let begun = SystemTime::now();
        let mut child = command.spawn().expect("the viewer starts");
        let words = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (folder, name) = (folder.to_owned(), name.to_owned());
        let person = Person::default();
        Self { child, words, answers, folder, name, looks: 0, port, remote: None, begun, person }
    }

    /// Waits until the headset's session stands so and the plant is there.
    pub fn await_state(&mut self, state: &str) -> Value {
        eventually(&format!("the headset is {state} and the plant is there"), || {
            let standing = self.ask();
            (standing["state"] == state && standing["ready"] == true).then_some(standing)
        })
    }

    /// Takes the headset and controllers on again, after the runtime that had them has gone.
    pub fn wear(&mut self) {
        self.remote = None;
        self.remote = Some(Remote::connect(self.port));
        self.put(|_| {});
    }

    /// Lets go of headset and controllers, as when the runtime ends.
    pub fn unplug(&mut self) {
        self.remote = None;
    }

    /// Waits for words on the panel; where they are, tracking space.
    pub fn find(&mut self, words: &str) -> [f32; 3] {
        eventually(&format!("the panel says '{words}'"), || place_of(&self.ask(), words))
    }

    /// Waits for words on the panel that contain these.
    pub fn find_like(&mut self, part: &str) -> String {
        eventually(&format!("the panel says something with '{part}'"), || {
            let standing = self.ask();
            let written = standing["written"].as_array()?;
            let mut words = written.iter().filter_map(|written| written[0].as_str());
            words.find(|words| words.contains(part)).map(str::to_owned)
        })
    }

    /// Waits for words on the panel; where what is drawn next after them is.
    pub fn find_after(&mut self, words: &str) -> [f32; 3] {
        let begun = Instant::now();
        eventually(&format!("the panel says something after '{words}'"), || {
            let standing = self.ask_at_rest(begun)?;
            let written = standing["written"].as_array()?;
            // What lies over the rest is drawn last.
            let at = written.iter().rposition(|written| written[0] == words)?;
            written.get(at + 1).map(place_in)
        })
    }

    /// Waits for words on the panel; where what is drawn right before them is.
    pub fn find_before(&mut self, words: &str) -> [f32; 3] {
        let begun = Instant::now();
        eventually(&format!("the panel says something before '{words}'"), || {
            let standing = self.ask_at_rest(begun)?;
            let written = standing["written"].as_array()?;
            let at = written.iter().position(|written| written[0] == words)?;
            written.get(at.checked_sub(1)?).map(place_in)
        })
    }

    /// Presses keys of the keyboard that lies over the panel.
    pub fn type_keys(&mut self, keys: &[&str]) {
        self.find("Space");
        for key in keys {
            // Keys are drawn last: what is written below them may read the same.
            let begun = Instant::now();
            let at = eventually(&format!("there is a key '{key}'"), || {
                self.ask_at_rest(begun)?["written"].as_array()?.iter().rfind(|written| written[0] == *key).map(place_in)
            });
            self.press_at(at);
        }
    }

    /// Points with the right hand, and pulls the trigger, at words on the panel, as soon as they are there and stay there.
    pub fn press(&mut self, words: &str) {
        let begun = Instant::now();
        let mut at = self.find(words);
        let mut still = 0;
        // A panel may be on its way nearer, before what stands behind it, or about to go back a second later: whoever
        // aims meanwhile presses something else.
        while still < STILL {
            let standing = self.ask();
            let rests = is_at_rest(&standing, begun);
            let now = place_of(&standing, words);
            let moved = now.map_or(f32::MAX, |now| (0..3).map(|axis| (now[axis] - at[axis]).abs()).fold(0.0, f32::max));
            still = if rests && moved < 0.002 { still + 1 } else { 0 };
            at = now.unwrap_or_else(|| self.find(words));
        }
        self.press_at(at);
    }

    /// Points with the right hand at a place, tracking space, and pulls the trigger.
    pub fn press_at(&mut self, at: [f32; 3]) {
        self.aim(at);
        self.put(|person| person.hands[1].trigger = 1.0);
        self.put(|person| person.hands[1].trigger = 0.0);
    }

    /// Points with the right hand at a place, tracking space.
    pub fn aim(&mut self, at: [f32; 3]) -> Value {
        self.put(|person| person.hands[1].pose = Pose::towards(person.hands[1].pose.place, at))
    }

    /// Presses the menu button of the right hand until the panel is open; how the person stands then.
    pub fn open_panel(&mut self) -> Value {
        self.put(|person| person.hands[1].menu = true);
        self.put(|person| person.hands[1].menu = false);
        eventually("the panel is open", || Some(self.ask()).filter(|standing| standing["panel"] == true))
    }

    /// When the viewer was started.
    pub fn begun(&self) -> SystemTime {
        self.begun
    }

    /// Moves the person and does not wait: the viewer has them there when it next asks.
    pub fn tell(&mut self, change: impl FnOnce(&mut Person)) {
        change(&mut self.person);
        self.remote.as_mut().expect("entered").tell(&self.person);
    }

    /// Moves the person; returns once the viewer has them there.
    pub fn put(&mut self, change: impl FnOnce(&mut Person)) -> Value {
        self.tell(change);
        let wanted = self.person;
        let begun = Instant::now();
        let mut told = begun;
        loop {
            let standing = self.ask();
            if wanted.is_at(&standing) {
                return standing;
            }
            // A viewer that could not have a session again may have asked for the runtime anew: then the devices hang
            // on one that has ended, and nothing says so to who writes to them.
            if told.elapsed() > UNHEARD {
                self.remote = None;
                let mut remote = Remote::connect(self.port);
                remote.tell(&self.person);
                self.remote = Some(remote);
                told = Instant::now();
            }
            let stderr = self.stderr();
            let late = stderr.lines().rev().take(20).collect::<Vec<_>>().join("\n");
            assert!(begun.elapsed() < PATIENCE, "the viewer has not got {wanted:?}; it has {standing}\n{late}");
        }
    }

    /// What both eyes see now, and their insets if there are any.
    pub fn look(&mut self) -> Look {
        let standing = self.say("look-");
        let word = format!("look-{}-{}", self.name, self.looks);
        let file = |view: &str| self.folder.join(format!("{word}-{view}.png"));
        let eyes = ["left", "right"].map(|eye| Picture::read(&file(eye)));
        let has_insets = file("left-inset").is_file();
        let insets = has_insets.then(|| ["left-inset", "right-inset"].map(|inset| Picture::read(&file(inset))));
        Look { standing, eyes, insets }
    }

    /// How the person stands now.
    pub fn ask(&mut self) -> Value {
        self.say("")
    }

    /// The same, unless the panel is still on its way: then, soon, what is aimed at is elsewhere.
    fn ask_at_rest(&mut self, since: Instant) -> Option<Value> {
        Some(self.ask()).filter(|standing| is_at_rest(standing, since))
    }

    fn say(&mut self, kind: &str) -> Value {
        self.looks += 1;
        let word = format!("{kind}{}-{}", self.name, self.looks);
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

    /// The viewer's process.
    pub fn process(&self) -> u32 {
        self.child.id()
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

/// Whether the panel stays where it is, or has been waited for since long enough.
fn is_at_rest(standing: &Value, since: Instant) -> bool {
    standing["panel_rests"] == true || since.elapsed() > RESTLESS
}

/// Where these words are on the panel, tracking space.
fn place_of(standing: &Value, words: &str) -> Option<[f32; 3]> {
    standing["written"].as_array()?.iter().find(|written| written[0] == words).map(place_in)
}

fn place_in(written: &Value) -> [f32; 3] {
    [0, 1, 2].map(|axis| written[1][axis].as_f64().unwrap_or(f64::NAN) as f32)
}

impl Drop for Rig {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
