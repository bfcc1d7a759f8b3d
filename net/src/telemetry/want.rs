//! What a subscriber wants to be told.

use gemba_twin::path::{TagId, ThingPath};
use minicbor::{Decode, Encode};

use crate::limits;

/// Some tags, how often, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Want {
    /// Which.
    #[n(0)]
    pub tags: Tags,
    /// Of each tag no more often than once in so many milliseconds; 0 for all that is measured.
    #[n(1)]
    pub interval_millis: u32,
    /// What of the samples that come more often.
    #[n(2)]
    pub window: Window,
}

/// Which tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Tags {
    /// Every one, of those that come later too.
    #[n(0)]
    All,
    /// Those of a thing and of all below it.
    #[n(1)]
    Under(#[n(0)] ThingPath),
    /// These, in ascending order.
    #[n(2)]
    These(#[n(0)] Vec<TagId>),
}

/// What is told of samples that come more often than they are wanted. Bad quality is told in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Window {
    /// The newest.
    #[n(0)]
    Newest,
    /// The newest, and of numbers the lowest, the highest and the mean as well ([`super::TagWindow`]).
    #[n(1)]
    Extremes,
}

impl Want {
    /// Every sample of every tag: what a peer gets that has not said what it wants.
    pub const EVERYTHING: Self = Self { tags: Tags::All, interval_millis: 0, window: Window::Newest };

    /// Whether a host takes it.
    pub fn fits(&self) -> bool {
        let fits = match &self.tags {
            Tags::All | Tags::Under(_) => true,
            Tags::These(tags) => tags.len() <= limits::WANT_TAGS && tags.windows(2).all(|pair| pair[0] < pair[1]),
        };
        // A window needs a length.
        fits && self.interval_millis <= limits::WANT_INTERVAL.as_millis() as u32
            && (self.window == Window::Newest || self.interval_millis > 0)
    }
}

impl Tags {
    /// Whether this tag is among them; `path` says where one stands.
    pub(super) fn contain<'a>(&self, tag: TagId, path: impl FnOnce(TagId) -> Option<&'a str>) -> bool {
        match self {
            Self::All => true,
            Self::Under(thing) => path(tag).is_some_and(|path| is_under(path, thing.as_str())),
            Self::These(tags) => tags.binary_search(&tag).is_ok(),
        }
    }
}

fn is_under(path: &str, thing: &str) -> bool {
    path.strip_prefix(thing).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_is_what_is_below_a_thing_and_not_what_is_named_alike() {
        let under = Tags::Under("Hall1/Line1".parse().unwrap());
        let paths = ["Hall1/Line1/Tank1/Level", "Hall1/Line1/State", "Hall1/Line10/State", "Hall1/Line1", "Hall1"];
        let is_in = |n: usize| under.contain(TagId(n as u32), |tag| paths.get(tag.0 as usize).copied());
        assert_eq!([0, 1, 2, 3, 4, 5].map(is_in), [true, true, false, false, false, false]);
    }

    #[test]
    fn a_want_that_would_overwhelm_a_host_is_refused() {
        let of = |count: u32| Want { tags: Tags::These((0..count).map(TagId).collect()), ..Want::EVERYTHING };
        assert!(of(limits::WANT_TAGS as u32).fits() && !of(limits::WANT_TAGS as u32 + 1).fits());
        let twice = Want { tags: Tags::These(vec![TagId(1), TagId(1)]), ..Want::EVERYTHING };
        assert!(!twice.fits());
        assert!(!Want { window: Window::Extremes, ..Want::EVERYTHING }.fits());
        assert!(!Want { interval_millis: u32::MAX, ..Want::EVERYTHING }.fits());
    }
}
