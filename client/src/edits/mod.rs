//! What this person says to the record, and how it is taken back. Features ask with [`Say`]; it is signed and sent, and
//! counts once it has come back in the log. Ctrl+Z takes back the newest of one's own, Ctrl+Shift+Z does it again: both
//! by further entries, for the record forgets nothing. Who is overruled, refused or in the way is told.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};
use gemba_record::body::Body;
use gemba_record::edit::Aspect;
use gemba_record::entry::EntryId;
use gemba_record::site::Site as Fold;
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKey;

use crate::cursor::Cursor;
use crate::link::{Answered, Connection, Landed};
use crate::problems::Problems;
use crate::schedule::Frame;
use crate::toasts::{Toast, Tone};

mod steps;
mod words;

use steps::{Said, Step, Steps, Way};

/// Asks to say this to the record in this person's name.
#[derive(Message, Debug, Clone)]
pub struct Say(pub Body);

/// Asks to take back an entry of this person's own, whatever others have made of its thing since.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndoEdit(pub EntryId);

/// Here what was asked to be taken back is; whoever has Ctrl+Z for something of its own acts before.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TakeBack;

/// Asks to take back the newest of this person's own, as Ctrl+Z does.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepBack;

pub(crate) fn plugin(app: &mut App) {
    app.add_message::<Say>()
        .add_message::<StepBack>()
        .add_message::<UndoEdit>()
        .init_resource::<Steps>()
        .add_systems(Update, (hear, ask.in_set(TakeBack), say).chain().in_set(Frame::Edit));
}

/// Learns what has become of what was said.
fn hear(
    mut steps: ResMut<Steps>,
    mut problems: ResMut<Problems>,
    mut landed: MessageReader<Landed>,
    mut answered: MessageReader<Answered>,
    mut toasts: MessageWriter<Toast>,
    connection: Res<Connection>,
) {
    for landed in landed.read() {
        let Some((words, way)) = steps.handle_landed(landed) else { continue };
        toasts.write(Toast::plain(match way {
            Way::Fresh => words::sentence(&words),
            Way::Undo => format!("Taken back: {words}"),
            Way::Redo => format!("Done again: {words}"),
        }));
    }
    for Answered { submission, outcome, overruled } in answered.read() {
        let Some((id, words)) = steps.handle_answered(*submission, outcome.is_ok()) else { continue };
        match (outcome, overruled) {
            (Err(why), _) => {
                problems.note(format!("the host refused an entry ({words}): {why}"));
                toasts.write(Toast::failure(format!("The host did not take it ({words}): {why}")));
            }
            (Ok(_), Some(overruled)) => {
                let words = conflict_words(&connection, *overruled);
                toasts.write(Toast { words, tone: Tone::Warning, offer: Some(("Undo mine", UndoEdit(id))) });
            }
            (Ok(_), None) => {}
        }
    }
}

/// Who did what meanwhile, without this person's knowledge.
fn conflict_words(connection: &Connection, overruled: u64) -> String {
    let known = connection.log().site().zip(connection.entry(overruled));
    let (who, what) = match &known {
        Some((site, entry)) => (name_of(site, &entry.author), words::done(site, &entry.body)),
        None => ("Somebody".to_owned(), "changed the same".to_owned()),
    };
    format!("{who} {what} meanwhile. Yours came later and holds.")
}

fn name_of(site: &Fold, peer: &PeerKey) -> String {
    site.peer(peer).map_or_else(|| "Somebody".to_owned(), |peer| peer.name.clone())
}

/// Keys, buttons, and what toasts offered.
fn ask(
    mut contexts: EguiContexts,
    mut steps: ResMut<Steps>,
    mut offers: MessageReader<UndoEdit>,
    mut back: MessageReader<StepBack>,
    mut toasts: MessageWriter<Toast>,
    connection: Res<Connection>,
    cursor: Res<Cursor>,
) -> Result {
    let is_asked = back.read().count() > 0;
    for UndoEdit(id) in offers.read() {
        if !steps.undo(Some(*id)) {
            toasts.write(Toast::failure("That was taken back already"));
        }
    }
    let ctx = contexts.ctx_mut()?;
    if (ctx.egui_wants_keyboard_input() && !is_asked) || !connection.is_site() {
        return Ok(());
    }
    let (undo, redo) = ctx.input(|i| {
        i.events.iter().fold((is_asked, false), |(undo, redo), event| match event {
            egui::Event::Key { key: egui::Key::Z, pressed: true, modifiers, .. } if modifiers.command => {
                (undo || !modifiers.shift, redo || modifiers.shift)
            }
            egui::Event::Key { key: egui::Key::Y, pressed: true, modifiers, .. } if modifiers.command => (undo, true),
            _ => (undo, redo),
        })
    });
    if (undo || redo) && *cursor != Cursor::Live {
        toasts.write(Toast::failure("The past cannot be changed: go back to live (L) first"));
    } else if undo {
        if let Some((words, id)) = steps.to_undo().and_then(|step| in_the_way(step, &connection)) {
            toasts.write(Toast { words, tone: Tone::Warning, offer: Some(("Take back anyway", UndoEdit(id))) });
        } else if !steps.undo(None) {
            toasts.write(Toast::plain("There is nothing of yours to take back"));
        }
    } else if redo && !steps.redo() {
        toasts.write(Toast::plain("There is nothing to do again"));
    }
    Ok(())
}

/// Whether somebody else has changed since what this step did, so that taking it back would overrule them.
fn in_the_way(step: &Step, connection: &Connection) -> Option<(String, EntryId)> {
    let site = connection.log().site()?;
    let (thing, aspect) = changed(&step.inverse)?;
    let last = site.last_edit(thing, aspect).filter(|last| last.index > step.index)?;
    if Some(last.author) == connection.identity() {
        return None;
    }
    let what = connection.entry(last.index).map(|entry| words::done(site, &entry.body));
    let what = what.unwrap_or_else(|| "changed the same".to_owned());
    let who = name_of(site, &last.author);
    Some((format!("{who} {what} since. To take back that you {} would overrule it.", step.words), step.id))
}

fn changed(body: &Body) -> Option<(ThingId, Aspect)> {
    match body {
        Body::EditThing(edit) => Some((edit.thing, edit.change.aspect())),
        _ => None,
    }
}

/// Signs and sends what was asked for in this frame.
fn say(
    mut connection: ResMut<Connection>,
    mut steps: ResMut<Steps>,
    mut asked: MessageReader<Say>,
    mut toasts: MessageWriter<Toast>,
) {
    let fresh = asked.read().map(|Say(body)| (body.clone(), Way::Fresh, None));
    let back = steps.take_asked().into_iter().map(|(step, way)| (step.inverse, way, Some(step.words)));
    for (body, way, words) in fresh.chain(back).collect::<Vec<_>>() {
        let words = words.or_else(|| Some(words::done(connection.log().site()?, &body))).unwrap_or_default();
        let is_here = connection.is_here();
        match connection.say(body) {
            Ok((id, submission)) => steps.handle_said(Said { id, submission, way, words }),
            Err(why) => drop(toasts.write(Toast::failure(format!("Not sent ({words}): {why}")))),
        }
        if !is_here {
            let words = format!("The host is away: {} to be sent when it is back", steps.under_way());
            toasts.write(Toast { words, tone: Tone::Warning, offer: None });
        }
    }
}
