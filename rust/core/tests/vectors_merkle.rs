//! Trees and paths against the Certificate Transparency reference tree and the probes of transparency-dev.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vectors_folder;

use std::fs;
use std::path::Path;

use finchain_core::encoding::{unbase64, unhex, unhex_vec};
use finchain_core::hash::{Hash, NodeHash, Rfc9162};
use finchain_core::merkle::{BlockLog, tree_hash, verify_consistency, verify_inclusion};
use serde_json::Value;
use vectors_folder::vectors;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(|hash| unhex(hash.as_str().unwrap()).unwrap()).collect()
}

#[test]
fn the_reference_tree_agrees_in_every_node() {
    let Some(path) = vectors("merkle/rfc6962_reference_tree.json") else { return };
    let reference = read(&path);
    let mut log = BlockLog::new();
    for input in reference["leaf_inputs_hex"].as_array().unwrap() {
        log.push(Rfc9162.leaf(&unhex_vec(input.as_str().unwrap()).unwrap()));
    }
    let levels: Vec<_> = reference["node_hashes_by_level"].as_array().unwrap().iter().map(hashes).collect();
    let leaves: Vec<_> = (0..log.size()).map(|index| log.leaf(index).unwrap()).collect();
    assert_eq!(leaves, levels[0]);
    for (height, level) in levels.iter().enumerate() {
        for (index, node) in level.iter().enumerate() {
            let range = index << height..(index + 1) << height;
            assert_eq!(tree_hash(&Rfc9162, &leaves[range.clone()]), *node, "leaves {range:?}");
        }
    }
    for (pair, parent) in levels[0].chunks(2).zip(&levels[1]) {
        assert_eq!(Rfc9162.node(&pair[0], &pair[1]), *parent);
    }
    for (size, expected) in hashes(&reference["roots"]).iter().enumerate() {
        assert_eq!(log.root_at(size as u64).unwrap(), *expected, "size {size}");
    }
}

/// A hash of a probe; some probes put text there that is no hash, which no 32-byte field could hold.
fn probe_hash(value: &Value) -> Option<Hash> {
    value.as_str().and_then(unbase64)?.try_into().ok()
}

fn probe_path(value: &Value) -> Option<Vec<Hash>> {
    value.as_array().map_or_else(|| Some(Vec::new()), |path| path.iter().map(probe_hash).collect())
}

fn probes(folder: &str, judge: impl Fn(&Value) -> Option<()>) {
    let Some(folder) = vectors(folder) else { return };
    let (mut good, mut bad) = (0, 0);
    let mut pending = vec![folder];
    while let Some(folder) = pending.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let probe = read(&path);
            let wanted = !probe["wantErr"].as_bool().unwrap();
            assert_eq!(judge(&probe).is_some(), wanted, "{}", path.display());
            *(if wanted { &mut good } else { &mut bad }) += 1;
        }
    }
    assert!(good >= 1 && bad >= 10, "{good} good and {bad} bad probes");
}

#[test]
fn inclusion_probes() {
    probes("merkle/transparency-dev/inclusion", |probe| {
        let (index, size) = (probe["leafIdx"].as_u64()?, probe["treeSize"].as_u64()?);
        let (leaf, root) = (probe_hash(&probe["leafHash"])?, probe_hash(&probe["root"])?);
        verify_inclusion(&Rfc9162, &leaf, index, size, &probe_path(&probe["proof"])?, &root).ok()
    });
}

#[test]
fn consistency_probes() {
    probes("merkle/transparency-dev/consistency", |probe| {
        let (size1, size2) = (probe["size1"].as_u64()?, probe["size2"].as_u64()?);
        let (root1, root2) = (probe_hash(&probe["root1"])?, probe_hash(&probe["root2"])?);
        verify_consistency(&Rfc9162, size1, size2, &root1, &root2, &probe_path(&probe["proof"])?).ok()
    });
}
