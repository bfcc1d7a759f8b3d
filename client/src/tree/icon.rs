//! A small mark for each class of thing, drawn from lines, so that it needs no font.

use bevy_egui::egui::{Color32, Painter, Pos2, Rect, Stroke, StrokeKind, Vec2, pos2, vec2};
use gemba_twin::thing::{Class, Level};

/// Half the size of an icon, points.
const HALF: f32 = 5.5;

/// Draws the mark of a class around `at`.
pub(super) fn draw(painter: &Painter, at: Pos2, class: Class, level: Level, colour: Color32) {
    let stroke = Stroke::new(1.2, colour);
    let p = |x: f32, y: f32| at + vec2(x, y) * HALF;
    let line = |points: &[(f32, f32)]| {
        painter.line(points.iter().map(|(x, y)| p(*x, *y)).collect(), stroke);
    };
    let boxed = |half: Vec2| {
        painter.rect_stroke(Rect::from_center_size(at, half * 2.0 * HALF), 1.0, stroke, StrokeKind::Middle);
    };
    match class {
        Class::Conveyor => {
            line(&[(-1.0, -0.4), (1.0, -0.4)]);
            line(&[(-1.0, 0.4), (1.0, 0.4)]);
            for x in [-0.7, 0.0, 0.7] {
                painter.circle_stroke(p(x, 0.0), HALF * 0.28, stroke);
            }
        }
        Class::Robot => {
            line(&[(-0.9, 1.0), (0.3, 1.0), (-0.3, 1.0), (-0.5, -0.3), (0.5, -0.8), (0.9, 0.1)]);
            painter.circle_filled(p(-0.5, -0.3), 1.6, colour);
        }
        Class::Cnc => {
            boxed(vec2(0.95, 0.85));
            line(&[(0.0, -0.85), (0.0, 0.1), (-0.3, 0.4), (0.3, 0.4), (0.0, 0.1)]);
        }
        Class::Tank => {
            boxed(vec2(0.65, 0.95));
            line(&[(-0.65, 0.0), (0.65, 0.0)]);
        }
        Class::Pump => {
            painter.circle_stroke(at, HALF * 0.9, stroke);
            line(&[(-0.4, -0.7), (0.8, 0.0), (-0.4, 0.7)]);
        }
        Class::Valve => line(&[(-1.0, -0.6), (1.0, 0.6), (1.0, -0.6), (-1.0, 0.6), (-1.0, -0.6)]),
        Class::Pipe => {
            line(&[(-1.0, 0.3), (0.3, 0.3), (0.3, 1.0)]);
            line(&[(-1.0, -0.4), (1.0, -0.4), (1.0, 1.0)]);
        }
        Class::Amr => {
            boxed(vec2(0.95, 0.45));
            for x in [-0.55, 0.55] {
                painter.circle_filled(p(x, 0.7), 1.7, colour);
            }
        }
        Class::Rack => {
            line(&[(-0.9, -1.0), (-0.9, 1.0)]);
            line(&[(0.9, -1.0), (0.9, 1.0)]);
            for y in [-0.5, 0.3] {
                line(&[(-0.9, y), (0.9, y)]);
            }
        }
        Class::StackLight => {
            for y in [-0.7, 0.0, 0.7] {
                painter.circle_stroke(p(0.0, y), HALF * 0.3, stroke);
            }
        }
        Class::Workpiece => boxed(vec2(0.6, 0.6)),
        Class::Structure | Class::Other => by_level(painter, at, level, stroke),
    }
}

/// What has no class of its own is marked by its level.
fn by_level(painter: &Painter, at: Pos2, level: Level, stroke: Stroke) {
    let p = |x: f32, y: f32| pos2(at.x + x * HALF, at.y + y * HALF);
    match level {
        Level::Site | Level::Area => {
            let outline = [(-1.0, 0.9), (-1.0, -0.2), (0.0, -0.9), (1.0, -0.2), (1.0, 0.9), (-1.0, 0.9)];
            painter.line(outline.map(|(x, y)| p(x, y)).to_vec(), stroke);
        }
        Level::Line => {
            painter.line(vec![p(-1.0, 0.0), p(1.0, 0.0)], stroke);
            for x in [-0.8, 0.0, 0.8] {
                painter.circle_filled(p(x, 0.0), 2.0, stroke.color);
            }
        }
        Level::Unit => {
            painter.circle_stroke(at, HALF * 0.7, stroke);
        }
        Level::Part => {
            painter.circle_filled(at, 1.8, stroke.color);
        }
    }
}
