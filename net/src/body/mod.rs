//! Bodies that move: simulated, carried, worn. Each is owned by whoever holds its [`Lease`]; the owner tells others where
//! it is, over a line that may lose, double and reorder any packet.
//!
//! A [`BodySender`] tells one [`BodyReceiver`]. What it tells builds on packets that the receiver has acknowledged, and on
//! nothing else: both ends predict each body from those alike ([`Precision`] says how far off what arrives may be), and
//! only what differs travels, entropy coded. Whatever is lost is simply not built on. A body that rests is told until
//! the receiver knows, on a lattice that all receivers share, and then costs nothing.
//!
//! Nothing here has a socket, a clock or randomness: ticks and bytes in, bytes and places out.
//!
//! ```
//! use gemba_net::body::{Body, BodyNumber, BodyReceiver, BodySender, Epoch, Placement, Precision};
//!
//! let precision = Precision::new(0.01, 0.001).unwrap(); // one centimetre, one milliradian
//! let mut sender = BodySender::new(precision);
//! let mut receiver = BodyReceiver::new(precision, 100);
//! let crane = BodyNumber(7);
//!
//! for tick in 0..60 {
//!     let place = [f64::from(tick.min(50)) * 0.02, 4.0, 0.0]; // rolls along, then stops
//!     let at = Placement { place, ..Placement::ORIGIN };
//!     sender.tell(crane, Body { epoch: Epoch(0), at, resting: tick >= 50 });
//!     while let Some(packet) = sender.poll_packet(tick) {
//!         if tick % 3 == 1 {
//!             continue; // lost
//!         }
//!         for heard in receiver.handle_packet(&packet).unwrap() {
//!             assert!((heard.body.at.place[0] - place[0]).abs() <= precision.place_metres() + 1e-9);
//!         }
//!         sender.handle_acks(&receiver.acks().unwrap().encode());
//!     }
//! }
//! // Everyone knows where it rests, so nothing more is sent.
//! assert!(sender.poll_packet(60).is_none());
//! ```
//!
//! An application that simulates its bodies gives both ends the same simulation ([`Foresight`]): what follows from shapes
//! and contacts then costs nothing, only what drives them from outside does. Lanes of people and of what they carry have
//! none.
//!
//! Left out: that a body appears or is gone (control messages say so), and who may grab what (the site's roles).

mod entropy;
mod foresight;
mod lease;
mod motion;
mod packet;
mod placement;
mod playback;
mod receiver;
mod record;
mod sender;
mod stillness;

pub use foresight::{Foresight, Seen, Sighting};
pub use lease::{BodyNumber, Epoch, Lease, LeaseBook, LeaseError};
pub use packet::Acks;
pub(crate) use packet::{newer, whole};
pub use placement::{Placement, Precision, REACH, angle_between};
pub use playback::{PlayClock, Playback};
pub use receiver::{BodyReceiver, Heard, Unread};
pub use sender::{Body, BodySender};
pub use stillness::Stillness;
