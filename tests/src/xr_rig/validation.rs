//! Khronos' own layers between viewer and runtime, which find fault with how OpenXR is used, under the loader of OpenXR
//! 1.1: `./gemba test` builds all three once.

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
        Some(Self { layers, found: folder.join("validation.txt") })
    }

    /// Puts them under the viewer that is about to start.
    pub fn listen_to(&self, viewer: &mut Command) {
        viewer
            .env("LD_LIBRARY_PATH", &self.layers)
            .env("XR_API_LAYER_PATH", &self.layers)
            .env("XR_ENABLE_API_LAYERS", LAYERS.map(|(name, _)| name).join(":"))
            .env("XR_CORE_VALIDATION_EXPORT_TYPE", "text")
            .env("XR_CORE_VALIDATION_FILE_NAME", &self.found);
    }

    /// Asserts that the process has all of them in it: silence is worth nothing otherwise.
    pub fn assert_heard(&self, process: u32) {
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("the viewer runs");
        let loader = self.layers.join("libopenxr_loader.so");
        let loader = loader.canonicalize().expect("the loader was built with the layers");
        for library in LAYERS.iter().map(|(_, library)| self.layers.join(library)).chain([loader]) {
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
