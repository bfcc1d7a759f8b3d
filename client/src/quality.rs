//! How much the picture may cost: chosen once at the start from the adapter, so that the demo stays usable on a
//! software renderer and handsome on a GPU.

use bevy::prelude::*;

/// Settings of the picture.
#[derive(Resource, Clone, Debug)]
pub struct Quality {
    /// Name of the adapter that renders.
    pub adapter: String,
    /// A software renderer: every pixel is dear.
    pub cheap: bool,
    /// Most pixels the plant is rendered with; a larger view is stretched.
    pub most_pixels: f32,
    /// Four samples a pixel.
    pub multisample: bool,
    /// Edge of a shadow map in texels; none for no shadows.
    pub shadow_texels: Option<usize>,
    /// A mesh of a smaller radius throws no shadow, metres.
    pub smallest_shadow: f32,
    /// A mesh that would be smaller than this on the screen is not drawn, pixels; none draws everything.
    pub smallest_pixels: Option<f32>,
    /// Colour behind everything.
    pub sky: Color,
}

/// Why nothing can be rendered here.
#[derive(Debug, thiserror::Error)]
#[error("no driver is installed that this program could render with; {DRIVER}")]
pub struct NoAdapter;

/// Where to get one.
const DRIVER: &str = if cfg!(windows) {
    "install the newest one of the graphics card's maker, which has Vulkan and Direct3D 12"
} else {
    "install one for Vulkan, for a machine without a GPU: apt-get install mesa-vulkan-drivers"
};

impl Quality {
    /// Looks for the adapter Bevy will take and chooses by its kind.
    pub fn for_this_machine() -> Result<Self, NoAdapter> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = bevy::tasks::block_on(instance.request_adapter(&options)).map_err(|_| NoAdapter)?;
        let info = adapter.get_info();
        Ok(Self::for_adapter(info.name, info.device_type == wgpu::DeviceType::Cpu))
    }

    fn for_adapter(adapter: String, software: bool) -> Self {
        let sky = Color::srgb(0.085, 0.1, 0.12);
        if software {
            Self {
                adapter,
                cheap: true,
                most_pixels: 400_000.0,
                multisample: false,
                shadow_texels: Some(1024),
                // Five texels of a large plant, which takes all of the map.
                smallest_shadow: 0.6,
                smallest_pixels: Some(4.0),
                sky,
            }
        } else {
            Self {
                adapter,
                cheap: false,
                most_pixels: f32::INFINITY,
                multisample: true,
                shadow_texels: Some(4096),
                // Nobody misses a bolt's.
                smallest_shadow: 0.12,
                smallest_pixels: None,
                sky,
            }
        }
    }
}
