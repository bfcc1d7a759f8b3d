//! The materials of the plant: one small palette that every machine shares, so that the picture holds together and a
//! renderer sorts by few pipelines. Colours are restrained; strong ones are kept for robots, safety and lamps.

use serde_json::{Value, json};

macro_rules! palette {
    ($($(#[$doc:meta])* $name:ident: $rgb:literal, $metallic:literal, $roughness:literal;)*) => {
        /// A material of the palette.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) enum Material { $($(#[$doc])* $name,)* }

        impl Material {
            /// Every material, in the order of the file's `materials`.
            pub(super) const ALL: &'static [Material] = &[$(Material::$name,)*];

            /// Name, colour (0xRRGGBB, sRGB), metallic and roughness.
            fn look(self) -> (&'static str, u32, f32, f32) {
                match self { $(Material::$name => (stringify!($name), $rgb, $metallic, $roughness),)* }
            }
        }
    };
}

palette! {
    /// Hall floor.
    Concrete: 0xB9B4AA, 0.0, 0.82;
    /// Joints in the floor, kerbs and plinths.
    ConcreteDark: 0x8E8A82, 0.0, 0.9;
    /// Where people walk.
    AislePaint: 0x7F9F8C, 0.0, 0.75;
    /// Edges of aisles, cells and docks.
    MarkingYellow: 0xE9B824, 0.0, 0.7;
    /// Loading bays and zebra crossings.
    MarkingWhite: 0xEDECE6, 0.0, 0.7;
    /// The loop that AMRs drive.
    MarkingBlue: 0x4F83AD, 0.0, 0.7;
    /// Upper walls.
    Wall: 0xE6E4DC, 0.0, 0.9;
    /// Lower walls.
    Wainscot: 0x8FA0AB, 0.0, 0.85;
    /// Panes of the window bands, bright with daylight.
    Daylight: 0xBCD6E4, 0.0, 0.25;
    /// Columns, trusses and machine frames.
    Steel: 0x66747F, 0.35, 0.5;
    /// Feet, motors and shadows of machines.
    SteelDark: 0x2B3036, 0.3, 0.55;
    /// Tanks, pipes and rails.
    Stainless: 0xC9CDD0, 0.75, 0.32;
    /// Robot castings.
    RobotOrange: 0xEE6A12, 0.05, 0.42;
    /// Conveyor belts, tyres and hoses.
    Rubber: 0x1E2022, 0.0, 0.85;
    /// Machine enclosures.
    Cream: 0xE4DFD1, 0.0, 0.5;
    /// Machine plinths, cabinets and doors.
    MachineGrey: 0x56626C, 0.1, 0.5;
    /// Machine windows, as dark as the room behind them.
    DarkGlass: 0x10181E, 0.0, 0.12;
    /// Sight glasses.
    Glass: 0xCFE6EA, 0.0, 0.08;
    /// Fences, bollards and hand rails.
    SafetyYellow: 0xF4BE12, 0.0, 0.5;
    /// Emergency stops and hand wheels.
    SignalRed: 0xB7261C, 0.0, 0.45;
    /// Rack uprights and pump housings.
    Blue: 0x285C94, 0.1, 0.5;
    /// Rack beams.
    RackOrange: 0xD8702A, 0.05, 0.5;
    /// Pallets.
    Wood: 0xB68E5E, 0.0, 0.85;
    /// Boxes.
    Cardboard: 0xC59D6B, 0.0, 0.9;
    /// Workpieces.
    Aluminium: 0xDADDE0, 0.55, 0.38;
    /// Coolant.
    Coolant: 0x1FA295, 0.0, 0.15;
    /// Screens of control panels.
    Screen: 0x2C6E86, 0.0, 0.3;
    /// Hall lamps.
    LampWhite: 0xFFF6E4, 0.0, 0.5;
    /// Stack light, unlit.
    LampRed: 0x8C2620, 0.0, 0.35;
    /// Stack light, unlit.
    LampAmber: 0x9A6A16, 0.0, 0.35;
    /// Stack light, unlit.
    LampGreen: 0x2C7242, 0.0, 0.35;
}

impl Material {
    /// Its place in the file's `materials`.
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// The material as glTF's metallic-roughness model says it.
    pub(super) fn to_gltf(self) -> Value {
        let (name, rgb, metallic, roughness) = self.look();
        let [red, green, blue] = linear(rgb);
        let alpha = if self == Material::Glass { 0.28 } else { 1.0 };
        let mut material = json!({
            "name": name,
            "pbrMetallicRoughness": {
                "baseColorFactor": [red, green, blue, alpha],
                "metallicFactor": metallic,
                "roughnessFactor": roughness,
            },
        });
        if self == Material::Glass {
            material["alphaMode"] = json!("BLEND");
        }
        let glow = self.glow();
        if glow > 0.0 {
            material["emissiveFactor"] = json!([red * glow, green * glow, blue * glow]);
        }
        material
    }

    /// How much of its own colour it sends out by itself.
    fn glow(self) -> f32 {
        match self {
            Material::LampWhite => 1.0,
            Material::Daylight => 0.55,
            Material::Screen => 0.8,
            Material::LampRed | Material::LampAmber | Material::LampGreen => 0.08,
            _ => 0.0,
        }
    }
}

/// Linear components, which glTF wants, of an sRGB colour (IEC 61966-2-1).
fn linear(rgb: u32) -> [f32; 3] {
    [16, 8, 0].map(|shift| {
        let value = (rgb >> shift & 0xFF) as f32 / 255.0;
        let linear = if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
        // Four digits are finer than eight bits and keep the file readable.
        (linear * 10_000.0).round() / 10_000.0
    })
}
