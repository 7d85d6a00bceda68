//! The layer table: dependencies point down only, and pure crates depend on nothing that does I/O.

use std::collections::BTreeMap;

/// Layer of each crate of the product. A crate may depend on crates of lower layers only. `rpc` converts the domain
/// types of `metadata` and `controller` to and from the wire and therefore stands above both.
const LAYERS: &[(&str, u32)] = &[
    ("types", 0),
    ("metadata", 10),
    ("env", 10),
    ("metrics", 10),
    ("protocol", 10),
    ("records", 10),
    ("controller", 20),
    ("partition", 20),
    ("group", 20),
    ("rpc", 25),
    ("log", 30),
    ("kv-rocksdb", 30),
    ("replication", 40),
    ("coordinator-runtime", 40),
    ("quorum", 40),
    ("gateway", 50),
    ("broker", 60),
];

/// Pure crates: no async, no I/O, no clock, no ambient randomness, no prost types.
const PURE: &[&str] = &["types", "records", "protocol", "metadata", "controller", "partition", "group"];

/// Third-party crates a pure crate may use (not in tests): data structures, encodings and error derives.
const PURE_ALLOWED: &[&str] = &[
    "bytes",
    "crc32c",
    "flate2",
    "imbl",
    "kafka-protocol",
    "lz4",
    "lz4_flex",
    "rand_core",
    "smallvec",
    "snap",
    "thin-vec",
    "thiserror",
    "uuid",
    "zstd",
];

/// `(third-party crate, the only crates of ours that may name it)`.
const RESERVED: &[(&str, &[&str])] =
    &[("openraft", &["quorum"]), ("rocksdb", &["kv-rocksdb"]), ("turmoil", &["env", "sim"])];

/// What the checks need to know of one workspace member.
#[derive(Debug, Clone)]
pub struct Package {
    /// Package name without the `highwater-` prefix.
    pub role: String,
    /// Last component of the package's directory.
    pub directory: String,
    /// Names of normal dependencies (not of tests or build scripts).
    pub dependencies: Vec<String>,
}

impl Package {
    pub fn from_metadata(package: &cargo_metadata::Package) -> Self {
        let directory = package.manifest_path.parent().and_then(|path| path.file_name()).unwrap_or_default();
        let normal =
            |dependency: &&cargo_metadata::Dependency| dependency.kind == cargo_metadata::DependencyKind::Normal;
        Self {
            role: role(&package.name).to_owned(),
            directory: directory.to_owned(),
            dependencies: package
                .dependencies
                .iter()
                .filter(normal)
                .map(|dependency| dependency.name.clone())
                .collect(),
        }
    }
}

fn role(package: &str) -> &str {
    package.strip_prefix("highwater-").unwrap_or(package)
}

/// Every breach of the layer table, of the pure crates' allow-list, and of reserved dependencies.
pub fn check(packages: &[Package]) -> Vec<String> {
    let layers: BTreeMap<&str, u32> = LAYERS.iter().copied().collect();
    let mut findings = Vec::new();
    for package in packages {
        let layer = layers.get(package.role.as_str());
        if layer.is_some() && package.role != package.directory {
            findings.push(format!("crate {}: its directory is {}, not its role", package.role, package.directory));
        }
        for dependency in &package.dependencies {
            findings.extend(check_dependency(package, layer.copied(), dependency, &layers));
        }
    }
    findings
}

fn check_dependency(
    package: &Package,
    layer: Option<u32>,
    dependency: &str,
    layers: &BTreeMap<&str, u32>,
) -> Option<String> {
    let name = &package.role;
    if let Some((_, owners)) = RESERVED.iter().find(|(reserved, _)| *reserved == dependency)
        && !owners.contains(&name.as_str())
    {
        return Some(format!("crate {name} names {dependency}; only {} may", owners.join(", ")));
    }
    let layer = layer?;
    match dependency.strip_prefix("highwater-") {
        Some(ours) => match layers.get(ours) {
            Some(&below) if below < layer => None,
            Some(&other) => Some(format!(
                "crate {name} (layer {layer}) depends on {ours} (layer {other}); dependencies point down only"
            )),
            None => Some(format!("crate {name} depends on {ours}, which has no layer")),
        },
        None if PURE.contains(&name.as_str()) && !PURE_ALLOWED.contains(&dependency) => {
            Some(format!("pure crate {name} depends on {dependency}, which is not on the allow-list"))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(role: &str, dependencies: &[&str]) -> Package {
        Package {
            role: role.to_owned(),
            directory: role.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn downward_dependencies_pass() {
        assert_eq!(check(&[package("log", &["highwater-records", "highwater-env", "tokio"])]), Vec::<String>::new());
    }

    #[test]
    fn upward_and_sideways_dependencies_fail() {
        assert_eq!(check(&[package("records", &["highwater-log"])]).len(), 1);
        assert_eq!(check(&[package("replication", &["highwater-quorum"])]).len(), 1);
    }

    #[test]
    fn a_pure_crate_may_not_reach_for_a_runtime() {
        let findings = check(&[package("controller", &["tokio", "imbl"])]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("tokio"), "{findings:?}");
    }

    #[test]
    fn only_one_crate_names_openraft() {
        assert_eq!(check(&[package("gateway", &["openraft"])]).len(), 1);
        assert!(check(&[package("quorum", &["openraft"])]).is_empty());
    }

    #[test]
    fn a_directory_carries_its_role() {
        let mut moved = package("log", &[]);
        moved.directory = "storage".to_owned();
        assert_eq!(check(&[moved]).len(), 1);
    }
}
