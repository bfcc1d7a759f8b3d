//! Whether there is a headset: asked with a throw-away OpenXR instance, so that a missing one is an answer and not a
//! renderer that fails.

use std::fmt;

use openxr::{ApplicationInfo, Entry, ExtensionSet, FormFactor};
use thiserror::Error;

/// What would take us into the headset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// The runtime's own name, such as `Monado(XRT)`.
    pub runtime: String,
    /// The headset's.
    pub headset: String,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.headset, self.runtime)
    }
}

/// Why there is no headset, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum XrUnavailable {
    /// The loader library is missing.
    #[error("the OpenXR loader is not installed (Debian: apt-get install libopenxr-dev)")]
    NoLoader,
    /// No runtime is installed, or none runs.
    #[error("no OpenXR runtime answers ({0}); start SteamVR, Monado or WiVRn")]
    NoRuntime(String),
    /// The runtime cannot show what we render.
    #[error("the OpenXR runtime {0} does not support Vulkan")]
    NoVulkan(String),
    /// The runtime runs without a headset.
    #[error("the OpenXR runtime {0} has no headset; plug it in and switch it on")]
    NoHeadset(String),
}

/// Which of these extensions the runtime has; none where there is no runtime.
pub(crate) fn offered(wanted: &ExtensionSet) -> ExtensionSet {
    let available = load().and_then(|entry| entry.enumerate_extensions().ok());
    available.map(|available| wanted.intersection(&available)).unwrap_or_default()
}

fn load() -> Option<Entry> {
    #[expect(unsafe_code, reason = "loading a library is unsafe by nature; see the comment on the call")]
    // SAFETY: this loads `libopenxr_loader`, found by the system's own search order. Its initialisers are those of the
    // Khronos loader, which has no requirements on the caller; bevy_mod_openxr loads the same library afterwards.
    let entry = unsafe { Entry::load() };
    entry.ok()
}

/// Looks for a runtime with a headset.
pub fn probe() -> Result<Runtime, XrUnavailable> {
    let entry = load().ok_or(XrUnavailable::NoLoader)?;
    let no_runtime = |e: openxr::sys::Result| XrUnavailable::NoRuntime(e.to_string());
    let available = entry.enumerate_extensions().map_err(no_runtime)?;
    let info = ApplicationInfo {
        application_name: "Gemba",
        application_version: 1,
        engine_name: "bevy",
        engine_version: 19,
        api_version: openxr::Version::new(1, 0, 0),
    };
    let instance = entry.create_instance(&info, &ExtensionSet::default(), &[]).map_err(no_runtime)?;
    let runtime = instance.properties().map_err(no_runtime)?.runtime_name;
    if !available.khr_vulkan_enable2 {
        return Err(XrUnavailable::NoVulkan(runtime));
    }
    let system = instance.system(FormFactor::HEAD_MOUNTED_DISPLAY);
    let properties = system.and_then(|system| instance.system_properties(system));
    match properties {
        Ok(properties) => Ok(Runtime { runtime, headset: properties.system_name }),
        Err(_) => Err(XrUnavailable::NoHeadset(runtime)),
    }
}
