//! The simulator's tags as OPC UA nodes.

use std::collections::HashSet;

use gemba_twin::sample::{Value, ValueKind};
use gemba_twin::tag::Tag;
use opcua::server::address_space::{AddressSpace, VariableBuilder};
use opcua::types::{
    DataTypeId, EUInformation, ExtensionObject, LocalizedText, NodeId, ObjectId, QualifiedName, Range, UAString,
    VariableTypeId, Variant,
};

use super::access;

/// Namespace of the plant's nodes; a node's identifier is its path.
pub(super) const NAMESPACE: &str = "urn:gemba:plant";

/// Where the codes of units come from (OPC UA Part 8, 5.6.3: UNECE Recommendation 20).
const UNITS: &str = "http://www.opcfoundation.org/UA/units/un/cefact";

/// Adds a variable for every tag, with the folders above it; their nodes, in the tags' order.
pub(super) fn add_tags(space: &mut AddressSpace, namespace: u16, tags: &[Tag]) -> Vec<NodeId> {
    let mut folders = HashSet::new();
    tags.iter()
        .map(|tag| {
            let path = tag.path.as_str();
            let mut parent: NodeId = ObjectId::ObjectsFolder.into();
            for (end, _) in path.match_indices('/') {
                let node = NodeId::new(namespace, &path[..end]);
                if folders.insert(end_of(path, end)) {
                    let name = path[..end].rsplit('/').next().unwrap_or(path);
                    space.add_folder(&node, QualifiedName::new(namespace, name), name, &parent);
                }
                parent = node;
            }
            add_variable(space, namespace, tag, &parent)
        })
        .collect()
}

fn end_of(path: &str, end: usize) -> String {
    path[..end].to_owned()
}

fn add_variable(space: &mut AddressSpace, namespace: u16, tag: &Tag, parent: &NodeId) -> NodeId {
    let node = NodeId::new(namespace, tag.path.as_str());
    let name = tag.path.name();
    let kind = match tag.range {
        Some(_) => VariableTypeId::AnalogItemType,
        None => VariableTypeId::BaseDataVariableType,
    };
    VariableBuilder::new(&node, QualifiedName::new(namespace, name), name)
        .data_type(data_type(tag.kind))
        .value_rank(-1)
        .value(empty(tag.kind))
        .access_level(access(tag.writable))
        .user_access_level(access(tag.writable))
        .has_type_definition(kind)
        .component_of(parent.clone())
        .insert(space);
    if let Some(range) = tag.range {
        let range = ExtensionObject::from_message(Range { low: range.low, high: range.high });
        add_property(space, namespace, &node, "EURange", DataTypeId::Range, range);
    }
    if !tag.unit.symbol().is_empty() {
        let unit = ExtensionObject::from_message(unit(tag.unit.symbol()));
        add_property(space, namespace, &node, "EngineeringUnits", DataTypeId::EUInformation, unit);
    }
    node
}

fn add_property(
    space: &mut AddressSpace,
    namespace: u16,
    of: &NodeId,
    name: &str,
    data_type: DataTypeId,
    value: ExtensionObject,
) {
    let node = NodeId::new(namespace, format!("{}#{name}", of.identifier));
    VariableBuilder::new(&node, QualifiedName::new(0, name), name)
        .data_type(data_type)
        .value_rank(-1)
        .value(Variant::ExtensionObject(value))
        .access_level(access(false))
        .user_access_level(access(false))
        .has_type_definition(VariableTypeId::PropertyType)
        .property_of(of.clone())
        .insert(space);
}

/// A unit by its symbol. Its number is its common code read as a big-endian number, as OPC UA Part 8 says; −1 where the
/// simulator has no code for it.
fn unit(symbol: &str) -> EUInformation {
    let code = match symbol {
        "°" => "DD",
        "°C" => "CEL",
        "%" => "P1",
        "m" => "MTR",
        "m/s" => "MTS",
        "s" => "SEC",
        "A" => "AMP",
        "bar" => "BAR",
        "L/min" => "L2",
        "1/min" => "RPM",
        _ => "",
    };
    let number = code.bytes().fold(0i32, |sum, byte| (sum << 8) | i32::from(byte));
    EUInformation {
        namespace_uri: UAString::from(UNITS),
        unit_id: if code.is_empty() { -1 } else { number },
        display_name: LocalizedText::new("en", symbol),
        description: LocalizedText::new("en", symbol),
    }
}

fn data_type(kind: ValueKind) -> DataTypeId {
    match kind {
        ValueKind::Bool => DataTypeId::Boolean,
        ValueKind::Int => DataTypeId::Int64,
        ValueKind::Float => DataTypeId::Double,
        ValueKind::Text => DataTypeId::String,
    }
}

fn empty(kind: ValueKind) -> Variant {
    match kind {
        ValueKind::Bool => Variant::Boolean(false),
        ValueKind::Int => Variant::Int64(0),
        ValueKind::Float => Variant::Double(0.0),
        ValueKind::Text => Variant::String(UAString::from("")),
    }
}

/// A value as the variables here hold it.
pub(super) fn variant(value: &Value) -> Variant {
    match value {
        Value::Bool(b) => Variant::Boolean(*b),
        Value::Int(i) => Variant::Int64(*i),
        Value::Float(v) => Variant::Double(*v),
        Value::Text(text) => Variant::String(UAString::from(text.as_str())),
    }
}
