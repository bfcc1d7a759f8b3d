//! An entry in words, for people who look into a record.

use gemba_record::body::Body;
use gemba_record::command::Outcome;
use gemba_record::edit::{Change, Edit};
use gemba_record::role::Grant;
use gemba_record::segment::Segment;
use gemba_record::site::Site;
use gemba_record::succession::SiteHost;
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKey;

use crate::clock;

/// What the entry says. `site` names things and peers as they are called now.
pub(crate) fn words(body: &Body, site: &Site) -> String {
    let peer = |key: &PeerKey| name(site, key);
    let at = |id: &ThingId| thing(site, *id);
    match body {
        Body::Found { name, host } => format!("founds the site {name} with the host {}", host.short()),
        Body::Admit { name, role, kind, .. } => format!("admits {name} as {role} ({kind:?})"),
        Body::ImportModel { name, bytes, blob } => {
            format!("imports {name}, {bytes} bytes, BLAKE3 {}", &hex(blob)[..16])
        }
        Body::AddThings { things, .. } => format!("adds {} things", things.len()),
        Body::DeclareTags { tags } => format!("declares {} tags", tags.len()),
        Body::AddNote { text, thing, .. } => format!("notes at {}: {text}", at(thing)),
        Body::ResolveNote { note, resolved: true } => format!("resolves the note {note}"),
        Body::ResolveNote { note, resolved: false } => format!("opens the note {note} again"),
        Body::CreateThing(new) => format!("places {}", new.thing.path),
        Body::EditThing(edit) => edit_words(edit, site),
        Body::SaveViewpoint { name, .. } => format!("saves the viewpoint {name}"),
        Body::RemoveViewpoint { viewpoint } => format!("removes the viewpoint {viewpoint}"),
        Body::CommandDevice(command) => format!("sets {} to {}", command.tag, command.value),
        Body::ReportOutcome(report) => match &report.outcome {
            Outcome::Done => format!("has done the command {}", report.command),
            Outcome::Failed(why) => format!("could not do the command {}: {why}", report.command),
            Outcome::Expired => format!("got the command {} too late", report.command),
        },
        Body::AckAlarm(ack) => format!("acknowledges the alarm of {} {}", at(&ack.thing), ack.text),
        Body::GrantRole { peer: to, grant } => format!("makes {} {}", peer(to), grant_words(grant, site)),
        Body::RevokeRole { peer: from, scope: Some(scope) } => {
            format!("takes the role of {} in {}", peer(from), at(scope))
        }
        Body::RevokeRole { peer: from, scope: None } => format!("takes the role of {} in the whole site", peer(from)),
        Body::Invite(offer) => {
            let grant = Grant { role: offer.role, scope: offer.scope };
            format!("invites one {:?} as {}", offer.kind, grant_words(&grant, site))
        }
        Body::RedeemInvitation { name, .. } => format!("comes in by invitation as {name}"),
        Body::PromiseKey(_) => "promises its next key".to_owned(),
        Body::RotateKey(new) => format!("goes on with the promised key {}", new.key.short()),
        Body::RecoverKey { new, approvals } => {
            format!("goes on with the key {}, vouched for by {} guardians", new.key.short(), approvals.len())
        }
        Body::RevokeKey { peer: of } => format!("revokes the key of {}", peer(of)),
        Body::CommitState { digest } => format!("commits to the state {}", &hex(digest)[..16]),
        Body::AddSegment(segment) => segment_words(segment, site),
        Body::SetPolicy(policy) => format!(
            "calls final what {} of {} witnesses and {} of {} mirrors have cosigned",
            policy.witnesses_needed,
            policy.witnesses.len(),
            policy.mirrors_needed,
            policy.mirrors.len()
        ),
        Body::NameHosts { hosts } => {
            let named = |host: &SiteHost| format!("{} at {}", host.key.short(), host.place);
            format!("names the hosts {}", hosts.iter().map(named).collect::<Vec<_>>().join(", "))
        }
        Body::Succeed { of, epoch } => format!("succeeds the host {} and begins epoch {epoch}", of.short()),
        Body::DropSegments { blobs } => format!("drops {} segments, as its policy says", blobs.len()),
    }
}

/// All that is needed to check the file: see docs/history.md.
fn segment_words(segment: &Segment, site: &Site) -> String {
    let Segment { blob, bytes, samples, from, to, devices } = segment;
    let (blob, from, to) = (hex(blob), clock::text(*from), clock::text(*to));
    let measured = devices.iter().map(|told| format!("{} with root {}", name(site, &told.device), hex(&told.root)));
    let measured = measured.collect::<Vec<_>>().join(", ");
    format!("keeps {samples} samples from {from} to {to} in {blob}, {bytes} bytes, measured by {measured}")
}

/// The thing an entry is about, if it is about one.
pub(crate) fn thing_of(body: &Body) -> Option<ThingId> {
    match body {
        Body::AddNote { thing, .. } => Some(*thing),
        Body::CreateThing(new) => Some(new.id),
        Body::EditThing(edit) => Some(edit.thing),
        Body::AckAlarm(ack) => Some(ack.thing),
        Body::GrantRole { grant, .. } => grant.scope,
        Body::RevokeRole { scope, .. } => *scope,
        Body::Invite(offer) => offer.scope,
        _ => None,
    }
}

fn edit_words(edit: &Edit, site: &Site) -> String {
    let which = thing(site, edit.thing);
    let what = match &edit.change {
        Change::Move(Some(place)) => {
            let [x, y, z] = place.position;
            format!("moves {which} to {x:.2}, {y:.2}, {z:.2} m")
        }
        Change::Move(None) => format!("puts {which} back to where its model draws it"),
        Change::Rename(name) => format!("renames {which} to {name}"),
        Change::Reparent(Some(parent)) => format!("makes {which} part of {}", thing(site, *parent)),
        Change::Reparent(None) => format!("makes {which} part of nothing"),
        Change::Retire(true) => format!("retires {which}"),
        Change::Retire(false) => format!("brings {which} back"),
        Change::Bind(bindings) => format!("binds {which} to {} tags", bindings.len()),
        Change::Classify(level, class) => format!("calls {which} a {class:?} ({level:?})"),
    };
    match edit.undoes {
        Some(undone) => format!("{what}, which undoes {undone}"),
        None => what,
    }
}

fn grant_words(grant: &Grant, site: &Site) -> String {
    match grant.scope {
        Some(scope) => format!("{} in {}", grant.role, thing(site, scope)),
        None => format!("{} of the whole site", grant.role),
    }
}

/// A peer by its name and the beginning of its key.
pub(crate) fn name(site: &Site, key: &PeerKey) -> String {
    match site.peer(key) {
        Some(peer) => format!("{} ({})", peer.name, key.short()),
        None => key.short(),
    }
}

fn thing(site: &Site, id: ThingId) -> String {
    site.thing(id).map_or_else(|| id.to_string(), |thing| thing.thing.path.to_string())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
