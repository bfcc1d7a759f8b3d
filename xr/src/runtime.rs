//! The connection with the runtime: the newest OpenXR that both sides know, and of its extensions those we use.

use std::fmt;

use bevy::prelude::Resource;
use bevy_mod_openxr::graphics::GraphicsBackend;
use bevy_mod_openxr::resources::OxrInstance;
use bevy_mod_openxr::types::{AppInfo, Version as AppVersion};
use openxr::sys::Result as XrResult;
use openxr::{ApplicationInfo, Entry, ExtensionSet, FormFactor, SystemId, Version};
use thiserror::Error;

/// Names of extensions that are not to be used, separated by commas: for a runtime that offers what it cannot do. Monado
/// 25.0.0 with its remote driver ends the process when it is asked for a visibility mask.
const WITHOUT: &str = "GEMBA_XR_WITHOUT";
/// By which a runtime of OpenXR 1.0 offers insets, and the name by which they are left out with any.
pub(crate) const INSET: &str = "XR_VARJO_quad_views";
/// Asked for in this order: a loader or runtime of before 2024 refuses 1.1, and everything we use of that is an extension
/// of 1.0.
const VERSIONS: [Version; 2] = [Version::new(1, 1, 0), Version::new(1, 0, 0)];
/// Our version, as runtimes list it.
const OURS: AppVersion = AppVersion(0, 1, 0);

/// What would take us into the headset.
#[derive(Resource, Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// The runtime's own name, such as `Monado(XRT)`.
    pub runtime: String,
    /// The headset's.
    pub headset: String,
    /// The version of OpenXR that is spoken with it, such as `1.1`.
    pub openxr: String,
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
    #[error("the OpenXR loader is not installed (Debian: apt-get install libopenxr-loader1)")]
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
    /// Runtime and renderer cannot come together.
    #[error("the OpenXR runtime cannot show what is rendered here ({0})")]
    NoPicture(String),
}

/// Which side makes the Vulkan device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceBy {
    /// The runtime, at the start (XR_KHR_vulkan_enable2).
    Runtime,
    /// We, before there was a headset (XR_KHR_vulkan_enable).
    Us,
}

/// A runtime with a headset.
pub(crate) struct Connected {
    pub(crate) instance: OxrInstance,
    pub(crate) system: SystemId,
    pub(crate) runtime: Runtime,
}

/// Finds the loader.
pub(crate) fn load() -> Result<Entry, XrUnavailable> {
    #[cfg(windows)]
    return Ok(Entry::linked());
    #[cfg(not(windows))]
    {
        #[expect(unsafe_code, reason = "loading a library is unsafe by nature; see the comment on the call")]
        // SAFETY: this loads `libopenxr_loader`, found by the system's own search order. Its initialisers are those of
        // the Khronos loader, which has no requirements on the caller. Its second name is the one that it has where no
        // developer's package is installed.
        let entry = unsafe { Entry::load().or_else(|_| Entry::load_from("libopenxr_loader.so.1".as_ref())) };
        entry.map_err(|_| XrUnavailable::NoLoader)
    }
}

/// Connects with the runtime and finds its headset.
pub(crate) fn connect(device_by: DeviceBy) -> Result<Connected, XrUnavailable> {
    let no_runtime = |e: XrResult| XrUnavailable::NoRuntime(e.to_string());
    let entry = load()?;
    let available = entry.enumerate_extensions().map_err(no_runtime)?;
    let has_vulkan = match device_by {
        DeviceBy::Runtime => available.khr_vulkan_enable2,
        DeviceBy::Us => available.khr_vulkan_enable,
    };
    let mut wanted = wanted_extensions(device_by).intersection(&available);
    let has_anchors = available.ext_spatial_anchor && available.ext_spatial_entity && available.ext_future;
    (wanted.ext_spatial_anchor, wanted.ext_spatial_entity, wanted.ext_future) = (has_anchors, has_anchors, has_anchors);
    // It says of itself that it needs the other.
    wanted.varjo_foveated_rendering &= wanted.varjo_quad_views;
    let (instance, spoken) = newest(&entry, &wanted).map_err(no_runtime)?;
    let runtime = instance.properties().map_err(no_runtime)?.runtime_name;
    if !has_vulkan {
        return Err(XrUnavailable::NoVulkan(runtime));
    }
    let system = instance.system(FormFactor::HEAD_MOUNTED_DISPLAY);
    let Ok(system) = system else { return Err(XrUnavailable::NoHeadset(runtime)) };
    let headset = instance.system_properties(system).map_err(no_runtime)?.system_name;
    #[expect(unsafe_code, reason = "bevy_mod_openxr asks for a promise about the instance")]
    // SAFETY: the instance has one of the Vulkan extensions: it was just looked for.
    let instance = unsafe { OxrInstance::from_inner(instance, GraphicsBackend::Vulkan(()), app_info()) };
    let openxr = format!("{}.{}", spoken.major(), spoken.minor());
    Ok(Connected { instance, system, runtime: Runtime { runtime, headset, openxr } })
}

/// An instance of the newest version that is not refused.
fn newest(entry: &Entry, wanted: &ExtensionSet) -> openxr::Result<(openxr::Instance, Version)> {
    let mut refused = XrResult::ERROR_API_VERSION_UNSUPPORTED;
    for api_version in VERSIONS {
        let info = ApplicationInfo {
            application_name: "Gemba",
            application_version: OURS.to_u32(),
            engine_name: "Bevy",
            engine_version: AppVersion::BEVY.to_u32(),
            api_version,
        };
        match entry.create_instance(&info, wanted, &[]) {
            Err(why @ (XrResult::ERROR_API_VERSION_UNSUPPORTED | XrResult::ERROR_INITIALIZATION_FAILED)) => {
                refused = why
            }
            made => return made.map(|instance| (instance, api_version)),
        }
    }
    Err(refused)
}

/// What we are called in the runtime's own lists.
fn app_info() -> AppInfo {
    AppInfo { name: "Gemba".into(), version: OURS }
}

/// What we use where the runtime has it.
fn wanted_extensions(device_by: DeviceBy) -> ExtensionSet {
    let mut wanted = ExtensionSet::default();
    // Which of the two is there says to the openxr crate by which functions Vulkan is asked.
    wanted.khr_vulkan_enable2 = device_by == DeviceBy::Runtime;
    wanted.khr_vulkan_enable = device_by == DeviceBy::Us;
    wanted.khr_composition_layer_depth = is_wanted("XR_KHR_composition_layer_depth");
    wanted.khr_visibility_mask = is_wanted("XR_KHR_visibility_mask");
    wanted.fb_display_refresh_rate = is_wanted("XR_FB_display_refresh_rate");
    wanted.varjo_quad_views = is_wanted(INSET);
    wanted.varjo_foveated_rendering = is_wanted("XR_VARJO_foveated_rendering");
    wanted.fb_passthrough = is_wanted("XR_FB_passthrough");
    wanted.ext_hand_tracking = true;
    wanted.ext_hand_interaction = true;
    wanted.ext_eye_gaze_interaction = true;
    wanted.ext_local_floor = true;
    wanted.ext_user_presence = true;
    wanted.khr_generic_controller = true;
    wanted.meta_touch_controller_plus = true;
    wanted.fb_touch_controller_pro = true;
    wanted.htc_vive_focus3_controller_interaction = true;
    wanted.bd_controller_interaction = true;
    wanted
}

/// Whether an extension is used where the runtime offers it.
pub(crate) fn is_wanted(name: &str) -> bool {
    let without = std::env::var(WITHOUT).unwrap_or_default();
    !without.split(',').any(|left_out| left_out.trim() == name)
}
