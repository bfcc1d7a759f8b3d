//! What a runtime says between two frames, as far as it means something to us: one word an event.

use openxr::{Event, SessionState, Time};

/// Words taken in before a frame; what a runtime says beyond that waits for the next. They say a handful a minute.
pub(crate) const MOST: usize = 256;

/// One word of the runtime's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The session stands so now.
    Session(SessionState),
    /// The runtime is about to go.
    InstanceLost,
    /// So many words could not be kept for us.
    Missed(u32),
    /// The lenses hide something else than before.
    Mask,
    /// Whether somebody wears the headset.
    Present(bool),
    /// The tracking space lies elsewhere from then on.
    Recentred(Time),
}

impl Word {
    /// What an event means; none for all that concerns nobody here.
    pub(crate) fn of(event: &Event<'_>) -> Option<Self> {
        Some(match event {
            Event::SessionStateChanged(change) => Word::Session(change.state()),
            Event::InstanceLossPending(_) => Word::InstanceLost,
            Event::EventsLost(lost) => Word::Missed(lost.lost_event_count()),
            Event::VisibilityMaskChangedKHR(_) => Word::Mask,
            Event::UserPresenceChangedEXT(change) => Word::Present(change.is_user_present()),
            // A recentred space keeps its handle; frames from then on are located in it as it then is.
            Event::ReferenceSpaceChangePending(change) => Word::Recentred(change.change_time()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use openxr::sys;

    /// An event of any type, whose body is whatever a broken runtime has written.
    fn event(kind: i32, body: u8, mut then: impl FnMut(Option<Event<'_>>)) {
        let mut raw = MaybeUninit::<sys::EventDataBuffer>::zeroed();
        let length = size_of::<sys::EventDataBuffer>();
        #[expect(unsafe_code, reason = "this is how the openxr crate is given an event")]
        // SAFETY: the buffer is as long as any event; its type stands at its head, and every bit pattern of its body is
        // a value of what the types listed below hold: numbers, handles and times.
        unsafe {
            raw.as_mut_ptr().cast::<u8>().write_bytes(body, length);
            raw.as_mut_ptr().cast::<sys::BaseInStructure>().cast::<i32>().write(kind);
            then(Event::from_raw(&raw));
        }
    }

    #[test]
    fn whatever_a_runtime_writes_into_an_event_is_a_word_or_nothing() {
        use sys::StructureType as Kind;
        let kinds = [
            (Kind::EVENT_DATA_EVENTS_LOST, true),
            (Kind::EVENT_DATA_INSTANCE_LOSS_PENDING, true),
            (Kind::EVENT_DATA_SESSION_STATE_CHANGED, true),
            (Kind::EVENT_DATA_REFERENCE_SPACE_CHANGE_PENDING, true),
            (Kind::EVENT_DATA_VISIBILITY_MASK_CHANGED_KHR, true),
            (Kind::EVENT_DATA_USER_PRESENCE_CHANGED_EXT, true),
            (Kind::EVENT_DATA_INTERACTION_PROFILE_CHANGED, false),
            (Kind::EVENT_DATA_PERF_SETTINGS_EXT, false),
        ];
        for (kind, is_word) in kinds {
            for body in [0, 1, 4, 0x7f, 0x80, 0xff] {
                event(kind.into_raw(), body, |event| {
                    let word = event.as_ref().and_then(Word::of);
                    assert_eq!(word.is_some(), is_word, "{kind:?} {body:#x}");
                });
            }
        }
        event(-1, 0xff, |event| assert!(event.is_none()));
    }
}
