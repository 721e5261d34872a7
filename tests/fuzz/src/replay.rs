//! Every committed input again, on the stable compiler: what once broke something, and what reaches furthest.

use std::{fs, path::Path};

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // The name of the input stands above whatever it makes panic.
        println!("{}", file.display());
        run(&fs::read(&file).unwrap());
    }
    run(&[]);
}

macro_rules! replay {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), crate::$target::run);
        })*
    };
}
replay!(codec records addresses node store bencode krpc metadata mainline_node files);
