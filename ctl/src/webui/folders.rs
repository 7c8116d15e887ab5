//! A web UI's folders, from the flags that it is started with.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use config::WebUi;

use super::{FrontEnd, comfyui, shell};

/// Has been there since 1.6, the first version that this works with.
const MARK: &str = "modules/sd_unet.py";

/// The file that a person sets flags in.
const SETTINGS: &str = "webui-user.sh";

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
}

impl Folders {
    /// Whether a web UI is in `path`.
    pub(crate) fn are_in(path: &Path) -> bool {
        path.join(MARK).is_file()
    }

    /// Those of the web UI in `path`.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let path = fs::canonicalize(path).with_context(|| path.display().to_string())?;
        if FrontEnd::at(&path)? == FrontEnd::ComfyUi {
            return Self::of_comfyui(&path);
        }
        let settings = path.join(SETTINGS);
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
        Ok(Self::with_flags(&path, &flags))
    }

    fn of_comfyui(path: &Path) -> Result<Self> {
        let webui = WebUi { path: path.to_owned(), models_dirs: comfyui::models_dirs(path)? };
        Ok(Self {
            front_end: FrontEnd::ComfyUi,
            webui,
            extensions: path.join("custom_nodes"),
            data: path.to_owned(),
            flags: Vec::new(),
        })
    }

    fn with_flags(path: &Path, flags: &[String]) -> Self {
        // As the web UI does, from its own folder on.
        let given = |name| value(flags, name).map(|value| path.join(value));
        let data = given("--data-dir").unwrap_or_else(|| path.to_owned());
        let models = given("--models-dir").unwrap_or_else(|| data.join("models"));
        let webui = WebUi {
            path: path.to_owned(),
            models_dirs: given("--ckpt-dir")
                .into_iter()
                .chain([models.join("Stable-diffusion")])
                .collect(),
        };
        let front_end = FrontEnd::A1111;
        Self { front_end, webui, extensions: data.join("extensions"), data, flags: flags.to_vec() }
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
fn value<'a>(flags: &'a [String], name: &str) -> Option<&'a str> {
    let (mut found, mut rest) = (None, flags.iter());
    while let Some(flag) = rest.next() {
        if flag == name {
            found = rest.next().map(String::as_str);
        } else if let Some(value) = flag.strip_prefix(name).and_then(|rest| rest.strip_prefix('='))
        {
            found = Some(value);
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
        Folders::with_flags(Path::new("/w"), &flags(settings, Path::new("/w")).unwrap())
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
}
