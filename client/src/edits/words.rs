//! What an entry did, in words that follow a name: `moved Tank1`.

use gemba_record::body::Body;
use gemba_record::edit::Change;
use gemba_record::site::Site as Fold;
use gemba_twin::path::ThingId;

/// What is called a thing that is not known here.
const UNKNOWN: &str = "something";
/// Longest name quoted, characters.
const NAME_CHARS: usize = 40;

/// What this did or would do, in the site as it is known.
pub(super) fn done(fold: &Fold, body: &Body) -> String {
    let name = |id: ThingId| fold.thing(id).map_or(UNKNOWN.to_owned(), |held| short(held.thing.path.name()));
    let note = |id| fold.notes().iter().rev().find(|note| note.id == id).map_or(UNKNOWN.to_owned(), |n| name(n.thing));
    match body {
        Body::EditThing(edit) => changed(fold, &name(edit.thing), &edit.change),
        Body::CreateThing(new) => format!("placed {}", short(new.thing.path.name())),
        Body::AddNote { thing, .. } => format!("left a note at {}", name(*thing)),
        Body::ResolveNote { note: id, resolved: true } => format!("settled a note at {}", note(*id)),
        Body::ResolveNote { note: id, resolved: false } => format!("reopened a note at {}", note(*id)),
        Body::SaveViewpoint { name, .. } => format!("saved the view “{}”", short(name)),
        Body::RemoveViewpoint { .. } => "removed a view".to_owned(),
        Body::CommandDevice(command) => format!("told {} to be {}", command.tag, command.value),
        Body::AckAlarm(ack) => format!("acknowledged the alarm of {}", name(ack.thing)),
        _ => "said something".to_owned(),
    }
}

fn changed(fold: &Fold, name: &str, change: &Change) -> String {
    match change {
        Change::Move(Some(_)) => format!("moved {name}"),
        Change::Move(None) => format!("moved {name} to where its model has it"),
        Change::Rename(to) => format!("renamed {name} to “{}”", short(to)),
        Change::Reparent(Some(parent)) => {
            let parent = fold.thing(*parent).map_or(UNKNOWN.to_owned(), |held| short(held.thing.path.name()));
            format!("made {name} part of {parent}")
        }
        Change::Reparent(None) => format!("made {name} part of nothing"),
        Change::Retire(true) => format!("retired {name}"),
        Change::Retire(false) => format!("brought {name} back"),
        Change::Bind(_) => format!("bound other tags to {name}"),
        Change::Classify(..) => format!("changed what {name} is"),
    }
}

/// With a capital, to begin a sentence.
pub(super) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn short(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_at_a_character_and_sentences_begin_with_a_capital() {
        assert_eq!(short(&"ä".repeat(50)), format!("{}…", "ä".repeat(40)));
        assert_eq!((sentence("moved Tank1"), sentence("")), ("Moved Tank1".to_owned(), String::new()));
    }
}
