//! The frame as a timetable: sets in a fixed order. Features are ordered only by these, never by each other.

use bevy::prelude::*;
use bevy_egui::EguiPrimaryContextPass;

/// The sets of one frame, in the order they run (in [`Update`]).
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frame {
    /// What came from outside is taken in: the link's events, loaded files.
    Receive,
    /// Whoever is in a headset is where they have moved to, their hands point from there, and what these press is asked for.
    Hands,
    /// People act: cameras, selection.
    Act,
    /// What people have asked for in the frame before is done: edits are said, views gone to.
    Edit,
    /// The site and the newest samples are copied into entities.
    Mirror,
    /// Pictures are prepared: outlines, avatars, lights.
    Present,
    /// What only those in a headset see is put before them: their hands, words in the plant.
    Worn,
    /// What people did goes out: poses, selections.
    Send,
}

/// The order in which features take their part of the screen (in [`EguiPrimaryContextPass`], after [`Frame`]).
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Screen {
    /// Colours and spacing are as the theme wants them.
    Theme,
    /// The whole screen is free again.
    Clear,
    /// Bars across the whole width.
    Bars,
    /// What the headset adds to the panels, while it is worn.
    Worn,
    /// The time line, above the lower bar.
    Timeline,
    /// Panels at the left side.
    Left,
    /// Panels at the right side.
    Right,
    /// The plant itself, in what is left.
    View,
    /// Labels and marks over the plant.
    Labels,
    /// What was measured, and the bar of that tool.
    Measures,
    /// What says that the plant is not shown live.
    NotLive,
    /// Kept views.
    Views,
    /// The alarms that stand.
    Alarms,
    /// Who is here, and whose eyes one looks through.
    People,
    /// What can be done with what is selected.
    Actions,
    /// Inspectors that stay open.
    Pinned,
    /// What has just happened.
    Toasts,
    /// What is shown until the plant is there.
    Loading,
    /// How the line to the host is.
    Network,
    /// What a headset offers of the room around the person.
    Room,
    /// Windows over everything.
    Windows,
}

/// Whether anybody sees the screen. While nobody does, nothing of it is laid out; whoever takes it away writes this.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenSeen(pub bool);

fn screen_is_seen(seen: Res<ScreenSeen>) -> bool {
    seen.0
}

/// Orders both lists of sets.
pub(crate) fn plugin(app: &mut App) {
    app.insert_resource(ScreenSeen(true))
        .configure_sets(
            Update,
            (
                Frame::Receive,
                Frame::Hands,
                Frame::Act,
                Frame::Edit,
                Frame::Mirror,
                Frame::Present,
                Frame::Worn,
                Frame::Send,
            )
                .chain(),
        )
        .configure_sets(
            EguiPrimaryContextPass,
            // Of more than twenty Bevy makes no chain at once.
            (
                (
                    Screen::Theme,
                    Screen::Clear,
                    Screen::Bars,
                    Screen::Worn,
                    Screen::Timeline,
                    Screen::Left,
                    Screen::Right,
                    Screen::View,
                )
                    .chain(),
                (
                    Screen::Labels,
                    Screen::Measures,
                    Screen::NotLive,
                    Screen::Views,
                    Screen::Alarms,
                    Screen::People,
                    Screen::Actions,
                    Screen::Pinned,
                    Screen::Toasts,
                    Screen::Loading,
                    Screen::Network,
                    Screen::Room,
                    Screen::Windows,
                )
                    .chain(),
            )
                .chain()
                .run_if(screen_is_seen),
        );
}
