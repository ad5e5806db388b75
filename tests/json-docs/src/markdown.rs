//! A JSON schema as Markdown tables: one for the type, and one for each type that it uses.

use std::collections::BTreeMap;
use std::fmt::Write;

use schemars::Schema;
use serde_json::{Map, Value};

const NULL: &str = "`null`";

/// The types that are described already, on this page or on another one, by name.
pub type Links = BTreeMap<String, Described>;

/// The link to a type, and its definition: types of different pages may have the same name.
pub struct Described {
    link: String,
    definition: Value,
}

/// Adds the types of a list on another page.
pub fn add_page(page: &str, schema: &Schema, links: &mut Links) {
    let root = schema.as_value();
    if let Some(title) = root.get("title").and_then(Value::as_str) {
        let mut definition = root.clone();
        if let Some(object) = definition.as_object_mut() {
            object.retain(|key, _| !["$schema", "$defs", "title"].contains(&key.as_str()));
        }
        let link = page.to_owned();
        links.insert(title.to_owned(), Described { link, definition });
    }
    for (name, definition) in definitions(root) {
        let link = format!("{page}{}", anchor(name));
        let definition = definition.clone();
        links.insert(name.clone(), Described { link, definition });
    }
}

fn definitions(root: &Value) -> impl Iterator<Item = (&String, &Value)> {
    root.get("$defs")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// The tables of a type.
///
/// # Errors
/// The page describes another type with the name of one of its types.
pub fn list(schema: &Schema, links: &mut Links) -> Result<String, String> {
    let root = schema.as_value();
    for (name, definition) in definitions(root) {
        match links.get(name) {
            Some(known) if known.definition == *definition => {}
            Some(known) if known.link.starts_with('#') => {
                return Err(format!("has two types with the name {name}"));
            }
            _ => _ = links.remove(name),
        }
    }
    let mut text = table(root, links);
    let mut queue = references(root);
    while !queue.is_empty() {
        let name = queue.remove(0);
        if links.contains_key(&name) {
            continue;
        }
        let definition = &root["$defs"][&name];
        let described = Described {
            link: anchor(&name),
            definition: definition.clone(),
        };
        links.insert(name.clone(), described);
        let _ = write!(
            text,
            "\n### {name}\n\n{}\n\n{}",
            description(definition),
            table(definition, links)
        );
        // Depth first, so that a type follows its first use.
        queue.splice(0..0, references(definition));
    }
    Ok(text)
}

/// A type whose link is ambiguous, because the page has another heading with its name.
pub fn repeated_heading<'a>(page: &str, links: &'a Links) -> Option<&'a str> {
    let headings = || page.lines().filter(|line| line.starts_with('#'));
    let is = |line: &str, name: &str| {
        line.trim_start_matches('#')
            .trim()
            .eq_ignore_ascii_case(name)
    };
    let mut here = links
        .iter()
        .filter(|(_, described)| described.link.starts_with('#'));
    let repeated = here.find(|(name, _)| headings().filter(|line| is(line, name)).count() > 1);
    repeated.map(|(name, _)| name.as_str())
}

/// The names of the types that a schema uses, in the order of their use.
fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| *key != "$defs")
            .flat_map(|(key, value)| match (key.as_str(), value.as_str()) {
                ("$ref", Some(reference)) => vec![name_of(reference)],
                _ => references(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

fn anchor(name: &str) -> String {
    format!("#{}", name.to_lowercase())
}

fn name_of(reference: &str) -> String {
    reference.rsplit('/').next().unwrap_or(reference).to_owned()
}

fn table(schema: &Value, links: &Links) -> String {
    let values: Option<Vec<_>> = variants(schema).map(|variants| {
        let values = variants
            .iter()
            .map(|variant| Some((constant(variant)?, variant)));
        values.collect::<Option<Vec<_>>>().unwrap_or_default()
    });
    let mut text = String::new();
    match values {
        Some(values) if !values.is_empty() => {
            text += "| value | meaning |\n|---|---|\n";
            for (value, variant) in values {
                let _ = writeln!(text, "| `{value}` | {} |", description(variant));
            }
        }
        _ => {
            text += "| key | type | meaning |\n|---|---|---|\n";
            rows(schema, "", links, &mut text);
        }
    }
    text
}

fn variants(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("oneOf").and_then(Value::as_array)
}

/// The value of a schema that accepts one text only.
fn constant(schema: &Value) -> Option<&str> {
    schema.get("const").and_then(Value::as_str)
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// One row for each key of an object, or of each variant of an enumeration.
fn rows(schema: &Value, prefix: &str, links: &Links, text: &mut String) {
    for (key, value) in properties(schema).into_iter().flatten() {
        match constant(value) {
            // The tag of a variant, which is described by the variant.
            Some(tag) => row(text, prefix, key, &format!("`{tag}`"), &description(schema)),
            None => {
                let mut kinds = kinds(value, links);
                if !is_required(schema, key) {
                    kinds.retain(|kind| kind != NULL);
                    kinds.push("absent".to_owned());
                }
                row(text, prefix, key, &kinds.join(" or "), &description(value));
                rows(value, &format!("{prefix}{key}."), links, text);
            }
        }
    }
    for variant in variants(schema).into_iter().flatten() {
        let tagged = properties(variant)
            .is_some_and(|keys| keys.values().any(|key| constant(key).is_some()));
        match (constant(variant), properties(variant)) {
            (Some(value), _) => row(text, prefix, value, "text alone", &description(variant)),
            // The only key of an untagged variant is its name, and the variant has the description.
            (None, Some(keys)) if !tagged && keys.len() == 1 => {
                for (key, value) in keys {
                    row(
                        text,
                        prefix,
                        key,
                        &kind(value, links),
                        &description(variant),
                    );
                    rows(value, &format!("{prefix}{key}."), links, text);
                }
            }
            _ => rows(variant, prefix, links, text),
        }
    }
}

fn row(text: &mut String, prefix: &str, key: &str, kind: &str, meaning: &str) {
    let _ = writeln!(text, "| `{prefix}{key}` | {kind} | {meaning} |");
}

/// Whether every document has the key.
fn is_required(schema: &Value, key: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|name| name == key))
}

/// The type of a value as text.
fn kind(schema: &Value, links: &Links) -> String {
    kinds(schema, links).join(" or ")
}

/// The types that a value may have.
fn kinds(schema: &Value, links: &Links) -> Vec<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = name_of(reference);
        let link = match links.get(&name) {
            Some(described) => described.link.clone(),
            None => anchor(&name),
        };
        return vec![format!("[{name}]({link})")];
    }
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        let each = alternatives.iter();
        return each.flat_map(|schema| kinds(schema, links)).collect();
    }
    match schema.get("type") {
        Some(Value::String(name)) => vec![simple(name, schema, links)],
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            names.map(|name| simple(name, schema, links)).collect()
        }
        _ => vec!["any".to_owned()],
    }
}

fn simple(name: &str, schema: &Value, links: &Links) -> String {
    match name {
        "string" => "text".to_owned(),
        "null" => NULL.to_owned(),
        "array" => {
            // The elements of a tuple or of an array of fixed length are alike here.
            let items = schema.get("items").filter(|items| items.is_object());
            let first = || schema.get("prefixItems").and_then(|items| items.get(0));
            let item = items
                .or_else(first)
                .map_or("any".to_owned(), |schema| element(schema, links));
            format!("list of {item}")
        }
        "object" => match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => format!("map of text to {}", element(values, links)),
            _ => "object".to_owned(),
        },
        other => other.to_owned(),
    }
}

/// The type of each value in a list or map.
fn element(schema: &Value, links: &Links) -> String {
    let kinds = kinds(schema, links);
    match kinds.len() {
        1 => kinds.concat(),
        _ => format!("({})", kinds.join(" or ")),
    }
}

/// The doc comment in one line, without the brackets of links in code.
fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    let words: Vec<_> = text.unwrap_or_default().split_whitespace().collect();
    words
        .join(" ")
        .replace("[`", "`")
        .replace("`]", "`")
        .replace('|', "\\|")
}
