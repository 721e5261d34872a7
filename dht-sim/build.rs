//! Has the crate built again when a scenario comes, goes or changes: the macro that embeds them cannot say so itself.

fn main() {
    println!("cargo::rerun-if-changed=scenarios");
}
