//! What peers say: entries of every kind, from what each of them knows of the site, which may be old; and what thieves
//! and liars say.

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::{BlobHash, Body};
use gemba_record::command::{AlarmAck, Command, CommandOutcome, Outcome};
use gemba_record::edit::{Change, Edit, NewThing};
use gemba_record::entry::{EntryId, KeyNumber, Seen, SiteId};
use gemba_record::identity::{Approval, Guardians, Inception, KeyPromise, NewKey};
use gemba_record::invitation::{Invitation, Token};
use gemba_record::policy::{Member, SitePolicy};
use gemba_record::role::{Grant, Role};
use gemba_record::segment::{DeviceRoot, Segment};
use gemba_record::site::Site;
use gemba_record::succession::SiteHost;
use gemba_twin::path::ThingId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::place::Placement;
use gemba_twin::sample::{Timestamp, Value, ValueKind};
use gemba_twin::tag::Tag;
use gemba_twin::thing::{Class, Level, Thing};
use gemba_twin::viewpoint::Viewpoint;

use crate::random::Random;

pub(crate) const SITE: SiteId = SiteId([0x51; 16]);
pub(crate) const MODEL: [u8; 32] = [0xab; 32];

/// Who there is: an owner, an operator, a commenter, a gateway, a thief, the mirror, and who may come by invitation.
pub(crate) const OWNER: u8 = 0;
pub(crate) const OPERATOR: u8 = 1;
pub(crate) const COMMENTER: u8 = 2;
pub(crate) const GATEWAY: u8 = 3;
pub(crate) const THIEF: u8 = 4;
pub(crate) const MIRROR: u8 = 5;
pub(crate) const NEWCOMER: u8 = 6;
const NEWCOMERS: [u8; 2] = [NEWCOMER, 7];
const IDENTITIES: usize = 8;

/// A secret key of an identity; its number says which of them.
pub(crate) fn secret(identity: u8, number: u32) -> SigningKey {
    let mut seed = [0x17; 32];
    seed[0] = identity;
    seed[1..5].copy_from_slice(&number.to_le_bytes());
    SigningKey::from_bytes(&seed)
}

pub(crate) fn public(identity: u8, number: u32) -> PeerKey {
    PeerKey(secret(identity, number).verifying_key().to_bytes())
}

pub(crate) fn identity(of: u8) -> PeerKey {
    public(of, 0)
}

/// The number of the key that an identity has in force, as far as this site knows.
pub(crate) fn key_number(site: Option<&Site>, of: u8) -> u32 {
    site.and_then(|site| site.peer(&identity(of))).map_or(0, |peer| peer.keys.number().0)
}

fn author(of: u8, number: u32) -> Author {
    Author { identity: identity(of), number: KeyNumber(number), ..Author::new(secret(of, number), SITE) }
}

/// A peer that speaks, and what it remembers of what it said.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    pub(crate) who: u8,
    /// Its clock, microseconds; it may go back.
    pub(crate) clock: i64,
    /// Edits of its own that it can take back, with what takes them back.
    undo: Vec<(ThingId, Change, EntryId)>,
    redo: Vec<(ThingId, Change, EntryId)>,
}

impl Speaker {
    pub(crate) fn new(who: u8) -> Self {
        Self { who, clock: 1_000_000_000, undo: Vec::new(), redo: Vec::new() }
    }

    /// Something to say, signed.
    pub(crate) fn speak(&mut self, random: &mut Random, site: &Site) -> Vec<u8> {
        let id = EntryId(random.bytes());
        if self.who == THIEF && random.chance(50) {
            return self.steal(random, site, id);
        }
        let (who, number, body) = self.body(random, site, id);
        let mut author = author(who, number);
        author.clock = random.chance(60).then_some(Timestamp(self.clock));
        author.seen = random.chance(10).then(|| Seen { size: site.entries(), root: site.tree().root() });
        author.sign(body, id).into_parts().0
    }

    /// An entry by which it comes in with one of the tokens that are handed out here.
    pub(crate) fn redemption(&self, random: &mut Random) -> Vec<u8> {
        let token = token(random.below(5));
        let signature = token.redeem(SITE, &identity(self.who));
        let body = Body::RedeemInvitation { token: token.public(), signature, name: "newcomer".into() };
        author(self.who, 0).sign(body, EntryId(random.bytes())).into_parts().0
    }

    /// Who says it with which of its keys, and what.
    fn body(&mut self, random: &mut Random, site: &Site, id: EntryId) -> (u8, u32, Body) {
        let (who, number) = (self.who, key_number(Some(site), self.who));
        let say = |body| (who, number, body);
        match random.below(100) {
            0..20 => say(Body::note(thing(random, site), "loud")),
            20..45 => say(self.edit(random, site, id)),
            45..52 => say(self.take_back(random, site, id)),
            52..58 => say(create(random, site)),
            58..62 => say(remark(random, site)),
            62..72 if who == GATEWAY => say(device(random, site)),
            62..70 => say(command(random, site)),
            70..72 => say(Body::AckAlarm(AlarmAck {
                thing: thing(random, site),
                raised: Timestamp(random.below(9) as i64),
                text: String::new(),
            })),
            72..76 => say(device(random, site)),
            76..79 => say(invite(random, site, self.clock)),
            79..85 => redeem(random, site),
            85..93 => key(random, site, who, number),
            _ => say(people(random, site)),
        }
    }

    fn edit(&mut self, random: &mut Random, site: &Site, id: EntryId) -> Body {
        let change = match random.below(10) {
            0..3 => Change::Move(Some(place(random))),
            3..5 => Change::Rename(["A", "B", "C", "Robot", "x/y", ""][random.below(6)].to_owned()),
            5..7 => Change::Reparent(random.chance(80).then(|| thing(random, site))),
            7 => Change::Retire(random.chance(50)),
            8 => Change::Bind(Vec::new()),
            _ => Change::Classify(Level::Unit, if random.chance(50) { Class::Robot } else { Class::Tank }),
        };
        let based_on = site.entries() - random.below(3).min(site.entries() as usize) as u64;
        let edit = Edit { thing: thing(random, site), based_on, change, undoes: None };
        if let Some(inverse) = site.inverse(&edit) {
            self.undo.push((edit.thing, inverse, id));
        }
        Body::EditThing(edit)
    }

    /// Undoes the newest edit, or does again what was undone.
    fn take_back(&mut self, random: &mut Random, site: &Site, id: EntryId) -> Body {
        let again = random.chance(40) && !self.redo.is_empty();
        let taken = if again { self.redo.pop() } else { self.undo.pop() };
        let Some((thing, change, undoes)) = taken else {
            return Body::note(self::thing(random, site), "nothing to undo");
        };
        let edit = Edit { thing, based_on: site.entries(), change, undoes: Some(undoes) };
        if let Some(inverse) = site.inverse(&edit) {
            if again { &mut self.undo } else { &mut self.redo }.push((thing, inverse, id));
        }
        Body::EditThing(edit)
    }

    /// What a thief tries: other bytes under an id that is known, an old or stolen key, another's name, a role it does
    /// not have, entries of other sites, noise.
    fn steal(&self, random: &mut Random, site: &Site, id: EntryId) -> Vec<u8> {
        let me = author(THIEF, key_number(Some(site), THIEF));
        let victim = [OWNER, OPERATOR, COMMENTER, GATEWAY][random.below(4)];
        let number = key_number(Some(site), victim);
        let note = Body::note(thing(random, site), "stolen");
        let owner = Body::GrantRole { peer: me.identity, grant: Grant { role: Role::Owner, scope: None } };
        let entry = match random.below(9) {
            0 => {
                let known: Vec<EntryId> = site.notes().iter().map(|note| note.id).collect();
                me.sign(note, random.pick(&known).copied().unwrap_or(id))
            }
            1 => author(victim, number.saturating_sub(1)).sign(note, id),
            2 => {
                // Another's name and number under the thief's own hand.
                let forged = Author { identity: identity(victim), number: KeyNumber(number.max(1)), ..me.clone() };
                forged.sign(owner, id)
            }
            3 => me.sign(owner, id),
            4 => Author { site: SiteId([0x66; 16]), ..author(victim, number) }.sign(note, id),
            5 => {
                // The key in force of the victim is in the thief's hands, the promised one is not.
                let new = NewKey { key: public(THIEF, 99), next: None };
                let signing_key = secret(THIEF, 99);
                Author { number: KeyNumber(number + 1), signing_key, ..author(victim, number) }
                    .sign(Body::RotateKey(new), id)
            }
            6 => {
                let next = public(victim, number + 1);
                let new = NewKey { key: next, next: Some(KeyPromise::of(&public(THIEF, 99))) };
                author(victim, number).sign(Body::RotateKey(new), id)
            }
            7 => {
                let mut bytes = author(victim, number).sign(note, id).into_parts().0;
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
                return bytes;
            }
            _ => return (0..random.below(80)).map(|_| random.next() as u8).collect(),
        };
        entry.into_parts().0
    }
}

/// The first entries of every site: who is in, and a small plant.
pub(crate) fn beginning(random: &mut Random) -> Vec<Vec<u8>> {
    let kinds = [
        (OPERATOR, PeerKind::Person, Role::Operator),
        (COMMENTER, PeerKind::Person, Role::Commenter),
        (GATEWAY, PeerKind::Device, Role::Editor),
        (MIRROR, PeerKind::Person, Role::Viewer),
        (THIEF, PeerKind::Person, [Role::Viewer, Role::Commenter][random.below(2)]),
    ];
    let thing = |path: &str| Thing {
        path: path.parse().expect("a path"),
        level: Level::Part,
        class: Class::Other,
        bindings: Vec::new(),
    };
    let admit = |(who, kind, role)| Body::Admit { peer: identity(who), kind, name: format!("peer {who}"), role };
    let mut bodies: Vec<Body> = kinds.map(admit).into_iter().collect();
    bodies.push(Body::ImportModel { blob: MODEL, bytes: 9, name: "plant.glb".into() });
    let things = ["Hall", "Hall/A", "Hall/A/Arm", "Hall/B", "Yard"].map(thing).to_vec();
    bodies.push(Body::AddThings { model: MODEL, things });
    let owner = author(OWNER, 0);
    let mut entries: Vec<_> =
        bodies.into_iter().map(|body| owner.sign(body, EntryId(random.bytes())).into_parts().0).collect();
    let tags = Body::DeclareTags { tags: vec![tag("Hall/A/Speed", true), tag("Hall/B/Load", false)] };
    entries.push(author(GATEWAY, 0).sign(tags, EntryId(random.bytes())).into_parts().0);
    entries
}

fn tag(path: &str, writable: bool) -> Tag {
    let kind = ValueKind::Float;
    Tag { path: path.parse().expect("a path"), kind, unit: Default::default(), range: None, writable }
}

fn thing(random: &mut Random, site: &Site) -> ThingId {
    if random.chance(3) {
        return ThingId(random.bytes());
    }
    random.pick(site.things()).map_or(ThingId([0; 16]), |thing| thing.id)
}

fn somewhere(random: &mut Random, site: &Site) -> String {
    random.pick(site.things()).map_or_else(|| "Hall".to_owned(), |thing| thing.thing.path.to_string())
}

fn place(random: &mut Random) -> Placement {
    Placement { position: [random.below(9) as f64, 0.0, 0.0], ..Placement::default() }
}

fn someone(random: &mut Random) -> u8 {
    random.below(IDENTITIES) as u8
}

fn role(random: &mut Random) -> Role {
    [Role::Viewer, Role::Commenter, Role::Editor, Role::Operator, Role::Owner][random.below(5)]
}

fn create(random: &mut Random, site: &Site) -> Body {
    let under = somewhere(random, site);
    let path = format!("{under}/{}", ["N", "M", "A"][random.below(3)]).parse().expect("a name under a path");
    let like = random.chance(50).then(|| thing(random, site));
    let new = Thing { path, level: Level::Unit, class: Class::Robot, bindings: Vec::new() };
    Body::CreateThing(NewThing { id: ThingId(random.bytes()), thing: new, place: place(random), like })
}

fn remark(random: &mut Random, site: &Site) -> Body {
    let viewpoints: Vec<EntryId> = site.viewpoints().map(|(id, _)| *id).collect();
    match (random.below(3), random.pick(site.notes()), random.pick(&viewpoints)) {
        (0, Some(note), _) => Body::ResolveNote { note: note.id, resolved: random.chance(70) },
        (1, _, Some(viewpoint)) => Body::RemoveViewpoint { viewpoint: *viewpoint },
        _ => {
            let viewpoint = Viewpoint {
                eye: [1.0, 2.0, 3.0],
                target: [0.0; 3],
                field_of_view: 1.0,
                hidden: vec![],
                selected: vec![],
                section: None,
                instant: None,
            };
            Body::SaveViewpoint { name: "view".into(), viewpoint }
        }
    }
}

fn command(random: &mut Random, site: &Site) -> Body {
    let writable: Vec<&Tag> = site.tags().iter().filter(|tag| tag.writable || random.chance(20)).collect();
    let tag = random.pick(&writable).map_or_else(|| "Nowhere/T".parse().expect("a path"), |tag| tag.path.clone());
    let value = if random.chance(90) { Value::Float(1.0) } else { Value::Bool(true) };
    Body::CommandDevice(Command { tag, value, until: Timestamp(5) })
}

/// What a device says; others say it too, and are refused.
fn device(random: &mut Random, site: &Site) -> Body {
    let open = site.commands().filter(|(_, command)| command.outcome.is_none() || random.chance(10));
    let open: Vec<EntryId> = open.map(|(id, _)| *id).collect();
    match (if random.chance(40) { 0 } else { random.below(4) }, random.pick(&open), random.pick(site.segments())) {
        (0, Some(command), _) => {
            let outcome = [Outcome::Done, Outcome::Expired, Outcome::Failed("jammed".into())][random.below(3)].clone();
            Body::ReportOutcome(CommandOutcome { command: *command, outcome })
        }
        (1 | 3, _, Some(segment)) => Body::DropSegments { blobs: vec![BlobHash(segment.blob)] },
        (2, ..) => {
            let devices = vec![DeviceRoot { device: identity(GATEWAY), root: random.bytes() }];
            let (from, to) = (Timestamp(1), Timestamp(2));
            Body::AddSegment(Segment { blob: random.bytes(), bytes: 9, samples: 3, from, to, devices })
        }
        _ => {
            let at = somewhere(random, site);
            Body::DeclareTags {
                tags: vec![tag(&format!("{at}/{}", ["Speed", "Load"][random.below(2)]), random.chance(50))],
            }
        }
    }
}

fn token(number: usize) -> Token {
    Token::new([200 + number as u8; 32])
}

fn invite(random: &mut Random, site: &Site, clock: i64) -> Body {
    let scope = random.chance(50).then(|| thing(random, site));
    let expires = Timestamp(clock + random.below(9_000_000) as i64);
    let token = token(random.below(5)).public();
    Body::Invite(Invitation { token, role: role(random), scope, kind: PeerKind::Person, expires })
}

/// Somebody comes in with a token, or tries to; an entry like any other, whoever carries it to the host.
fn redeem(random: &mut Random, site: &Site) -> (u8, u32, Body) {
    let who = if random.chance(70) { NEWCOMERS[random.below(2)] } else { someone(random) };
    let open: Vec<PeerKey> = site.invitations().filter(|i| i.used_by.is_none()).map(|i| i.invitation.token).collect();
    let offered = random.pick(&open).and_then(|open| (0..5).map(token).find(|token| token.public() == *open));
    let token = offered.unwrap_or_else(|| token(random.below(5)));
    let signed_for = if random.chance(80) { who } else { someone(random) };
    let signature = token.redeem(SITE, &identity(signed_for));
    let body = Body::RedeemInvitation { token: token.public(), signature, name: "newcomer".into() };
    (who, key_number(Some(site), who), body)
}

fn key(random: &mut Random, site: &Site, who: u8, number: u32) -> (u8, u32, Body) {
    let next = || Some(KeyPromise::of(&public(who, number + 1)));
    match random.below(5) {
        0 | 1 => {
            let mut members = [identity(OWNER), identity(OPERATOR), identity(COMMENTER)].to_vec();
            members.retain(|member| *member != identity(who));
            members.sort();
            let needed = 1 + random.below(3) as u32;
            let guardians = random.chance(70).then_some(Guardians { members, needed });
            (who, number, Body::PromiseKey(Inception { next: random.chance(80).then(next).flatten(), guardians }))
        }
        2 => {
            let after = random.chance(80).then(|| KeyPromise::of(&public(who, number + 2)));
            (who, number + 1, Body::RotateKey(NewKey { key: public(who, number + 1), next: after }))
        }
        3 => {
            let new = NewKey { key: public(who, number + 1), next: None };
            let approve = |guardian: u8| {
                let key = secret(guardian, key_number(Some(site), guardian));
                Approval::sign(identity(guardian), &key, SITE, &identity(who), KeyNumber(number + 1), &new)
            };
            let mut approvals: Vec<Approval> =
                [OWNER, OPERATOR, COMMENTER].into_iter().filter(|g| *g != who).map(approve).collect();
            approvals.sort_by_key(|approval| approval.guardian);
            match random.below(4) {
                0 => approvals.truncate(1),
                // One guardian who would like to count as two.
                1 => approvals.insert(0, approvals[0].clone()),
                _ => {}
            }
            (who, number + 1, Body::RecoverKey { new, approvals })
        }
        _ => {
            let whose = if random.chance(50) { who } else { someone(random) };
            (who, number, Body::RevokeKey { peer: identity(whose) })
        }
    }
}

fn people(random: &mut Random, site: &Site) -> Body {
    let peer = identity(someone(random));
    let scope = random.chance(60).then(|| thing(random, site));
    match random.below(7) {
        0 => Body::Admit { peer, kind: PeerKind::Person, name: "somebody".into(), role: role(random) },
        1 | 2 => Body::GrantRole { peer, grant: Grant { role: role(random), scope } },
        3 => {
            let held = site.peer(&peer).and_then(|held| Some(random.pick(&held.grants)?.scope)).unwrap_or(scope);
            Body::RevokeRole { peer, scope: held }
        }
        5 if random.chance(60) => {
            let member = |who: u8| Member {
                name: format!("cosigner.example/{who}"),
                key: public(150 + who, 0),
                url: format!("http://cosigner.example/{who}"),
            };
            // The same member twice is one, and nobody is both.
            let watching = [member(0), member(random.below(2) as u8)];
            Body::SetPolicy(SitePolicy {
                witnesses: watching.to_vec(),
                witnesses_needed: random.below(3) as u32,
                mirrors: vec![member(random.below(3) as u8)],
                mirrors_needed: 1,
            })
        }
        5 => {
            let host = |key: PeerKey| SiteHost { key, place: "plant.example:7440".into() };
            let named = [vec![], vec![host(site.host())], vec![host(site.host()), host(peer)]];
            match random.below(4) {
                3 => Body::Succeed { of: site.host(), epoch: 1 },
                which => Body::NameHosts { hosts: named[which].clone() },
            }
        }
        4 => {
            // The neutral element of the curve, under which any signature holds.
            let mut weak = [0; 32];
            weak[0] = 1;
            Body::Admit { peer: PeerKey(weak), kind: PeerKind::Person, name: "weak".into(), role: Role::Viewer }
        }
        _ => Body::CommitState { digest: site.digest() },
    }
}
