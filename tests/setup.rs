//! `sdtrtctl setup`: from a home with a web UI to a configuration.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use end_to_end::Workplace;

#[test]
fn a_web_ui_is_found_and_its_models_are_proposed() {
    let w = Workplace::new();
    let webui = w.path("ai/stable-diffusion-webui");
    let models = webui.join("models/Stable-diffusion");
    for dir in [models.as_path(), &webui.join("modules")] {
        fs::create_dir_all(dir).unwrap();
    }
    fs::write(webui.join("modules/sd_unet.py"), "").unwrap();
    fs::write(webui.join("webui-user.sh"), "export COMMANDLINE_ARGS=\"--api\"\n").unwrap();
    let setup = |answers: &str| {
        let program = w.sdtrtd().get_program().to_owned();
        let program = std::path::Path::new(&program).with_file_name("sdtrtctl");
        let mut command = Command::new(program);
        // Without systemctl, no service is started.
        command.env_clear().env("HOME", w.path("")).arg("setup").stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();

    let refused = setup("/nonexistent\n");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let file = w.path(".config/sdtrt/sdtrtd.toml");
    assert!(!file.exists());

    // Accepts the proposed models and declines the download.
    let done = setup("\nn\n");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(text(&done).contains("sdtrtd.toml was written"), "{done:?}");
    let written = fs::read_to_string(&file).unwrap();
    let models = models.canonicalize().unwrap();
    assert!(written.contains(&format!("\nmodels_dirs = [{models:?}]\n")), "{written}");
    assert!(written.contains("\nwebui_url = \"http://127.0.0.1:7860\"\n"), "{written}");

    let again = setup("n\n");
    assert!(text(&again).contains("was not changed"), "{again:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
}

#[test]
fn without_a_configuration_variables_are_heeded_all_the_same() {
    let w = Workplace::new();
    let libraries = w.path("libraries");
    fs::create_dir(&libraries).unwrap();
    let program = w.sdtrtd().get_program().to_owned();
    let mut doctor = Command::new(std::path::Path::new(&program).with_file_name("sdtrtctl"));
    doctor.env_clear().env("HOME", w.path("")).env("SDTRT_TENSORRT_DIR", &libraries);
    let output = doctor.arg("doctor").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(libraries.to_str().unwrap()), "{text}");
}
