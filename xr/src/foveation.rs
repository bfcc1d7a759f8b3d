//! Insets that go where the person looks (XR_VARJO_foveated_rendering): the runtime, which knows the gaze, says with each frame
//! where they are. Without the extension, or while it does not know, they stay in the middle.
//!
//! The openxr crate 0.21 has the structures of the extension and does not put them into its calls; each call that needs one
//! is made here.

use std::ptr::{null, null_mut};

use bevy::math::UVec2;
use openxr::sys;
use openxr::{AnyGraphics, Instance, Session, Space, SystemId, Time, View, ViewConfigurationType, ViewStateFlags};

/// The views of two eyes, each with an inset.
pub(crate) const WITH_INSET: ViewConfigurationType = ViewConfigurationType::PRIMARY_STEREO_WITH_FOVEATED_INSET;
/// How many these are.
const VIEWS: usize = 4;

/// Whether the headset can tell where the person looks, for insets that follow.
pub(crate) fn can_follow(instance: &Instance, system: SystemId) -> bool {
    if instance.exts().varjo_foveated_rendering.is_none() {
        return false;
    }
    let mut foveated = sys::SystemFoveatedRenderingPropertiesVARJO {
        ty: sys::SystemFoveatedRenderingPropertiesVARJO::TYPE,
        next: null_mut(),
        supports_foveated_rendering: sys::FALSE,
    };
    let mut properties = sys::SystemProperties::out((&raw mut foveated).cast());
    #[expect(unsafe_code, reason = "openxr asks without what an extension adds")]
    // SAFETY: instance and system live; the runtime may write to both structures, which outlive the call and have their
    // types set. `properties` is not read.
    let asked = unsafe { (instance.fp().get_system_properties)(instance.as_raw(), system, properties.as_mut_ptr()) };
    asked == sys::Result::SUCCESS && foveated.supports_foveated_rendering == sys::TRUE
}

/// The sizes that the runtime recommends for views whose insets follow.
pub(crate) fn sizes(instance: &Instance, system: SystemId) -> Option<Vec<UVec2>> {
    let mut follow = [sys::FoveatedViewConfigurationViewVARJO {
        ty: sys::FoveatedViewConfigurationViewVARJO::TYPE,
        next: null_mut(),
        foveated_rendering_active: sys::TRUE,
    }; VIEWS];
    let mut views = follow.each_mut().map(|follow| sys::ViewConfigurationView {
        ty: sys::ViewConfigurationView::TYPE,
        next: std::ptr::from_mut(follow).cast(),
        recommended_image_rect_width: 0,
        max_image_rect_width: 0,
        recommended_image_rect_height: 0,
        max_image_rect_height: 0,
        recommended_swapchain_sample_count: 0,
        max_swapchain_sample_count: 0,
    });
    let mut count = 0;
    #[expect(unsafe_code, reason = "openxr asks without what an extension adds")]
    // SAFETY: instance and system live; there is room for as many views as the call says, and they, what they point to and
    // `count` outlive it.
    let asked = unsafe {
        let enumerate = instance.fp().enumerate_view_configuration_views;
        enumerate(instance.as_raw(), system, WITH_INSET, VIEWS as u32, &raw mut count, views.as_mut_ptr())
    };
    let size = |view: &sys::ViewConfigurationView| {
        UVec2::new(view.recommended_image_rect_width, view.recommended_image_rect_height)
    };
    (asked == sys::Result::SUCCESS && count as usize == VIEWS).then(|| views.iter().map(size).collect())
}

/// Where all views are at an instant, the insets where the person looks.
pub(crate) fn locate(
    session: &Session<AnyGraphics>,
    stage: &Space,
    at: Time,
) -> openxr::Result<(ViewStateFlags, Vec<View>)> {
    let follow = sys::ViewLocateFoveatedRenderingVARJO {
        ty: sys::ViewLocateFoveatedRenderingVARJO::TYPE,
        next: null(),
        foveated_rendering_active: sys::TRUE,
    };
    let info = sys::ViewLocateInfo {
        ty: sys::ViewLocateInfo::TYPE,
        next: (&raw const follow).cast(),
        view_configuration_type: WITH_INSET,
        display_time: at,
        space: stage.as_raw(),
    };
    let mut state =
        sys::ViewState { ty: sys::ViewState::TYPE, next: null_mut(), view_state_flags: ViewStateFlags::EMPTY };
    let mut views = [sys::View {
        ty: sys::View::TYPE,
        next: null_mut(),
        pose: openxr::Posef::IDENTITY,
        fov: openxr::Fovf::default(),
    }; VIEWS];
    let mut count = 0;
    #[expect(unsafe_code, reason = "openxr asks without what an extension adds")]
    // SAFETY: session and space live; there is room for as many views as the call says, and `info`, what it points to,
    // `state`, `count` and the views outlive it.
    let asked = unsafe {
        let locate = session.instance().fp().locate_views;
        let (info, state) = (&raw const info, &raw mut state);
        locate(session.as_raw(), info, state, VIEWS as u32, &raw mut count, views.as_mut_ptr())
    };
    if asked.into_raw() < 0 {
        return Err(asked);
    }
    let told = views.iter().take(count as usize).map(|view| View { pose: view.pose, fov: view.fov });
    Ok((state.view_state_flags, told.collect()))
}
