//! Losing the headset: an OpenXR layer (`loss_layer.c` beside this, built by the machine's C compiler) between viewer and
//! runtime that lets the session be lost, or the runtime die and come back, when the test says so.

use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: [(&str, &str); 3] = [
    ("loss_layer.c", include_str!("loss_layer.c")),
    ("insets.h", include_str!("insets.h")),
    ("anchor.h", include_str!("anchor.h")),
];
const NAME: &str = "XR_APILAYER_GEMBA_loss";

/// What happens to a session until [`Loss::is_over`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is lost, as when the headset is unplugged.
    SessionLost,
    /// The runtime announces that it will be lost, as before an update.
    LossAnnounced,
    /// The runtime dies, and is not there until [`Loss::is_over`].
    RuntimeGone,
    /// The runtime's own menu is open.
    MenuOpen,
    /// Nobody wears the headset.
    TakenOff,
    /// The person has moved the origin of their tracking space 0.4 m to the left.
    Recentred,
    /// The headset has learnt its room better: what it holds still lies 0.25 m further to the right than it thought.
    RoomLearnt,
    /// The person turns their eyes, and not their head, to the left.
    LooksLeft,
}

/// What the layer offers in the runtime's stead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// One spatial anchor.
    Anchor,
    /// Foveated views whose insets are where the person looks.
    GazeInsets,
}

/// The layer, ready to be put between a viewer and its runtime.
#[derive(Debug)]
pub struct Loss {
    folder: PathBuf,
}

impl Loss {
    /// Builds it in a folder of the test's; none, with a clear line, where there is no compiler or no OpenXR header.
    pub fn build(test: &str, folder: &Path) -> Option<Self> {
        let folder = folder.join("loss-layer");
        std::fs::create_dir_all(&folder).expect("a folder for the layer");
        for (name, source) in SOURCES {
            std::fs::write(folder.join(name), source).expect("the layer's source");
        }
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.join("libloss.so"))
            .arg(folder.join(SOURCES[0].0))
            .arg("-lm");
        let built = compiler.output();
        if !built.as_ref().is_ok_and(|built| built.status.success()) {
            let why = built.map_or_else(|e| e.to_string(), |b| String::from_utf8_lossy(&b.stderr).into_owned());
            println!(
                "{test}: skipped, the layer that loses a headset cannot be built (libopenxr-dev has the header): {why}"
            );
            return None;
        }
        let manifest = format!(
            "{{\"file_format_version\":\"1.0.0\",\"api_layer\":{{\"name\":\"{NAME}\",\"library_path\":\"./libloss.so\",\
             \"api_version\":\"1.0\",\"implementation_version\":\"1\",\"description\":\"Loses the headset\"}}}}"
        );
        std::fs::write(folder.join("loss.json"), manifest).expect("the layer's manifest");
        Some(Self { folder })
    }

    /// Puts it between the viewer that is about to start and its runtime.
    pub fn stand_between(&self, viewer: &mut Command) {
        viewer
            .env("XR_API_LAYER_PATH", &self.folder)
            .env("XR_ENABLE_API_LAYERS", NAME)
            .env("GEMBA_XR_LOSS", self.word())
            // The layer has the mask that the runtime lacks.
            .env_remove("GEMBA_XR_WITHOUT");
    }

    /// The same, offering what this runtime lacks: what a layer offers is seen of implicit ones only, which the loader finds
    /// where people keep their data.
    pub fn stand_between_offering(&self, viewer: &mut Command, offer: Offer) {
        self.stand_between(viewer);
        let data = self.folder.join("data");
        let folder = data.join("openxr/1/api_layers/implicit.d");
        std::fs::create_dir_all(&folder).expect("a folder for the layer");
        let (names, (variable, value)) = match offer {
            Offer::Anchor => {
                (&["XR_EXT_future", "XR_EXT_spatial_entity", "XR_EXT_spatial_anchor"][..], ("GEMBA_XR_ANCHOR", "1"))
            }
            Offer::GazeInsets => {
                (&["XR_VARJO_quad_views", "XR_VARJO_foveated_rendering"][..], ("GEMBA_XR_INSET", "gaze"))
            }
        };
        let offers = names.iter().map(|name| serde_json::json!({"name": name, "extension_version": "1"}));
        let manifest = serde_json::json!({"file_format_version": "1.0.0", "api_layer": {
            "name": NAME, "library_path": self.folder.join("libloss.so"), "api_version": "1.0",
            "implementation_version": "1", "description": "Loses the headset, and offers more",
            "disable_environment": "GEMBA_XR_NO_LAYER", "instance_extensions": offers.collect::<Vec<_>>(),
        }});
        std::fs::write(folder.join("loss.json"), manifest.to_string()).expect("the layer's manifest");
        viewer.env_remove("XR_API_LAYER_PATH").env_remove("XR_ENABLE_API_LAYERS");
        viewer.env("XDG_DATA_HOME", data).env(variable, value);
    }

    /// From now on.
    pub fn happens(&self, fate: Fate) {
        let letter = match fate {
            Fate::SessionLost => "S",
            Fate::LossAnnounced => "P",
            Fate::RuntimeGone => "R",
            Fate::MenuOpen => "V",
            Fate::TakenOff => "A",
            Fate::Recentred => "C",
            Fate::RoomLearnt => "D",
            Fate::LooksLeft => "G",
        };
        let part = self.folder.join("word.part");
        std::fs::write(&part, letter).expect("the layer's word");
        std::fs::rename(part, self.word()).expect("the layer's word");
    }

    /// Nothing is lost any more.
    pub fn is_over(&self) {
        std::fs::remove_file(self.word()).expect("something was lost");
    }

    fn word(&self) -> PathBuf {
        self.folder.join("word")
    }
}
