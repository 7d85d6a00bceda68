//! Circles between the modules of one crate: if `a` uses `b`, `b` does not use `a`, directly or through others.
//!
//! The check reads `use crate::module` and `crate::module::` paths of top-level modules. The crate's root may name every
//! module and is left out. Parents and children count as one module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::sources::SourceFile;

/// One finding per circle of modules.
pub fn check(files: &[SourceFile]) -> Vec<String> {
    let mut crates: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for file in files {
        if let Some((owner, module)) = place(&file.path) {
            let uses = uses_of(&file.text, &module);
            crates.entry(owner).or_default().entry(module).or_default().extend(uses);
        }
    }
    crates.iter().filter_map(|(owner, graph)| circle(graph).map(|path| describe(owner, &path))).collect()
}

fn describe(owner: &str, path: &[String]) -> String {
    format!("{owner}: modules in a circle: {}", path.join(" -> "))
}

/// `(crate directory, top-level module)` of a file below `src/`, or none for roots and files elsewhere.
fn place(path: &Path) -> Option<(String, String)> {
    let parts: Vec<String> = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let source = parts.iter().rposition(|part| part == "src")?;
    let first = parts.get(source + 1)?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    let root = matches!(module, "lib" | "main" | "bin");
    // Tests may build on anything: `src/batch/tests.rs` is no part of how `batch` depends on others.
    let test = parts[source + 1..]
        .iter()
        .any(|part| matches!(part.as_str(), "tests" | "tests.rs") || part.ends_with("_tests.rs"));
    (!root && !test).then(|| (parts[..source].join("/"), module.to_owned()))
}

fn uses_of(text: &str, own: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .take_while(|line| line.trim_end() != "mod tests {")
        .map(|line| line.split_once("//").map_or(line, |(code, _comment)| code))
        .collect::<Vec<_>>()
        .join("\n");
    let mut uses = BTreeSet::new();
    for (at, matched) in code.match_indices("crate::") {
        let boundary = code[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
        if !boundary {
            continue;
        }
        let rest = &code[at + matched.len()..];
        for name in names(rest) {
            if name != own && name.chars().next().is_some_and(char::is_lowercase) {
                uses.insert(name);
            }
        }
    }
    uses
}

/// Module names after `crate::`: one name, or the first names inside one level of braces.
fn names(rest: &str) -> Vec<String> {
    let identifier = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    if let Some(inner) = rest.strip_prefix('{') {
        let mut depth = 0_usize;
        let mut starts = vec![0];
        for (index, character) in inner.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => starts.push(index + 1),
                _ => {}
            }
        }
        return starts.into_iter().map(|start| identifier(inner[start..].trim_start())).collect();
    }
    // A name alone may be an item of the root; `circle` knows which names are modules.
    vec![identifier(rest)]
}

fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    for start in graph.keys() {
        let mut path = Vec::new();
        if let Some(found) = walk(graph, start, &mut path, &mut done) {
            return Some(found);
        }
    }
    None
}

fn walk(
    graph: &BTreeMap<String, BTreeSet<String>>,
    module: &str,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|seen| seen == module) {
        let mut found = path[start..].to_vec();
        found.push(module.to_owned());
        return Some(found);
    }
    if done.contains(module) {
        return None;
    }
    path.push(module.to_owned());
    for next in graph.get(module)? {
        if graph.contains_key(next)
            && let Some(found) = walk(graph, next, path, done)
        {
            return Some(found);
        }
    }
    path.pop();
    done.insert(module.to_owned());
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), text: text.to_owned() }
    }

    #[test]
    fn a_circle_is_found() {
        let findings = check(&[
            file("crates/log/src/segment.rs", "use crate::index::Index;"),
            file("crates/log/src/index.rs", "use crate::recovery::Recovery;"),
            file("crates/log/src/recovery.rs", "fn f() { crate::segment::open() }"),
        ]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("index -> recovery -> segment -> index"), "{findings:?}");
    }

    #[test]
    fn a_tree_passes() {
        let findings = check(&[
            file("crates/log/src/lib.rs", "use crate::segment::Segment;"),
            file("crates/log/src/segment.rs", "use crate::{index::Index, Offset};"),
            file("crates/log/src/index.rs", "use crate::Offset; // crate::segment::Segment"),
        ]);
        assert_eq!(findings, Vec::<String>::new());
    }

    #[test]
    fn a_module_used_by_its_name_alone_counts() {
        for named in ["use crate::index;", "use crate::index as other;", "use crate::{Offset, index};"] {
            let findings = check(&[
                file("crates/log/src/segment.rs", named),
                file("crates/log/src/index.rs", "use crate::segment::Segment;"),
            ]);
            assert_eq!(findings.len(), 1, "{named}: {findings:?}");
        }
        let items =
            [file("crates/log/src/segment.rs", "use crate::open;"), file("crates/log/src/index.rs", "crate::open()")];
        assert_eq!(check(&items), Vec::<String>::new());
    }

    #[test]
    fn uses_in_braces_count() {
        let uses = uses_of("use crate::{index::{A, B}, recovery::C, Error};", "segment");
        assert_eq!(uses.into_iter().collect::<Vec<_>>(), ["index", "recovery"]);
    }
}
