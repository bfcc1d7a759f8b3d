//! What a person looks at, to come back to it or to show it to others: camera, what is hidden, selection, section, time.

use minicbor::{Decode, Encode};

use crate::path::ThingId;
use crate::sample::Timestamp;

/// A view of the site.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Viewpoint {
    /// Where the eye is, metres in the site's frame.
    #[n(0)]
    pub eye: [f64; 3],
    /// What it looks at, metres in the site's frame.
    #[n(1)]
    pub target: [f64; 3],
    /// Vertical field of view, radians.
    #[n(2)]
    pub field_of_view: f64,
    /// Things that are not shown, with all their parts. At most [`crate::limits::VIEWPOINT_THINGS`].
    #[n(3)]
    pub hidden: Vec<ThingId>,
    /// Things that are selected. At most [`crate::limits::VIEWPOINT_THINGS`].
    #[n(4)]
    pub selected: Vec<ThingId>,
    /// What is cut away.
    #[n(5)]
    pub section: Option<Section>,
    /// The instant it shows; none for live.
    #[n(6)]
    pub instant: Option<Timestamp>,
}

/// A plane that cuts the site: only what lies on its positive side is shown.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Section {
    /// Unit normal, towards what is shown.
    #[n(0)]
    pub normal: [f64; 3],
    /// Distance from the origin along the normal, metres.
    #[n(1)]
    pub distance: f64,
}

impl Viewpoint {
    /// Whether it can be shown: finite, within limits, and the eye is not where it looks at.
    pub fn is_sound(&self) -> bool {
        let finite = |v: &[f64; 3]| v.iter().all(|c| c.is_finite());
        finite(&self.eye)
            && finite(&self.target)
            && self.eye != self.target
            && (0.01..3.1).contains(&self.field_of_view)
            && self.hidden.len().max(self.selected.len()) <= crate::limits::VIEWPOINT_THINGS
            && self.section.is_none_or(|cut| finite(&cut.normal) && cut.distance.is_finite())
    }
}
