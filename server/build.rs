//! The web's assets are carried in the binary: the folder they come from must exist, be it empty.

fn main() {
    let site = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/site/app");
    if let Err(error) = std::fs::create_dir_all(site) {
        println!("cargo::warning=the folder of the web's assets cannot be made: {error}");
    }
    // Cargo looks at a folder's own time alone, so its index stands for it.
    println!("cargo::rerun-if-changed={site}/index.html");
    println!("cargo::rerun-if-changed=build.rs");
}
