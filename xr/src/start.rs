//! The renderer that a headset can use. With a headset at the start, its runtime makes the Vulkan device; without one, we
//! make one with what runtimes are known to ask for, so that a headset which is plugged in later can join it.
//!
//! bevy_mod_openxr's own start is not used: it asks the runtime once, for OpenXR 1.0, and reports nothing to its caller.

use std::ffi::CStr;
use std::sync::{Arc, Mutex, PoisonError};

use ash::vk::Handle;
use bevy::app::PluginGroupBuilder;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::renderer::{RenderAdapter, RenderAdapterInfo, RenderInstance, RenderQueue, WgpuWrapper};
use bevy::render::settings::RenderCreation;
use bevy_mod_openxr::error::OxrError;
use bevy_mod_openxr::graphics::{GraphicsBackend, GraphicsExt, GraphicsWrap, OxrManualGraphicsConfig};
use bevy_mod_openxr::resources::{OxrInstance, OxrSystemId, SessionGraphicsCreateInfo};
use bevy_mod_openxr::types::{AppInfo, WgpuGraphics};
use bevy_mod_xr::session::XrSessionPlugin;

use crate::runtime::{Connected, DeviceBy, Runtime, XrUnavailable, connect};

/// What runtimes ask a Vulkan device for, beyond what Vulkan 1.2 has, so that their compositors can read its images.
/// From Monado 25 (`oxr_vulkan.c`) and what SteamVR and Oculus are known to name; what every driver has first.
#[cfg(unix)]
const FOR_RUNTIMES: &[&CStr] =
    &[c"VK_KHR_external_memory_fd", c"VK_KHR_external_semaphore_fd", c"VK_KHR_external_fence_fd"];
#[cfg(windows)]
const FOR_RUNTIMES: &[&CStr] = &[
    c"VK_KHR_external_memory_win32",
    c"VK_KHR_external_semaphore_win32",
    c"VK_KHR_external_fence_win32",
    c"VK_KHR_win32_keyed_mutex",
];

/// What was found at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A headset: its session begins.
    Headset(Runtime),
    /// None so far, and why; it is looked for from now on.
    NotYet(XrUnavailable),
    /// None, and why; this machine's renderer is not one that a headset could join.
    Never(XrUnavailable),
}

/// The Vulkan handles that a session is made with, which Bevy's renderer keeps alive.
#[derive(Resource, Debug, Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) instance: u64,
    pub(crate) physical_device: u64,
    device: u64,
    queue_family: u32,
    queue: u32,
}

impl Binding {
    pub(crate) fn info(self) -> SessionGraphicsCreateInfo {
        SessionGraphicsCreateInfo(GraphicsWrap::Vulkan(openxr::vulkan::SessionCreateInfo {
            instance: self.instance as *const _,
            physical_device: self.physical_device as *const _,
            device: self.device as *const _,
            queue_family_index: self.queue_family,
            queue_index: self.queue,
        }))
    }
}

/// Puts OpenXR under the app: Bevy's renderer is then one that a headset can use. `is_whole`: whether no frame may lack
/// what has not been compiled yet. The plugins come back as they were where no headset can ever join.
pub fn add_to(plugins: PluginGroupBuilder, is_whole: bool) -> (PluginGroupBuilder, Found) {
    let begun = connect(DeviceBy::Runtime).and_then(|connected| {
        let graphics = by_runtime(&connected).map_err(|e| XrUnavailable::NoPicture(e.to_string()))?;
        Ok((graphics, connected))
    });
    match begun {
        Ok(((graphics, binding), Connected { instance, system, runtime })) => {
            let start = Start { binding, joined: Some((instance, system, runtime.clone())) };
            (put(plugins, is_whole, graphics, start), Found::Headset(runtime))
        }
        Err(why) => match by_us_with_most() {
            Ok((graphics, binding)) => {
                (put(plugins, is_whole, graphics, Start { binding, joined: None }), Found::NotYet(why))
            }
            Err(no_device) => {
                debug!("no renderer that a headset could join: {no_device}");
                (plugins, Found::Never(why))
            }
        },
    }
}

fn put(plugins: PluginGroupBuilder, is_whole: bool, graphics: WgpuGraphics, start: Start) -> PluginGroupBuilder {
    let WgpuGraphics(device, queue, info, adapter, instance) = graphics;
    let render_creation = RenderCreation::manual(
        device.into(),
        RenderQueue(Arc::new(WgpuWrapper::new(queue))),
        RenderAdapterInfo(WgpuWrapper::new(info)),
        RenderAdapter(Arc::new(WgpuWrapper::new(adapter))),
        RenderInstance(Arc::new(WgpuWrapper::new(instance))),
    );
    // The head's pose is read right before rendering; a frame of pipelining would make it a frame old.
    plugins
        .disable::<bevy::render::pipelined_rendering::PipelinedRenderingPlugin>()
        .set(RenderPlugin { render_creation, synchronous_pipeline_compilation: is_whole, ..default() })
        .add_before::<RenderPlugin>(XrSessionPlugin { auto_handle: false })
        .add_before::<RenderPlugin>(StartPlugin(Mutex::new(Some(start))))
        .add(bevy_mod_xr::camera::XrCameraPlugin)
}

/// What the app's world is told of the start.
struct Start {
    binding: Binding,
    joined: Option<(OxrInstance, openxr::SystemId, Runtime)>,
}

struct StartPlugin(Mutex<Option<Start>>);

impl Plugin for StartPlugin {
    fn build(&self, app: &mut App) {
        let start = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Start { binding, joined }) = start else { return };
        app.insert_resource(binding);
        if let Some((instance, system, runtime)) = joined {
            app.insert_resource(instance).insert_resource(OxrSystemId(system)).insert_resource(runtime);
        }
    }
}

fn by_runtime(connected: &Connected) -> Result<(WgpuGraphics, Binding), OxrError> {
    let (graphics, info) = connected.instance.init_graphics(connected.system, None)?;
    let GraphicsWrap::Vulkan(info) = info.0;
    let binding = Binding {
        instance: info.instance as u64,
        physical_device: info.physical_device as u64,
        device: info.device as u64,
        queue_family: info.queue_family_index,
        queue: info.queue_index,
    };
    Ok((graphics, binding))
}

/// With as many of what runtimes ask for as the driver has.
fn by_us_with_most() -> Result<(WgpuGraphics, Binding), OxrError> {
    let most = (1..=FOR_RUNTIMES.len()).rev().find_map(|count| by_us(&FOR_RUNTIMES[..count]).ok());
    most.map_or_else(|| by_us(&[]), Ok)
}

fn by_us(extensions: &[&'static CStr]) -> Result<(WgpuGraphics, Binding), OxrError> {
    let config = OxrManualGraphicsConfig {
        fallback_backend: GraphicsBackend::Vulkan(()),
        vk_instance_exts: Vec::new(),
        vk_device_exts: extensions.to_vec(),
    };
    let app = AppInfo { name: "Gemba".into(), ..AppInfo::BEVY };
    let graphics = openxr::Vulkan::init_fallback_graphics(&app, &config)?;
    #[expect(unsafe_code, reason = "the handles of the graphics API are behind an unsafe door")]
    // SAFETY: the handles are read; nothing of the device is destroyed or used behind wgpu's back.
    let device = unsafe { graphics.0.as_hal::<wgpu::hal::api::Vulkan>() }.ok_or(OxrError::NoAvailableBackend)?;
    let binding = Binding {
        instance: device.shared_instance().raw_instance().handle().as_raw(),
        physical_device: device.raw_physical_device().as_raw(),
        device: device.raw_device().handle().as_raw(),
        queue_family: device.queue_family_index(),
        queue: device.queue_index(),
    };
    drop(device);
    Ok((graphics, binding))
}
