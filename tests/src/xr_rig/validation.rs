//! Khronos' own layers between viewer and runtime, which find fault with how OpenXR is used, under the loader of OpenXR
//! 1.1: `./gemba test` builds all three once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each layer's name, and the library it is in.
const LAYERS: [(&str, &str); 2] = [
    ("XR_APILAYER_KHRONOS_best_practices_validation", "libXrApiLayer_best_practices_validation.so"),
    ("XR_APILAYER_LUNARG_core_validation", "libXrApiLayer_core_validation.so"),
];
/// How the best-practices layer begins what it says.
const BEST: &str = "OpenXR-BestPractices: ";

/// The layers, ready to listen to a viewer.
#[derive(Debug)]
pub struct Validation {
    names: Vec<(&'static str, &'static str)>,
    layers: PathBuf,
    found: PathBuf,
}

impl Validation {
    /// Finds them; none, with a clear line, where they have not been built.
    pub fn find(test: &str, folder: &Path) -> Option<Self> {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        let layers = home.join(".cache/gemba/openxr-1.1");
        if let Some((name, _)) = LAYERS.iter().find(|(_, library)| !layers.join(library).is_file()) {
            println!("{test}: skipped, there is no {name}; `./gemba test` builds it where apt can fetch it");
            return None;
        }
        Some(Self { names: LAYERS.to_vec(), layers, found: folder.join("validation.txt") })
    }

    /// Without the layer for best practices, for what it cannot be shown: that of OpenXR 1.1.61 writes beyond its own memory
    /// when a frame ends with four views (`double free` in its xrEndFrame), and takes the viewer with it.
    pub fn of_valid_usage(mut self) -> Self {
        self.names.retain(|(name, _)| !name.contains("best_practices"));
        self
    }

    /// Puts them under the viewer that is about to start, above what stands between it and its runtime already.
    pub fn listen_to(&self, viewer: &mut Command) {
        let with_others = |variable: &str, ours: OsString| {
            let others = viewer.get_envs().find(|(name, _)| *name == variable).and_then(|(_, value)| value);
            others.map_or(ours.clone(), |others| [ours.as_os_str(), others].join(":".as_ref()))
        };
        let folders = with_others("XR_API_LAYER_PATH", self.layers.clone().into_os_string());
        let names = with_others(
            "XR_ENABLE_API_LAYERS",
            self.names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(":").into(),
        );
        viewer
            .env("LD_LIBRARY_PATH", &self.layers)
            .env("XR_API_LAYER_PATH", folders)
            .env("XR_ENABLE_API_LAYERS", names)
            .env("XR_CORE_VALIDATION_EXPORT_TYPE", "text")
            .env("XR_CORE_VALIDATION_FILE_NAME", &self.found);
    }

    /// Asserts that the process has all of them in it: silence is worth nothing otherwise.
    pub fn assert_heard(&self, process: u32) {
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("the viewer runs");
        let loader = self.layers.join("libopenxr_loader.so");
        let loader = loader.canonicalize().expect("the loader was built with the layers");
        for library in self.names.iter().map(|(_, library)| self.layers.join(library)).chain([loader]) {
            assert!(maps.contains(&library.display().to_string()), "{} is not in use", library.display());
        }
    }

    /// What they have found fault with, one line each.
    pub fn found(&self, stderr: &str) -> Vec<String> {
        let core = std::fs::read_to_string(&self.found).unwrap_or_default();
        let core = core.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).map(str::to_owned);
        core.chain(stderr.lines().filter(|line| line.starts_with(BEST)).map(str::to_owned)).collect()
    }
}
