//! Checks whole front ends with our part: `cargo xtask check-frontend`. Nothing of a front end is in the repository; the
//! programs that drive one are in `tests/frontends`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    cargo::{self, Profile},
    daemon::{Daemon, Options},
    demo, folders, pip, process,
};

/// What the checks run with: a real browser, pictures, and their difference.
const TOOLS: [&str; 3] = ["playwright==1.49.0", "pillow==11.3.0", "numpy==2.2.6"];

/// Where distributions put it.
const BROWSERS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

/// A front end's folder, with what it needs installed.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// AUTOMATIC1111's web UI, version 1.6 or newer
    #[arg(long, value_name = "DIR")]
    a1111: Option<PathBuf>,
    /// Forge Neo, 2.26 or newer
    #[arg(long, value_name = "DIR")]
    neo: Option<PathBuf>,
    /// reForge
    #[arg(long, value_name = "DIR")]
    reforge: Option<PathBuf>,
    /// lllyasviel's Forge
    #[arg(long, value_name = "DIR")]
    forge: Option<PathBuf>,
    /// ComfyUI, 0.3.64 or newer
    #[arg(long, value_name = "DIR")]
    comfyui: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Frontend {
    #[command(flatten)]
    which: Which,
    /// The Python that it runs with [default: DIR/venv/bin/python]
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// A folder with two checkpoints and, if there is one, a LoRA: in Stable-diffusion and Lora, or for ComfyUI in
    /// checkpoints and loras [default: DIR/models]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// The folder of the extension Regional Prompter, to be checked too
    #[arg(long, value_name = "DIR")]
    regional_prompter: Option<PathBuf>,
    /// The browser; by default Chromium, if it is installed
    #[arg(long, value_name = "FILE")]
    chromium: Option<PathBuf>,
    /// How often the UI is reloaded in the browser, or ComfyUI restarted
    #[arg(long, default_value_t = 20)]
    reloads: u32,
    /// How many starts with our part are compared with as many without
    #[arg(long, default_value_t = 5)]
    starts: u32,
    /// Reload and stop it without our part too
    #[arg(long)]
    without: bool,
    /// Only this part of the checks, which `tests/frontends` names; may be repeated
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// The port that it listens on
    #[arg(long, default_value_t = 7955)]
    port: u16,
    /// Let engines compute. Without it PyTorch does, on the CPU
    #[arg(long)]
    gpu: bool,
    /// More arguments for the front end
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// What differs between front ends.
struct Whole<'a> {
    dir: &'a Path,
    /// The program in `tests/frontends` that drives it, and arguments of its own.
    program: &'static str,
    more: &'static [&'static str],
    /// Where it has checkpoints, below its folder of models.
    checkpoints: &'static str,
}

impl Which {
    fn whole(&self) -> Result<Whole<'_>> {
        let all: [(_, _, &[&str], _); 5] = [
            (&self.a1111, "a1111.py", &[], "Stable-diffusion"),
            (&self.neo, "forge.py", &["--kind=neo"], "Stable-diffusion"),
            (&self.reforge, "forge.py", &["--kind=reforge"], "Stable-diffusion"),
            (&self.forge, "forge.py", &["--kind=forge"], "Stable-diffusion"),
            (&self.comfyui, "comfyui.py", &[], "checkpoints"),
        ];
        let named = all.into_iter().find_map(|(dir, program, more, checkpoints)| {
            Some(Whole { dir: dir.as_deref()?, program, more, checkpoints })
        });
        named.context("name a front end, such as --a1111 DIR")
    }
}

pub(crate) fn run(frontend: &Frontend) -> Result<()> {
    let whole = frontend.which.whole()?;
    let (programs, kit) = cargo::build_programs(Profile::Dev)?;
    let tools = pip::installed(&folders::target()?.join("python"), &TOOLS)?;
    let folder = folders::work("frontend-")?;
    let (data, nothing) = (folder.path().join("data"), folder.path().join("nothing"));
    folders::make(&nothing)?;
    let models = frontend.models.clone().unwrap_or_else(|| whole.dir.join("models"));
    let address = format!("http://127.0.0.1:{}", frontend.port);
    let options = Options {
        models: &models.join(whole.checkpoints),
        data: &data,
        // Without a GPU nothing would use engines.
        tensorrt: if frontend.gpu { &kit.tensorrt } else { &nothing },
        compute_capability: None,
        settle_seconds: None,
        baked: false,
        // It asks meanwhile, as it would a user's.
        webui_url: frontend.which.comfyui.is_none().then_some(address.as_str()),
        hurried: false,
    };
    let mut daemon = Daemon::start(&programs, &options)?;
    let mut client = daemon.ready(&data)?;
    if frontend.gpu {
        demo::until_nothing_is_left(&mut client)?;
    }
    let checked = process::run(&mut check(frontend, &whole, &models, &data, &tools));
    daemon.stop();
    checked
}

/// The program that starts and drives it.
fn check(
    frontend: &Frontend,
    whole: &Whole<'_>,
    models: &Path,
    data: &Path,
    tools: &Path,
) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = frontend.python.clone();
    let mut check = Command::new("python3");
    check.arg("-B").arg(root.join("tests/frontends").join(whole.program)).arg(whole.dir);
    check.args(whole.more);
    check.arg("--extension").arg(root.join("webui"));
    check.arg("--python").arg(python.unwrap_or_else(|| whole.dir.join("venv/bin/python")));
    check.arg("--models").arg(models).arg("--data-dir").arg(data);
    check.arg(format!("--port={}", frontend.port));
    check.arg(format!("--reloads={}", frontend.reloads));
    check.args(frontend.only.iter().map(|part| format!("--only={part}")));
    if frontend.gpu {
        check.arg("--gpu");
    }
    check.arg(format!("--starts={}", frontend.starts));
    check.args(frontend.without.then_some("--without"));
    check.args(frontend.arguments.iter().map(|argument| format!("--argument={argument}")));
    check.arg("--tools").arg(tools);
    let installed = BROWSERS.map(PathBuf::from).into_iter().find(|browser| browser.exists());
    if let Some(browser) = frontend.chromium.clone().or(installed) {
        check.arg("--chromium").arg(browser);
    }
    if let Some(extension) = &frontend.regional_prompter {
        check.arg("--regional-prompter").arg(extension);
    }
    check
}
