//! The course of a session with the headset: which state the runtime says it is in, and what is to be done next. It
//! decides only; `session` does. No clock: `now` is the time since the app's start.

use std::time::Duration;

use bevy::prelude::Resource;
use openxr::SessionState;

/// After a loss, the runtime is asked again this often: often enough for someone who has just started it again, seldom
/// enough that a runtime which takes its time to refuse does not cost frames.
const RETRY: Duration = Duration::from_secs(3);

/// How the session with the headset stands. The desktop works in every one of these.
#[derive(Resource, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeadsetState {
    /// There is no session: not yet, or no longer.
    #[default]
    Away,
    /// A session begins or ends; nothing is seen.
    Changing,
    /// A session runs in step with the runtime, but nobody sees it: it is hidden, or the headset has been taken off.
    Unseen,
    /// The person sees the plant, but the runtime has the input: its own menu is open. Hands are hidden.
    Visible,
    /// The person sees the plant and their hands act in it.
    Focused,
}

impl HeadsetState {
    /// Whether the person sees the plant.
    pub fn is_seen(self) -> bool {
        matches!(self, Self::Visible | Self::Focused)
    }
}

/// What is to be done with the session now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Make a session; with a new instance if the old one is lost.
    Create { renews_instance: bool },
    /// Begin the frames.
    Begin,
    /// End the frames.
    End,
    /// Let go of all that belongs to the session.
    Destroy,
}

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The session only: another can be made with the same runtime.
    Session,
    /// The connection with the runtime.
    Instance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No session; one is asked for from then on.
    Waiting { until: Duration, renews_instance: bool },
    /// The runtime has said this of the session.
    Session { state: SessionState, is_begun: bool },
    /// The session is to go; after it, again or not.
    Leaving { then: Option<Loss> },
    /// The person has left the headset's session; only they bring it back.
    Left,
}

/// Where the session stands.
#[derive(Debug)]
pub(crate) struct Course {
    stage: Stage,
    /// The headset has been taken off, though its session goes on.
    is_absent: bool,
}

impl Default for Course {
    fn default() -> Self {
        Self { stage: Stage::Waiting { until: Duration::ZERO, renews_instance: false }, is_absent: false }
    }
}

impl Course {
    /// There was no headset at the start.
    pub(crate) fn without_headset() -> Self {
        Self { stage: Stage::Waiting { until: RETRY, renews_instance: true }, is_absent: false }
    }

    /// The runtime has told whether somebody wears the headset (XR_EXT_user_presence). Where it cannot tell, somebody does.
    pub(crate) fn presence(&mut self, is_present: bool) {
        self.is_absent = !is_present;
    }

    /// What is to be done now; tell how it went by [`Course::done`] or [`Course::lost`].
    pub(crate) fn next(&self, now: Duration) -> Option<Deed> {
        match self.stage {
            Stage::Waiting { until, renews_instance } if now >= until => Some(Deed::Create { renews_instance }),
            Stage::Session { state: SessionState::READY, is_begun: false } => Some(Deed::Begin),
            Stage::Session { state: SessionState::STOPPING, is_begun: true } => Some(Deed::End),
            Stage::Leaving { .. } => Some(Deed::Destroy),
            _ => None,
        }
    }

    /// The deed has succeeded.
    pub(crate) fn done(&mut self, deed: Deed, now: Duration) {
        if matches!(deed, Deed::Create { .. }) {
            self.is_absent = false;
        }
        self.stage = match (deed, self.stage) {
            (Deed::Create { .. }, _) => Stage::Session { state: SessionState::IDLE, is_begun: false },
            (Deed::Begin, Stage::Session { state, .. }) => Stage::Session { state, is_begun: true },
            (Deed::End, Stage::Session { state, .. }) => Stage::Session { state, is_begun: false },
            (Deed::Destroy, Stage::Leaving { then: Some(loss) }) => {
                Stage::Waiting { until: now + RETRY, renews_instance: loss == Loss::Instance }
            }
            (Deed::Destroy, Stage::Leaving { then: None }) => Stage::Left,
            (_, stage) => stage,
        };
    }

    /// The runtime has told the session's state.
    pub(crate) fn heard(&mut self, said: SessionState) {
        let Stage::Session { state, is_begun } = &mut self.stage else { return };
        let is_begun = *is_begun;
        *state = said;
        match said {
            SessionState::EXITING => self.stage = Stage::Leaving { then: None },
            SessionState::LOSS_PENDING => self.stage = Stage::Leaving { then: Some(Loss::Session) },
            _ => self.stage = Stage::Session { state: said, is_begun },
        }
    }

    /// Something was lost, or a session could not be made.
    pub(crate) fn lost(&mut self, loss: Loss, now: Duration) {
        self.stage = match self.stage {
            Stage::Waiting { renews_instance, .. } => {
                Stage::Waiting { until: now + RETRY, renews_instance: renews_instance || loss == Loss::Instance }
            }
            Stage::Session { .. } | Stage::Leaving { then: Some(_) } => Stage::Leaving { then: Some(loss) },
            // Who has left is not brought back because something else went wrong on their way out.
            stage @ (Stage::Leaving { then: None } | Stage::Left) => stage,
        };
    }

    /// The person wants to go back into the headset.
    pub(crate) fn enter(&mut self, now: Duration) {
        if self.stage == Stage::Left {
            self.stage = Stage::Waiting { until: now, renews_instance: false };
        }
    }

    /// Whether frames are to be waited for, begun and ended.
    pub(crate) fn runs_frames(&self) -> bool {
        matches!(self.stage, Stage::Session { is_begun: true, state } if state != SessionState::STOPPING)
    }

    /// As the app sees it.
    pub(crate) fn state(&self) -> HeadsetState {
        match self.stage {
            Stage::Waiting { .. } | Stage::Left => HeadsetState::Away,
            Stage::Session { state, is_begun: true } => match state {
                SessionState::FOCUSED | SessionState::VISIBLE if self.is_absent => HeadsetState::Unseen,
                SessionState::FOCUSED => HeadsetState::Focused,
                SessionState::VISIBLE => HeadsetState::Visible,
                SessionState::SYNCHRONIZED => HeadsetState::Unseen,
                _ => HeadsetState::Changing,
            },
            _ => HeadsetState::Changing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(10);

    fn running(state: SessionState) -> Course {
        let mut course = Course::default();
        course.done(Deed::Create { renews_instance: false }, NOW);
        course.heard(SessionState::READY);
        assert_eq!(course.next(NOW), Some(Deed::Begin));
        course.done(Deed::Begin, NOW);
        course.heard(state);
        course
    }

    #[test]
    fn seen_without_focus_is_not_focused_and_unseen_is_not_seen() {
        assert_eq!(running(SessionState::SYNCHRONIZED).state(), HeadsetState::Unseen);
        assert_eq!(running(SessionState::VISIBLE).state(), HeadsetState::Visible);
        assert_eq!(running(SessionState::FOCUSED).state(), HeadsetState::Focused);
        assert!(!HeadsetState::Unseen.is_seen() && HeadsetState::Visible.is_seen());
    }

    #[test]
    fn a_headset_that_is_taken_off_and_put_on_again_keeps_its_session() {
        let mut course = running(SessionState::FOCUSED);
        course.heard(SessionState::STOPPING);
        assert!(!course.runs_frames());
        assert_eq!(course.next(NOW), Some(Deed::End));
        course.done(Deed::End, NOW);
        course.heard(SessionState::IDLE);
        assert_eq!((course.next(NOW), course.state()), (None, HeadsetState::Changing));
        course.heard(SessionState::READY);
        assert_eq!(course.next(NOW), Some(Deed::Begin));
    }

    #[test]
    fn nobody_sees_a_headset_that_lies_on_the_table() {
        let mut course = running(SessionState::FOCUSED);
        course.presence(false);
        assert_eq!((course.state(), course.runs_frames()), (HeadsetState::Unseen, true));
        course.presence(true);
        assert_eq!(course.state(), HeadsetState::Focused);
        // Another session begins with somebody, until it says otherwise.
        course.presence(false);
        course.lost(Loss::Session, NOW);
        course.done(Deed::Destroy, NOW);
        course.done(Deed::Create { renews_instance: false }, NOW);
        course.heard(SessionState::READY);
        course.done(Deed::Begin, NOW);
        course.heard(SessionState::VISIBLE);
        assert_eq!(course.state(), HeadsetState::Visible);
    }

    #[test]
    fn a_headset_that_was_not_there_is_asked_for_anew() {
        let mut course = Course::without_headset();
        assert_eq!((course.next(Duration::ZERO), course.state()), (None, HeadsetState::Away));
        assert_eq!(course.next(RETRY), Some(Deed::Create { renews_instance: true }));
        course.lost(Loss::Session, RETRY);
        assert_eq!(course.next(RETRY * 2), Some(Deed::Create { renews_instance: true }));
    }

    #[test]
    fn a_lost_session_is_made_again_and_a_lost_runtime_is_asked_anew() {
        for (loss, renews_instance) in [(Loss::Session, false), (Loss::Instance, true)] {
            let mut course = running(SessionState::FOCUSED);
            course.lost(loss, NOW);
            assert!(!course.runs_frames());
            assert_eq!(course.next(NOW), Some(Deed::Destroy));
            course.done(Deed::Destroy, NOW);
            assert_eq!((course.state(), course.next(NOW)), (HeadsetState::Away, None));
            let later = NOW + RETRY;
            assert_eq!(course.next(later), Some(Deed::Create { renews_instance }));
            course.lost(Loss::Session, later);
            assert_eq!(course.next(later), None, "it is not asked every frame");
            assert_eq!(course.next(later + RETRY), Some(Deed::Create { renews_instance }));
        }
    }

    #[test]
    fn who_leaves_the_headset_stays_on_the_desktop_until_they_want_back() {
        let mut course = running(SessionState::FOCUSED);
        course.heard(SessionState::EXITING);
        assert_eq!(course.next(NOW), Some(Deed::Destroy));
        course.done(Deed::Destroy, NOW);
        assert_eq!(course.next(NOW * 100), None);
        course.enter(NOW);
        assert_eq!(course.next(NOW), Some(Deed::Create { renews_instance: false }));
    }

    /// A course, and what `session` would have made of its deeds.
    struct Walk {
        course: Course,
        now: Duration,
        is_live: bool,
        is_begun: bool,
    }

    impl Walk {
        /// Does what is due, or fails at it.
        fn act(&mut self, fails: Option<Loss>) -> Option<Deed> {
            let deed = self.course.next(self.now)?;
            match (deed, fails) {
                (Deed::Create { .. }, _) => assert!(!self.is_live, "a session is let go before the next is made"),
                _ => assert!(self.is_live, "{deed:?} is asked of a session that is there"),
            }
            match fails.filter(|_| deed != Deed::Destroy) {
                Some(loss) => self.course.lost(loss, self.now),
                None => {
                    self.is_live = deed != Deed::Destroy;
                    self.is_begun = match deed {
                        Deed::Begin => true,
                        Deed::End | Deed::Destroy | Deed::Create { .. } => false,
                    };
                    self.course.done(deed, self.now);
                }
            }
            Some(deed)
        }

        fn check(&self) {
            assert!(!self.course.runs_frames() || (self.is_live && self.is_begun), "{self:?}");
            assert!(!self.course.state().is_seen() || self.course.runs_frames(), "{self:?}");
        }
    }

    impl std::fmt::Debug for Walk {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:?} at {:?}, live {}, begun {}", self.course, self.now, self.is_live, self.is_begun)
        }
    }

    #[test]
    fn whatever_happens_in_whatever_order_sessions_are_kept_apart_and_a_good_runtime_brings_the_headset_back() {
        for seed in 1..3000u64 {
            // Marsaglia's xorshift: the same walks on every machine.
            let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut throw = |sides: u64| {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                dice % sides
            };
            let course = if throw(2) == 0 { Course::default() } else { Course::without_headset() };
            let mut walk = Walk { course, now: Duration::ZERO, is_live: false, is_begun: false };
            for _ in 0..100 {
                walk.now += Duration::from_millis(throw(2000));
                let loss = if throw(2) == 0 { Loss::Session } else { Loss::Instance };
                match throw(9) {
                    0..=2 => walk.course.heard(SessionState::from_raw(throw(14) as i32 - 2)),
                    3 => walk.course.lost(loss, walk.now),
                    4 => walk.course.presence(throw(2) == 0),
                    5 => walk.course.enter(walk.now),
                    _ => drop(walk.act((throw(3) == 0).then_some(loss))),
                }
                walk.check();
            }
            for _ in 0..6 {
                walk.now += RETRY;
                walk.course.enter(walk.now);
                walk.course.presence(true);
                while let Some(deed) = walk.act(None) {
                    walk.check();
                    if matches!(deed, Deed::Create { .. } | Deed::End) {
                        walk.course.heard(SessionState::READY);
                    }
                }
                let is_idle = walk.is_live && !walk.is_begun;
                walk.course.heard(if is_idle { SessionState::READY } else { SessionState::FOCUSED });
                walk.check();
            }
            assert_eq!(walk.course.state(), HeadsetState::Focused, "seed {seed}: {walk:?}");
        }
    }

    #[test]
    fn who_has_left_stays_away_though_something_goes_wrong_on_the_way_out() {
        let mut course = running(SessionState::FOCUSED);
        course.heard(SessionState::EXITING);
        course.lost(Loss::Instance, NOW);
        course.done(Deed::Destroy, NOW);
        assert_eq!(course.next(NOW * 100), None);
    }

    #[test]
    fn nothing_a_runtime_says_is_beyond_the_course() {
        let words = (-1..12).map(SessionState::from_raw);
        for word in words.clone() {
            for next in words.clone() {
                let mut course = running(word);
                course.heard(next);
                course.lost(Loss::Session, NOW);
                assert!(!course.runs_frames());
            }
        }
    }
}
