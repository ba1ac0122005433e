//! Makes `cargo build` work on a fresh clone: `rust-embed` wants the folder `ui/dist` to exist, and a program
//! without its pages should say so in the browser instead of answering 404.

use std::path::Path;
use std::{env, fs, io};

const APPS: [(&str, &str); 2] = [("prometheus", "query"), ("dashboards", "dashboards")];

fn fallback(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Vigie</title></head>\n<body>\n\
         <h1>The UI was not built</h1>\n\
         <p>This program was compiled without its {title} pages. Run <code>cargo xtask build</code> \
         (it needs Node and npm), then start it again.</p>\n\
         <p>The HTTP API is served as usual.</p>\n</body>\n</html>\n"
    )
}

fn main() -> io::Result<()> {
    let manifest = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let dist = Path::new(&manifest).join("../../ui/dist");
    for (app, title) in APPS {
        let folder = dist.join(app);
        fs::create_dir_all(&folder)?;
        let index = folder.join("index.html");
        if !index.exists() {
            fs::write(&index, fallback(title))?;
        }
        // Hashed names: a changed asset changes index.html, so these two say all that cargo must know.
        println!("cargo::rerun-if-changed={}", index.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
