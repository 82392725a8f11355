//! With the feature `build-codegen`: generates the types while the crate is built, from the schemas
//! in the folder `OCPP_SCHEMAS`.
//!
//! Without this feature nothing is done: the types of the committed schemas are part of the
//! sources.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "build-codegen")]
    if let Err(problem) = generate::run() {
        println!("cargo::error={problem}");
        std::process::exit(1);
    }
}

#[cfg(feature = "build-codegen")]
mod generate {
    use std::{
        env, fs,
        path::{Path, PathBuf},
    };

    use codegen::{edition::EDITIONS, io::read_folder};
    use program::in_one_line;

    /// Generates every version whose feature is enabled into `OUT_DIR`.
    pub(super) fn run() -> Result<(), String> {
        println!("cargo::rerun-if-env-changed=OCPP_SCHEMAS");
        let folder = env::var_os("OCPP_SCHEMAS").map(PathBuf::from).ok_or(
            "the feature build-codegen needs the schemas: set OCPP_SCHEMAS to the absolute path of their folder",
        )?;
        let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo has not set OUT_DIR")?;
        println!("cargo::rerun-if-changed={}", folder.display());
        let schemas = read_folder(&folder).map_err(in_one_line)?;
        for edition in EDITIONS {
            let feature = format!("CARGO_FEATURE_{}", edition.module.to_uppercase());
            if env::var_os(feature).is_none() {
                continue;
            }
            let sources = codegen::of_edition(edition, &schemas);
            if sources.is_empty() {
                return Err(format!("{} holds no schema of {}", folder.display(), edition.title));
            }
            let files = codegen::generate(edition, &sources).map_err(in_one_line)?;
            for file in files {
                write(&out.join(edition.module).join(file.path), &file.text)?;
            }
        }
        Ok(())
    }

    fn write(path: &Path, text: &str) -> Result<(), String> {
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(path, text))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}
