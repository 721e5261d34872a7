//! Writes the seeds that the corpora of the Mainline targets grew from: `cargo run --example seeds -- FOLDER`.

use std::{fs, io, path::Path};

use fuzz::valid;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).ok_or(io::Error::other("which folder?"))?;
    let bencode = [valid::values(), valid::datagrams()].concat();
    let krpc = [valid::datagrams(), valid::parts()].concat();
    let targets = [
        ("bencode", bencode),
        ("krpc", krpc),
        ("metadata", valid::scripts()),
        ("mainline_node", valid::conversations()),
        ("files", valid::files()),
    ];
    for (target, seeds) in targets {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        for (i, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("{i:03}")), seed)?;
        }
    }
    Ok(())
}
