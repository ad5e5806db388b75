//! Import circles, and the exceptions for allowed ones.

use std::collections::{BTreeMap, BTreeSet};

/// The files of one circle: each imports each other one, directly or through others.
pub type Circle = BTreeSet<String>;

/// An allowed circle.
pub struct Exception {
    pub room: &'static str,
    /// Exactly the files of the circle, relative to the directory of the crate.
    pub files: &'static [&'static str],
    /// Why the circle is better than its removal.
    pub reason: &'static str,
}

/// The strongly connected components of more than one file.
pub fn circles<'a>(imports: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Circle> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in imports {
        graph.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|&start| {
            let mut seen = BTreeSet::new();
            let mut open = vec![start];
            while let Some(file) = open.pop() {
                let imported = graph.get(file).into_iter().flatten();
                open.extend(imported.filter(|file| seen.insert(**file)));
            }
            (start, seen)
        })
        .collect();
    let circle = |start: &str| -> Circle {
        let mutual = |file: &&&str| reached.get(**file).is_some_and(|back| back.contains(start));
        reached[start]
            .iter()
            .filter(mutual)
            .map(|&file| file.to_owned())
            .collect()
    };
    let found: BTreeSet<Circle> = graph.keys().map(|start| circle(start)).collect();
    found
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .collect()
}

/// The exception that a circle has.
pub fn exception<'a>(
    room: &str,
    circle: &Circle,
    exceptions: &'a [Exception],
) -> Option<&'a Exception> {
    exceptions.iter().find(|exception| {
        exception.room == room
            && exception.files.len() == circle.len()
            && exception.files.iter().all(|&file| circle.contains(file))
    })
}

/// The circles without an exception, and the exceptions without a circle, one line each.
pub fn faults(found: &[(String, Circle)], exceptions: &[Exception]) -> Vec<String> {
    let names = |files: &mut dyn Iterator<Item = &str>| files.collect::<Vec<_>>().join(", ");
    let mut faults = Vec::new();
    for (room, circle) in found {
        if exception(room, circle, exceptions).is_none() {
            let files = names(&mut circle.iter().map(String::as_str));
            faults.push(format!("import circle in {room}: {files}"));
        }
    }
    for stale in exceptions {
        let occurs = |(room, circle): &(String, Circle)| {
            exception(room, circle, std::slice::from_ref(stale)).is_some()
        };
        if !found.iter().any(occurs) {
            let files = names(&mut stale.files.iter().copied());
            faults.push(format!(
                "the exception for an import circle in {} no longer occurs; remove it: {files}",
                stale.room
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(files: &[&str]) -> Circle {
        files.iter().map(|&file| file.to_owned()).collect()
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let imports = [
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "d"),
            ("d", "e"),
            ("e", "d"),
            ("x", "a"),
        ];
        assert_eq!(
            circles(imports.into_iter()),
            [circle(&["a", "b", "c"]), circle(&["d", "e"])]
        );
    }

    #[test]
    fn imports_in_one_direction_are_no_circle() {
        let imports = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
        assert_eq!(circles(imports.into_iter()), []);
    }

    #[test]
    fn an_exception_covers_exactly_its_circle_and_must_occur() {
        let exceptions = [Exception {
            room: "esp",
            files: &["a", "b"],
            reason: "They are one proof.",
        }];
        let faults =
            |room: &str, files: &[&str]| faults(&[(room.to_owned(), circle(files))], &exceptions);
        assert_eq!(faults("esp", &["a", "b"]), [""; 0]);
        for (room, files) in [("esp", &["a", "b", "c"][..]), ("node", &["a", "b"])] {
            let found = faults(room, files);
            assert_eq!(found.len(), 2, "{found:?}");
            assert!(
                found[0].starts_with(&format!("import circle in {room}: a, b")),
                "{found:?}"
            );
            assert!(found[1].contains("no longer occurs"), "{found:?}");
        }
    }
}
