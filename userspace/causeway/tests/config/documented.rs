//! `docs/configuration.md` against the code: its examples load, and it names every key.

use std::path::Path;

use causeway::config::Config;
use causeway::key;
use causeway::status::Role;
use causeway_esp::Cipher;

use super::Directory;

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    std::fs::read_to_string(path).expect("docs/configuration.md")
}

/// The examples: TOML blocks, each with the file's name in its first line.
fn examples(document: &str) -> Vec<(String, String)> {
    document
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("a closed block").0)
        .map(|text| {
            let name = text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("# "))
                .expect("a first line with the file's name");
            (name.to_owned(), text.to_owned())
        })
        .collect()
}

/// Makes the keys that an example names.
fn make_keys(directory: &Directory, text: &str) {
    for rest in text.split("key-file = \"").skip(1) {
        let path = directory.file(rest.split_once('"').unwrap().0);
        if path.ends_with("steering.key") {
            key::new_steering(&path).unwrap();
        } else {
            key::new_sa(&path, Cipher::Aes128Gcm).unwrap();
        }
    }
}

#[test]
fn the_examples_load_for_their_roles() {
    let document = document();
    let examples = examples(&document);
    let mut configurations = 0;
    for (name, text) in &examples {
        let role = match name.as_str() {
            "demux.toml" | "demux-local.toml" => Role::Demux,
            "gateway.toml" => Role::Gateway,
            other => panic!("what is {other}?"),
        };
        let directory = Directory::new();
        make_keys(&directory, text);
        let path = directory.file(name);
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap();
        config.for_role(role).unwrap();
        assert!(config.warnings().is_empty(), "{:?}", config.warnings());
        configurations += 1;
    }
    assert_eq!(configurations, 3);
}

/// The key file that the document shows is one.
#[test]
fn the_key_file_example_is_one() {
    let document = document();
    let shown = document
        .split("```key\n")
        .nth(1)
        .and_then(|rest| rest.split_once("```"))
        .expect("a key block")
        .0;
    let directory = Directory::new();
    let path = directory.file("made.key");
    key::new_sa(&path, Cipher::Aes256Gcm).unwrap();
    let made = std::fs::read_to_string(&path).unwrap();
    let shape = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(" = ").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(shape(shown), shape(&made));
}

#[test]
fn every_key_is_described() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/file.rs");
    let schema = std::fs::read_to_string(schema).unwrap();
    let document = document();
    let mut keys = 0;
    for line in schema.lines() {
        let Some(field) = line.trim().strip_prefix("pub ") else {
            continue;
        };
        let Some((name, _)) = field.split_once(": ") else {
            continue;
        };
        let key = name.replace('_', "-");
        assert!(
            document.contains(&format!("`{key}`")) || document.contains(&format!("[{key}]")),
            "docs/configuration.md does not describe {key}"
        );
        keys += 1;
    }
    assert!(keys > 25, "only {keys} keys found in the schema");
}
