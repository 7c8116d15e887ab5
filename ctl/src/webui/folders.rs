//! A web UI's folders, from the flags that it is started with.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use config::WebUi;

use super::{FrontEnd, comfyui, models, shell};

/// The files that a person sets flags in; of Forge Neo's two the second is the newer one.
const SETTINGS: &str = "webui-user.sh";
const NEOS_SETTINGS: &str = "webui.settings.sh";

const VARIABLE: &str = "COMMANDLINE_ARGS";

/// Where a front end keeps things.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Folders {
    pub(crate) front_end: FrontEnd,
    pub(crate) webui: WebUi,
    pub(crate) extensions: PathBuf,
    /// Where its settings lie.
    pub(crate) data: PathBuf,
    pub(crate) flags: Vec<String>,
    /// The file that a person sets flags in.
    pub(crate) settings: &'static str,
}

impl Folders {
    /// Whether a front end is in `path`.
    pub(crate) fn are_in(path: &Path) -> bool {
        FrontEnd::find(path).is_some()
    }

    /// Those of the front end in `path`.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let path = fs::canonicalize(path).with_context(|| path.display().to_string())?;
        let front_end = FrontEnd::at(&path)?;
        if front_end == FrontEnd::ComfyUi {
            return Self::of_comfyui(&path);
        }
        let is_neos = front_end == FrontEnd::ForgeNeo && path.join(NEOS_SETTINGS).is_file();
        let name = if is_neos { NEOS_SETTINGS } else { SETTINGS };
        let settings = path.join(name);
        let flags = match fs::read_to_string(&settings) {
            Ok(text) => flags(&text, &path).with_context(|| {
                format!(
                    "cannot tell what {} sets {VARIABLE} to: write it as one line, \
                     export {VARIABLE}=\"--flag value\"",
                    settings.display()
                )
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).context(settings.display().to_string()),
        };
        Ok(Self { settings: name, ..Self::with_flags(front_end, &path, &flags)? })
    }

    fn of_comfyui(path: &Path) -> Result<Self> {
        let webui = WebUi { path: path.to_owned(), models_dirs: comfyui::models_dirs(path)? };
        Ok(Self {
            front_end: FrontEnd::ComfyUi,
            webui,
            extensions: path.join("custom_nodes"),
            data: path.to_owned(),
            flags: Vec::new(),
            settings: SETTINGS,
        })
    }

    fn with_flags(front_end: FrontEnd, path: &Path, flags: &[String]) -> Result<Self> {
        // As the web UI does, from its own folder on.
        let data = value(flags, "--data-dir").map_or_else(|| path.to_owned(), |dir| path.join(dir));
        let models_dirs = models::dirs(front_end, path, &data, flags)?;
        let webui = WebUi { path: path.to_owned(), models_dirs };
        let extensions = data.join("extensions");
        Ok(Self { front_end, webui, extensions, data, flags: flags.to_vec(), settings: SETTINGS })
    }

    pub(crate) fn has_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    /// Whether it serves the API that tells when it makes images.
    pub(crate) fn has_api(&self) -> bool {
        self.has_flag("--api") || self.has_flag("--nowebui")
    }

    /// Where it can be asked, with the ports that it takes by itself.
    pub(crate) fn url(&self) -> String {
        let usual = if self.has_flag("--nowebui") { "7861" } else { "7860" };
        format!("http://127.0.0.1:{}", value(&self.flags, "--port").unwrap_or(usual))
    }
}

/// The last value of a flag, which is the one that counts.
pub(super) fn value<'a>(flags: &'a [String], name: &str) -> Option<&'a str> {
    values(flags, name).pop()
}

/// All values of a flag.
pub(super) fn values<'a>(flags: &'a [String], name: &str) -> Vec<&'a str> {
    let (mut found, mut rest) = (Vec::new(), flags.iter());
    while let Some(flag) = rest.next() {
        if flag == name {
            found.extend(rest.next().map(String::as_str));
        } else if let Some(value) = flag.strip_prefix(name).and_then(|rest| rest.strip_prefix('='))
        {
            found.push(value);
        }
    }
    found
}

/// The flags that the settings file leaves for the web UI in `path`.
fn flags(settings: &str, path: &Path) -> Result<Vec<String>> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let home = env::home_dir().map(|home| ("HOME", text(&home)));
    let known: Vec<_> = [("PWD", text(path))].into_iter().chain(home).collect();
    let value = shell::variable(settings, VARIABLE, &known)?.unwrap_or_default();
    // As the web UI splits it.
    shlex::split(&value).context("its value has an unclosed quote")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(settings: &str) -> Folders {
        let flags = flags(settings, Path::new("/w")).unwrap();
        Folders::with_flags(FrontEnd::A1111, Path::new("/w"), &flags).unwrap()
    }

    #[test]
    fn the_url_follows_the_port() {
        for (settings, has_api, url) in [
            ("", false, "http://127.0.0.1:7860"),
            ("COMMANDLINE_ARGS='--api --port 7999'", true, "http://127.0.0.1:7999"),
            ("COMMANDLINE_ARGS='--nowebui'", true, "http://127.0.0.1:7861"),
            ("COMMANDLINE_ARGS='--nowebui --port=80'", true, "http://127.0.0.1:80"),
        ] {
            let folders = folders(settings);
            assert_eq!((folders.has_api(), folders.url()), (has_api, url.to_owned()), "{settings}");
        }
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn folders_follow_the_flags() {
        let usual = paths(&["/w/models/Stable-diffusion"]);
        for settings in [
            "",
            "#export COMMANDLINE_ARGS=\"--ckpt-dir /other\"",
            "export COMMANDLINE_ARGS=\"--xformers --api\" # --ckpt-dir /other",
            "COMMANDLINE_ARGS='--ckpt-dir /other'\nexport COMMANDLINE_ARGS=\n",
        ] {
            let found = folders(settings);
            assert_eq!(found.webui.models_dirs, usual, "{settings}");
            assert_eq!(found.extensions, Path::new("/w/extensions"), "{settings}");
        }
        let found =
            folders("export COMMANDLINE_ARGS=\"--ckpt-dir '/my models' --data-dir=data --api\"");
        assert_eq!(
            found.webui.models_dirs,
            paths(&["/my models", "/w/data/models/Stable-diffusion"])
        );
        assert_eq!(found.extensions, Path::new("/w/data/extensions"));
        let found = folders("  COMMANDLINE_ARGS=\"--models-dir /m --models-dir /n\"");
        assert_eq!(found.webui.models_dirs, paths(&["/n/Stable-diffusion"]));
        assert!(flags("COMMANDLINE_ARGS=\"--api", Path::new("/w")).is_err());
    }

    #[test]
    fn forge_neo_has_a_settings_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().canonicalize().unwrap();
        fs::create_dir(own.join("modules_forge")).unwrap();
        fs::write(own.join("modules_forge/forge_version.py"), "version = \"neo\"").unwrap();
        let file = |name: &str, port: u32| {
            fs::write(own.join(name), format!("export COMMANDLINE_ARGS=\"--port {port}\"\n"))
                .unwrap();
            Folders::of(&own).unwrap().url()
        };
        assert_eq!(file(SETTINGS, 7001), "http://127.0.0.1:7001");
        assert_eq!(file(NEOS_SETTINGS, 7002), "http://127.0.0.1:7002");
        assert_eq!(Folders::of(&own).unwrap().front_end, FrontEnd::ForgeNeo);
    }
}
