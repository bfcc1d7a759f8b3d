//! The plan as one glTF 2.0 binary file: a JSON chunk and a binary chunk, both aligned to four bytes.
//!
//! Every shape is written once; nodes refer to it. Vertices lie in one buffer view, indices in one of 16-bit and, where
//! a surface has too many vertices, one of 32-bit numbers.

use gemba_twin::binding::Binding;
use gemba_twin::thing::{Class, Level};
use glam::Vec3;
use serde::Serialize;
use serde_json::{Value, json};

use super::mesh::Surface;
use super::palette::Material;
use super::plan::{Node, NodeId, Plan};

/// Size of the plan in its parts, for the person who asked for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Nodes, each a thing.
    pub nodes: usize,
    /// Shapes shared between them.
    pub meshes: usize,
    /// Triangles that are drawn, every instance counted.
    pub triangles: usize,
    /// Length of the file.
    pub bytes: usize,
}

/// The whole file.
pub(super) fn write(plan: &Plan) -> (Vec<u8>, Size) {
    let mut geometry = Geometry::default();
    let meshes: Vec<Value> = plan.shapes.iter().map(|(name, shape)| geometry.mesh(name, &shape.surfaces)).collect();
    let triangles_of: Vec<usize> =
        plan.shapes.iter().map(|(_, s)| s.surfaces.iter().map(|(_, s)| s.indices.len() / 3).sum()).collect();
    let size = Size {
        nodes: plan.nodes.len(),
        meshes: meshes.len(),
        triangles: plan.nodes.iter().filter_map(|n| n.shape).map(|s| triangles_of[s.0]).sum(),
        bytes: 0,
    };
    let (binary, views) = geometry.finish();
    let document = Document {
        asset: json!({"version": "2.0", "generator": "gembactl plant generate"}),
        scene: 0,
        scenes: json!([{"name": "Plant", "nodes": indices(&plan.roots)}]),
        nodes: plan.nodes.iter().map(JsonNode::new).collect(),
        materials: Material::ALL.iter().map(|m| m.to_gltf()).collect(),
        meshes,
        accessors: geometry.accessors,
        buffer_views: views,
        buffers: json!([{"byteLength": binary.len()}]),
    };
    let json = serde_json::to_vec(&document).expect("the document holds only strings, finite numbers and lists");
    let bytes = container(json, binary);
    let size = Size { bytes: bytes.len(), ..size };
    (bytes, size)
}

/// Header, JSON chunk and binary chunk (glTF 2.0, section 4.4).
pub(crate) fn container(mut json: Vec<u8>, mut binary: Vec<u8>) -> Vec<u8> {
    json.resize(json.len().next_multiple_of(4), b' ');
    binary.resize(binary.len().next_multiple_of(4), 0);
    let total = 12 + 8 + json.len() + if binary.is_empty() { 0 } else { 8 + binary.len() };
    let mut file = Vec::with_capacity(total);
    file.extend(b"glTF");
    for number in [2, total as u32, json.len() as u32] {
        file.extend(number.to_le_bytes());
    }
    file.extend(b"JSON");
    file.append(&mut json);
    if !binary.is_empty() {
        file.extend((binary.len() as u32).to_le_bytes());
        file.extend(b"BIN\0");
        file.append(&mut binary);
    }
    file
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    asset: Value,
    scene: usize,
    scenes: Value,
    nodes: Vec<JsonNode<'a>>,
    materials: Vec<Value>,
    meshes: Vec<Value>,
    accessors: Vec<Value>,
    buffer_views: Vec<Value>,
    buffers: Value,
}

#[derive(Serialize)]
struct JsonNode<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mesh: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    translation: Option<[f32; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<[f32; 4]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<usize>,
    extras: JsonExtras<'a>,
}

#[derive(Serialize)]
struct JsonExtras<'a> {
    gemba: JsonThing<'a>,
}

/// What `gemba_twin::model` reads.
#[derive(Serialize)]
struct JsonThing<'a> {
    level: Level,
    class: Class,
    #[serde(skip_serializing_if = "<[Binding]>::is_empty")]
    bind: &'a [Binding],
}

impl<'a> JsonNode<'a> {
    fn new(node: &'a Node) -> Self {
        let place = node.place.as_vec3();
        let rotation = node.rotation.as_quat().normalize();
        Self {
            name: node.path.as_str(),
            mesh: node.shape.map(|s| s.0),
            translation: (place != Vec3::ZERO).then(|| place.to_array()),
            rotation: (rotation != glam::Quat::IDENTITY).then(|| rotation.to_array()),
            children: indices(&node.children),
            extras: JsonExtras { gemba: JsonThing { level: node.level, class: node.class, bind: &node.bindings } },
        }
    }
}

fn indices(nodes: &[NodeId]) -> Vec<usize> {
    nodes.iter().map(|n| n.0).collect()
}

/// The binary chunk while it grows. Accessors name buffer view 0 (vertices), 1 (16-bit) and 2 (32-bit indices).
#[derive(Default)]
struct Geometry {
    accessors: Vec<Value>,
    vertices: Vec<u8>,
    short_indices: Vec<u8>,
    long_indices: Vec<u8>,
}

const FLOAT: u32 = 5126;
const UNSIGNED_SHORT: u32 = 5123;
const UNSIGNED_INT: u32 = 5125;
const ARRAY_BUFFER: u32 = 34962;
const ELEMENT_ARRAY_BUFFER: u32 = 34963;

impl Geometry {
    fn mesh(&mut self, name: &str, surfaces: &[(Material, Surface)]) -> Value {
        let primitives: Vec<Value> = surfaces
            .iter()
            .map(|(material, surface)| {
                assert!(!surface.indices.is_empty(), "the shape {name} was painted with nothing on it");
                json!({
                    "attributes": {
                        "POSITION": self.vectors(&surface.positions, true),
                        "NORMAL": self.vectors(&surface.normals, false),
                    },
                    "indices": self.indices(surface),
                    "material": material.index(),
                })
            })
            .collect();
        json!({"name": name, "primitives": primitives})
    }

    fn vectors(&mut self, vectors: &[Vec3], bounded: bool) -> usize {
        let offset = self.vertices.len();
        self.vertices.extend(vectors.iter().flat_map(|v| v.to_array()).flat_map(f32::to_le_bytes));
        let mut accessor = json!({
            "bufferView": 0, "byteOffset": offset, "componentType": FLOAT, "count": vectors.len(), "type": "VEC3",
        });
        if bounded {
            let low = vectors.iter().copied().reduce(Vec3::min).unwrap_or_default();
            let high = vectors.iter().copied().reduce(Vec3::max).unwrap_or_default();
            accessor["min"] = json!(low.to_array());
            accessor["max"] = json!(high.to_array());
        }
        self.push(accessor)
    }

    fn indices(&mut self, surface: &Surface) -> usize {
        // 65,535 itself is the primitive restart value, which glTF forbids.
        let short = surface.positions.len() <= usize::from(u16::MAX);
        let (view, kind, bytes) = if short {
            (1, UNSIGNED_SHORT, &mut self.short_indices)
        } else {
            (2, UNSIGNED_INT, &mut self.long_indices)
        };
        let offset = bytes.len();
        for index in &surface.indices {
            if short {
                bytes.extend((*index as u16).to_le_bytes());
            } else {
                bytes.extend(index.to_le_bytes());
            }
        }
        let count = surface.indices.len();
        self.push(json!({
            "bufferView": view, "byteOffset": offset, "componentType": kind, "count": count, "type": "SCALAR",
        }))
    }

    fn push(&mut self, accessor: Value) -> usize {
        self.accessors.push(accessor);
        self.accessors.len() - 1
    }

    /// The chunk's bytes and its views.
    fn finish(&mut self) -> (Vec<u8>, Vec<Value>) {
        let mut binary = std::mem::take(&mut self.vertices);
        let mut views = vec![json!({
            "buffer": 0, "byteOffset": 0, "byteLength": binary.len(), "byteStride": 12, "target": ARRAY_BUFFER,
        })];
        for indices in [&self.short_indices, &self.long_indices] {
            if indices.is_empty() {
                continue;
            }
            views.push(json!({
                "buffer": 0, "byteOffset": binary.len(), "byteLength": indices.len(), "target": ELEMENT_ARRAY_BUFFER,
            }));
            binary.extend(indices);
            binary.resize(binary.len().next_multiple_of(4), 0);
        }
        (binary, views)
    }
}
