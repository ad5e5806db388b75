//! `docs/configuration.md` and `README.md` against the code: their examples load, and `docs/configuration.md`
//! describes every key.

use std::path::Path;

use causeway_api::status::Role;
use causeway_config::Config;
use causeway_esp::Cipher;
use causeway_fixtures::directory;
use causeway_keys as key;
use tempfile::tempdir;

fn read(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(name)).expect(name)
}

fn document() -> String {
    read("docs/configuration.md")
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

/// In the examples, as between VPCs of a region, the peer gateways are in the prefixes of their VPC.
#[track_caller]
fn only_peers_in_prefixes(config: &Config) {
    for warning in config.warnings() {
        let text = warning.to_string();
        assert!(text.contains("must not lead to the demux"), "{text}");
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
            other => panic!("unexpected example {other}"),
        };
        let directory = directory(name, text);
        let config = Config::load(&directory.path().join(name)).unwrap();
        config.for_role(role).unwrap();
        only_peers_in_prefixes(&config);
        configurations += 1;
    }
    assert_eq!(configurations, 3);
}

/// Both files of the README load in one directory with the keys that its commands make, and each tunnel is the other's
/// mirror image.
#[test]
fn the_two_hosts_of_the_readme_form_one_peering() {
    let readme = read("README.md");
    let directory = tempdir().unwrap();
    for command in readme
        .lines()
        .filter_map(|line| line.strip_prefix("causeway key "))
    {
        let mut words = command.split_whitespace();
        let (kind, file) = (words.next().unwrap(), words.next().unwrap());
        let path = directory.path().join(file);
        match kind {
            "steering" => key::new_steering(&path).unwrap(),
            "new" => key::new_sa(&path, Cipher::Aes128Gcm).unwrap(),
            other => panic!("no `causeway key {other}` in this test"),
        }
    }
    let mut plans = Vec::new();
    for (name, text) in examples(&readme) {
        let path = directory.path().join(&name);
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap();
        config.for_role(Role::Demux).unwrap();
        only_peers_in_prefixes(&config);
        plans.push(config.into_plan());
    }
    let [one, two] = &plans[..] else {
        panic!("{} configurations, not 2", plans.len());
    };
    for (here, there) in [(one, two), (two, one)] {
        assert_eq!(here.vpc_prefixes, there.peerings[0].prefixes);
        let [near, far] = [here, there].map(|plan| &plan.gateways[0]);
        let [sending, receiving] = [near, far].map(|gateway| &gateway.workers[0].tunnels[0]);
        assert_eq!(sending.peer, far.address);
        assert_eq!(sending.encapsulation, receiving.encapsulation);
        assert_eq!(sending.outbound.spi, receiving.inbound.spi);
        assert_eq!(sending.outbound.key_file, receiving.inbound.key_file);
    }
}

/// The key file in the document has the format of a real one.
#[test]
fn the_key_file_example_has_the_right_format() {
    let document = document();
    let shown = document
        .split("```key\n")
        .nth(1)
        .and_then(|rest| rest.split_once("```"))
        .expect("a key block")
        .0;
    let directory = tempdir().unwrap();
    let path = directory.path().join("made.key");
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
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/file.rs");
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
