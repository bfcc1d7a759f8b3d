//! One's own steps, and the way back through them: what was said and has not come back yet, what can be taken back, and
//! what can be done again. No drawing, no sending.

use std::collections::VecDeque;

use bevy::prelude::*;
use gemba_record::body::Body;
use gemba_record::entry::EntryId;

use crate::link::Landed;

/// Steps that can be taken back: a shift of busy work.
const STEPS: usize = 500;

/// Why something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To do it.
    Fresh,
    /// To take something back.
    Undo,
    /// To do again what was taken back.
    Redo,
}

/// What was said and has not come back or has not been answered yet.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) id: EntryId,
    pub(super) submission: u64,
    pub(super) way: Way,
    /// What it did, as `moved Tank1`.
    pub(super) words: String,
}

/// Something that has been done and can be taken back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// The entry that did it.
    pub(super) id: EntryId,
    /// Where that stands.
    pub(super) index: u64,
    /// What takes it back.
    pub(super) inverse: Body,
    pub(super) words: String,
}

/// All of them.
#[derive(Resource, Debug, Default)]
pub(super) struct Steps {
    waiting: Vec<(Said, bool, bool)>,
    undo: VecDeque<Step>,
    redo: Vec<Step>,
    /// To be said at the end of the frame.
    asked: Vec<(Step, Way)>,
}

impl Steps {
    /// Something has been sent.
    pub(super) fn handle_said(&mut self, said: Said) {
        self.waiting.push((said, false, false));
    }

    /// It has come back: from now on it can be taken back or, if it did so itself, done again. Returns what it did.
    pub(super) fn handle_landed(&mut self, landed: &Landed) -> Option<(String, Way)> {
        let at = self.waiting.iter().position(|(said, ..)| said.id == landed.id)?;
        self.waiting[at].1 = true;
        let (words, way) = (self.waiting[at].0.words.clone(), self.waiting[at].0.way);
        self.forget_if_over(at);
        let step = landed.inverse.clone().map(|inverse| Step {
            id: landed.id,
            index: landed.index,
            inverse,
            words: words.clone(),
        });
        if way == Way::Fresh {
            self.redo.clear();
        }
        match way {
            Way::Undo => self.redo.extend(step),
            Way::Fresh | Way::Redo => self.undo.extend(step),
        }
        if self.undo.len() > STEPS {
            self.undo.pop_front();
        }
        Some((words, way))
    }

    /// The host has answered. Returns which entry, and what it did or would have done.
    pub(super) fn handle_answered(&mut self, submission: u64, is_taken: bool) -> Option<(EntryId, String)> {
        let at = self.waiting.iter().position(|(said, ..)| said.submission == submission)?;
        self.waiting[at].2 = true;
        let answered = (self.waiting[at].0.id, self.waiting[at].0.words.clone());
        if !is_taken {
            self.waiting[at].1 = true;
        }
        self.forget_if_over(at);
        Some(answered)
    }

    fn forget_if_over(&mut self, at: usize) {
        if matches!(self.waiting[at], (_, true, true)) {
            self.waiting.remove(at);
        }
    }

    /// How much has been sent and is not in the log yet.
    pub(super) fn under_way(&self) -> usize {
        self.waiting.iter().filter(|(_, landed, _)| !landed).count()
    }

    /// What would be taken back next.
    pub(super) fn to_undo(&self) -> Option<&Step> {
        self.undo.back()
    }

    /// Asks to take back this one, or the newest.
    pub(super) fn undo(&mut self, id: Option<EntryId>) -> bool {
        let at = match id {
            Some(id) => self.undo.iter().position(|step| step.id == id),
            None => self.undo.len().checked_sub(1),
        };
        let step = at.and_then(|at| self.undo.remove(at));
        let found = step.is_some();
        self.asked.extend(step.map(|step| (step, Way::Undo)));
        found
    }

    /// Asks to do again what was taken back last.
    pub(super) fn redo(&mut self) -> bool {
        let step = self.redo.pop();
        let found = step.is_some();
        self.asked.extend(step.map(|step| (step, Way::Redo)));
        found
    }

    /// What was asked for since the last call.
    pub(super) fn take_asked(&mut self) -> Vec<(Step, Way)> {
        std::mem::take(&mut self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> EntryId {
        EntryId([n; 16])
    }

    fn inverse(n: u8) -> Body {
        Body::RemoveViewpoint { viewpoint: id(n) }
    }

    /// Says, hears the answer and sees it come back.
    fn done(steps: &mut Steps, n: u8, way: Way) {
        steps.handle_said(Said { id: id(n), submission: n.into(), way, words: format!("did {n}") });
        steps.handle_answered(n.into(), true);
        let landed = Landed { id: id(n), index: n.into(), inverse: Some(inverse(n)) };
        assert_eq!(steps.handle_landed(&landed), Some((format!("did {n}"), way)));
        assert!(steps.waiting.is_empty());
    }

    fn asked(steps: &mut Steps) -> Vec<(Body, Way)> {
        steps.take_asked().into_iter().map(|(step, way)| (step.inverse, way)).collect()
    }

    #[test]
    fn steps_are_taken_back_newest_first_and_done_again_in_turn() {
        let mut steps = Steps::default();
        done(&mut steps, 1, Way::Fresh);
        done(&mut steps, 2, Way::Fresh);
        assert!(steps.undo(None));
        assert_eq!(asked(&mut steps), [(inverse(2), Way::Undo)]);
        done(&mut steps, 3, Way::Undo);
        assert!(steps.redo());
        assert_eq!(asked(&mut steps), [(inverse(3), Way::Redo)], "what takes back the taking back");
        done(&mut steps, 4, Way::Redo);
        assert_eq!(steps.to_undo().map(|step| step.id), Some(id(4)));
        assert!(!steps.redo());
    }

    #[test]
    fn a_new_step_ends_what_could_be_done_again() {
        let mut steps = Steps::default();
        done(&mut steps, 1, Way::Fresh);
        steps.undo(None);
        done(&mut steps, 2, Way::Undo);
        done(&mut steps, 3, Way::Fresh);
        assert!(!steps.redo());
    }

    #[test]
    fn one_step_is_taken_back_out_of_the_middle() {
        let mut steps = Steps::default();
        (1..4).for_each(|n| done(&mut steps, n, Way::Fresh));
        assert!(steps.undo(Some(id(2))) && !steps.undo(Some(id(2))));
        assert_eq!(asked(&mut steps), [(inverse(2), Way::Undo)]);
        assert_eq!(steps.undo.iter().map(|step| step.id).collect::<Vec<_>>(), [id(1), id(3)]);
    }

    #[test]
    fn what_was_refused_can_not_be_taken_back() {
        let mut steps = Steps::default();
        steps.handle_said(Said { id: id(1), submission: 7, way: Way::Fresh, words: "tried".to_owned() });
        assert_eq!(steps.under_way(), 1);
        assert_eq!(steps.handle_answered(7, false), Some((id(1), "tried".to_owned())));
        assert_eq!((steps.under_way(), steps.to_undo(), steps.waiting.len()), (0, None, 0));
    }

    #[test]
    fn an_entry_that_comes_back_before_its_answer_is_known_by_both() {
        let mut steps = Steps::default();
        steps.handle_said(Said { id: id(1), submission: 7, way: Way::Fresh, words: "did".to_owned() });
        let landed = Landed { id: id(1), index: 3, inverse: None };
        assert!(steps.handle_landed(&landed).is_some());
        assert!(steps.handle_answered(7, true).is_some() && steps.waiting.is_empty());
    }
}
