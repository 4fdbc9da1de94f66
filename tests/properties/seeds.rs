//! The seeds of the fuzz targets: what is promised holds for them, so they are good to begin with.

use std::{fs, path::Path};

use super::READERS;

#[test]
fn what_is_promised_holds_for_every_seed() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
    for (name, holds) in READERS {
        let directory = fs::read_dir(seeds.join(name));
        let directory = directory.unwrap_or_else(|error| panic!("the seeds of {name}: {error}"));
        let mut files = 0;
        for seed in directory {
            let path = seed.unwrap().path();
            holds(&fs::read(&path).unwrap());
            files += 1;
        }
        assert!(files > 0, "{name} has no seeds");
    }
}

#[test]
fn every_reader_has_a_fuzz_target() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    for (name, _) in READERS {
        let target = format!("name = \"{name}\"");
        assert!(manifest.contains(&target), "no {target}");
    }
    let targets = manifest.matches("[[bin]]").count();
    assert_eq!(targets, READERS.len());
}
