//! What a link's thread sends of its own person and of what they carry.

use std::sync::atomic::Ordering::Relaxed;

use quinn::Connection;

use super::Worker;
use crate::client_core;
use crate::wire::PoseUp;

impl Worker {
    /// Sends the newest pose.
    pub(super) fn show_pose(&mut self, connection: &Connection) {
        let Some(pose) = self.newest_pose.clone() else { return };
        if self.core.host_takes_bodies() {
            self.core.tell_pose(&pose, false);
            return self.send_datagrams(connection);
        }
        // Each time under a new number, so that host and peers pass on a repetition too.
        self.sequence = self.sequence.wrapping_add(1);
        let up = PoseUp { sequence: self.sequence, pose };
        // Lost here or on the way is the same: it is told again, or a newer one is.
        let _ = connection.send_datagram(up.encode().into());
    }

    /// At each ping: a pose that has not changed for so long rests. Hosts that answer are told until they know.
    pub(super) fn rest(&mut self, connection: &Connection) {
        if !self.core.host_takes_bodies() {
            if client_core::repeats_pose(self.pings_at_rest) {
                self.show_pose(connection);
            }
        } else if let Some(pose) = self.newest_pose.as_ref().filter(|_| self.pings_at_rest == 2) {
            self.core.tell_pose(pose, true);
        }
    }

    /// Between pings, at the lane's own pace.
    pub(super) fn pulse(&mut self, connection: &Connection) {
        if self.core.host_takes_bodies() {
            self.send_datagrams(connection);
        }
        self.counters.packets_unread.store(self.core.packets_unread(), Relaxed);
        self.handover.retry();
    }

    pub(super) fn send_datagrams(&mut self, connection: &Connection) {
        for bytes in self.core.poll_datagrams() {
            self.counters.pose_up.fetch_add(bytes.len() as u64, Relaxed);
            // Lost here or on the way is the same: what the host does not acknowledge is told again.
            let _ = connection.send_datagram(bytes.into());
        }
    }
}
