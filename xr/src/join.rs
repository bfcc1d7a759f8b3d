//! A headset joins a renderer that is there already: one that was plugged in after the start, or whose runtime has died
//! and is back. The specification wants asked what Vulkan the runtime needs, and on which device: it must be the one that
//! Bevy's renderer lives on.

use std::ffi::{CStr, CString};
use std::sync::{Arc, OnceLock};

use bevy::prelude::*;
use bevy::render::renderer::{RenderAdapter, RenderDevice};
use bevy_mod_openxr::resources::{OxrInstance, OxrSystemId};
use openxr::SystemId;
use openxr::sys::Result as XrResult;

use crate::runtime::{DeviceBy, XrUnavailable, connect};
use crate::start::Binding;

/// Extensions of instance and device that Vulkan 1.2, which the renderer asks for, has in itself: without the prefix.
const IN_VULKAN_1_2: &[&str] = &[
    "get_physical_device_properties2",
    "external_memory_capabilities",
    "external_semaphore_capabilities",
    "external_fence_capabilities",
    "device_group_creation",
    "16bit_storage",
    "bind_memory2",
    "create_renderpass2",
    "dedicated_allocation",
    "descriptor_update_template",
    "device_group",
    "draw_indirect_count",
    "driver_properties",
    "external_fence",
    "external_memory",
    "external_semaphore",
    "get_memory_requirements2",
    "image_format_list",
    "imageless_framebuffer",
    "maintenance1",
    "maintenance2",
    "maintenance3",
    "multiview",
    "sampler_ycbcr_conversion",
    "storage_buffer_storage_class",
    "timeline_semaphore",
    "variable_pointers",
];

/// Asks for a headset in a thread of its own: a runtime that takes its time to refuse must not cost frames.
pub(crate) struct Lookout(Arc<OnceLock<Option<XrUnavailable>>>);

impl Lookout {
    pub(crate) fn begin() -> Self {
        let answer = Arc::new(OnceLock::new());
        let found = Arc::clone(&answer);
        // The loader lets one instance be at a time: this one is gone before the answer is given. The answer is given
        // once, so that it cannot be refused.
        std::thread::spawn(move || found.set(connect(DeviceBy::Us).err()));
        Self(answer)
    }

    /// None while it is looked; then why there is none, or nothing in the way.
    pub(crate) fn answer(&self) -> Option<Result<(), XrUnavailable>> {
        self.0.get().map(|why| why.clone().map_or(Ok(()), Err))
    }
}

/// Connects with the runtime, for a session on the renderer that is there.
pub(crate) fn join(world: &mut World) -> Result<(), XrUnavailable> {
    let connected = connect(DeviceBy::Us)?;
    let Some(binding) = world.get_resource::<Binding>().copied() else {
        return Err(XrUnavailable::NoPicture("the renderer was not made for it".to_owned()));
    };
    let (device, adapter) = (world.resource::<RenderDevice>(), world.resource::<RenderAdapter>());
    check(&connected.instance, connected.system, binding, device, adapter)?;
    world.insert_resource(connected.instance);
    world.insert_resource(OxrSystemId(connected.system));
    world.insert_resource(connected.runtime);
    Ok(())
}

fn check(
    instance: &OxrInstance,
    system: SystemId,
    binding: Binding,
    device: &RenderDevice,
    adapter: &RenderAdapter,
) -> Result<(), XrUnavailable> {
    let no = |why: XrResult| XrUnavailable::NoPicture(why.to_string());
    instance.graphics_requirements::<openxr::Vulkan>(system).map_err(no)?;
    let of_instance = instance.vulkan_legacy_instance_extensions(system).map_err(no)?;
    let of_device = instance.vulkan_legacy_device_extensions(system).map_err(no)?;
    #[expect(unsafe_code, reason = "the handles of the graphics API are behind an unsafe door")]
    // SAFETY: names are read.
    let hal = unsafe {
        let device = device.wgpu_device().as_hal::<wgpu::hal::api::Vulkan>();
        device.zip(adapter.as_hal::<wgpu::hal::api::Vulkan>())
    };
    let Some((device, adapter)) = hal else {
        return Err(XrUnavailable::NoPicture("the renderer is not Vulkan's".to_owned()));
    };
    // Runtimes name what they could use: what the driver does not have they do without, as when they make the device.
    let could = |name: &CStr| adapter.physical_device_capabilities().supports_extension(name);
    let mut lacks = lacking(&of_instance, device.shared_instance().extensions());
    let of_device = lacking(&of_device, device.enabled_device_extensions()).into_iter();
    lacks.extend(of_device.filter(|name| CString::new(name.as_str()).is_ok_and(|name| could(&name))));
    drop((device, adapter));
    if !lacks.is_empty() {
        let lacks = lacks.join(", ");
        return Err(XrUnavailable::NoPicture(format!("the renderer lacks {lacks}; start again with the headset on")));
    }
    #[expect(unsafe_code, reason = "the handles of the graphics API cannot be checked by the compiler")]
    // SAFETY: the Vulkan instance is that of Bevy's own renderer, which is still there.
    let wanted = unsafe { instance.vulkan_graphics_device(system, binding.instance as *const _) }.map_err(no)?;
    if wanted as u64 == binding.physical_device {
        Ok(())
    } else {
        Err(XrUnavailable::NoPicture("the headset is on another GPU; start again with it on".to_owned()))
    }
}

/// Which of the extensions named in `wanted`, by spaces, are neither switched on nor part of Vulkan itself.
fn lacking(wanted: &str, enabled: &[&CStr]) -> Vec<String> {
    let is_there = |name: &str| {
        let bare = name.strip_prefix("VK_KHR_").unwrap_or(name);
        IN_VULKAN_1_2.contains(&bare) || enabled.iter().any(|enabled| enabled.to_bytes() == name.as_bytes())
    };
    let named = wanted.split([' ', '\0']).filter(|name| !name.is_empty());
    named.filter(|name| !is_there(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_runtime_needs_is_there_by_name_or_by_version() {
        let wanted = "VK_KHR_external_memory VK_KHR_external_memory_fd VK_EXT_made_up ";
        assert_eq!(lacking(wanted, &[c"VK_KHR_external_memory_fd"]), ["VK_EXT_made_up"]);
        assert_eq!(lacking("", &[]), Vec::<String>::new());
    }
}
