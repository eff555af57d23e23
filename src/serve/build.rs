//! Builds the web assets into OUT_DIR, when their sources changed, or copies prebuilt ones.
//!
//! 1. `YAGURA_WEB_ASSETS=DIR` (what `node web/build.mjs --out DIR` makes): copied, no Node needed.
//! 2. Else `npm ci` in `web/`, unless `node_modules` stems from the same `package-lock.json`; a
//!    lock on that file keeps builds into different target directories apart.
//! 3. `node web/build.mjs --out OUT_DIR/web`.
//!
//! Nothing is written into the source tree but the ignored `web/node_modules`.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

/// What the bundles are made of; a change to anything else builds nothing.
const SOURCES: [&str; 6] = [
    "src",
    "styles",
    "icons",
    "build.mjs",
    "package.json",
    "package-lock.json",
];

/// Notes in `node_modules` for which lock file it was installed.
const STAMP: &str = ".yagura-installed-from";

fn main() {
    if let Err(error) = build() {
        for line in error.to_string().lines() {
            println!("cargo::error={line}");
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../web");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("web");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=YAGURA_WEB_ASSETS");
    if let Some(prebuilt) = env::var_os("YAGURA_WEB_ASSETS").filter(|dir| !dir.is_empty()) {
        let prebuilt = PathBuf::from(prebuilt);
        println!("cargo::rerun-if-changed={}", prebuilt.display());
        return copy_prebuilt(&prebuilt, &out);
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }
    install(&web)?;
    run(Command::new("node")
        .arg("build.mjs")
        .arg("--quiet")
        .arg("--out")
        .arg(&out)
        .current_dir(&web))
}

fn copy_prebuilt(from: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    if !from.join("manifest.json").is_file() {
        return Err(format!(
            "YAGURA_WEB_ASSETS={} has no manifest.json: fill it with `npm ci && node build.mjs --out DIR` in web/",
            from.display()
        )
        .into());
    }
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out.join("assets"))?;
    fs::copy(from.join("manifest.json"), out.join("manifest.json"))?;
    for entry in fs::read_dir(from.join("assets"))? {
        let entry = entry?;
        fs::copy(entry.path(), out.join("assets").join(entry.file_name()))?;
    }
    Ok(())
}

fn install(web: &Path) -> Result<(), Box<dyn Error>> {
    let lockfile = web.join("package-lock.json");
    let guard = File::open(&lockfile)?;
    guard.lock()?;
    let wanted = fs::read(&lockfile)?;
    let stamp = web.join("node_modules").join(STAMP);
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    // No package that we use needs an install script, so none may run.
    run(Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--prefer-offline", "--loglevel=error"])
        .current_dir(web))?;
    fs::write(stamp, wanted)?;
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            format!(
                "{name} is not installed, and Yagura's pages are built with it: install Node.js 20 or newer with npm \
                 (Debian and Ubuntu: apt install nodejs npm), or set YAGURA_WEB_ASSETS to a directory of prebuilt assets"
            )
        } else {
            format!("cannot start {name}: {error}")
        }
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}
