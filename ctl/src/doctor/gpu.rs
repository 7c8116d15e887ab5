//! The driver, the GPUs and the libraries.

use std::path::Path;

use config::{
    ComputeCapability, Config,
    runtime::{BUILDABLE, ONNX_PARSER, onnx_runtime},
};
use protocol::{Gpu, Machine, Runtime};

use super::{Finding, Verdict};

/// Up to this much use a GPU counts as idle.
const IDLE_PERCENT: u32 = 10;

pub(super) fn all(machine: &Machine, config: &Config) -> Vec<Finding> {
    let mut findings = vec![driver(machine)];
    findings.extend(idle(machine, config));
    findings.extend(machine.gpus.iter().enumerate().map(|(index, gpu)| capability(index, gpu)));
    findings.extend(machine.gpus.iter().enumerate().filter_map(|(index, gpu)| used(index, gpu)));
    findings.push(tensorrt(machine));
    findings.extend(machine.runtime.as_ref().map(libraries));
    // Without a GPU no engine is validated.
    findings.extend((!machine.gpus.is_empty()).then(|| proofs(&config.data_dir)));
    findings
}

fn driver(machine: &Machine) -> Finding {
    const TOPIC: &str = "NVIDIA driver";
    if machine.driver_broken {
        let found = machine.driver_problem.as_deref().unwrap_or("it can't be asked");
        let version = machine.driver.iter().map(|version| format!("{version}: "));
        let found = version.collect::<String>() + found;
        return Finding::bad(
            TOPIC,
            found,
            "`nvidia-smi` should list every GPU; `sdtrtctl reload` looks again",
        );
    }
    match &machine.driver {
        Some(version) if machine.gpus.is_empty() => Finding::bad(
            TOPIC,
            format!("{version}, but no GPU"),
            "see `nvidia-smi`; restart the machine after a driver update",
        ),
        Some(version) => Finding::ok(TOPIC, version),
        None => Finding::warning(
            TOPIC,
            format!("none: {}", machine.driver_problem.as_deref().unwrap_or("not found")),
            "engines are built anyway, for `compute_capabilities`, but only run on a machine with a driver; \
             start containers with `--gpus all`",
        ),
    }
}

fn capability(index: usize, gpu: &Gpu) -> Finding {
    let topic = format!("GPU {index}");
    let found = format!("{}, compute capability {}", gpu.name, gpu.compute_capability);
    match gpu.compute_capability.parse::<ComputeCapability>() {
        Ok(capability) if BUILDABLE.contains(&capability) => Finding::ok(topic, found),
        Ok(capability) if capability < BUILDABLE[0] => Finding::bad(
            topic,
            found,
            "TensorRT-RTX needs a Turing GPU (7.5, RTX 20 or GTX 16) or a newer one",
        ),
        _ => Finding::warning(
            topic,
            found,
            "TensorRT-RTX is made for RTX cards: 1.7.1.116 does not run on this GPU; 1.6.1.120 may, through \
             `tensorrt_dir`",
        ),
    }
}

/// A setting that means nothing on a machine without a GPU.
fn idle(machine: &Machine, config: &Config) -> Option<Finding> {
    let is_set = config.idle() != Config::default().idle();
    (machine.gpus.is_empty() && is_set).then(|| {
        Finding::warning(
            "idle_seconds",
            format!("{} has no effect without a GPU", config.idle_seconds),
            "jobs start as soon as other programs leave half of the CPU, at the lowest priority; `sdtrtctl pause` \
             holds them up",
        )
    })
}

/// What is strange about a GPU's use, if anything is.
fn used(index: usize, gpu: &Gpu) -> Option<Finding> {
    let topic = format!("GPU {index} use");
    let reading = gpu.reading.as_ref()?;
    if let Some(why) = &reading.lost {
        let advice = "`sudo dmesg` says more; a restart of the machine may bring it back";
        return Some(Finding::bad(topic, format!("it can't be used: {why}"), advice));
    }
    if let Some(percent) = reading.utilisation.filter(|percent| *percent > 100) {
        let found = format!("it reports {percent} %, which can't be");
        return Some(Finding::warning(
            topic,
            found,
            "sdtrtd ignores the figure; update the driver",
        ));
    }
    let percent = reading.used_by_nobody().filter(|percent| *percent > IDLE_PERCENT)?;
    Some(Finding::warning(
        topic,
        format!("it reports {percent} %, but no process that uses it"),
        "in a container or WSL2 it may be used from outside; once the figure has not changed for a minute, sdtrtd \
         counts the GPU as idle",
    ))
}

fn tensorrt(machine: &Machine) -> Finding {
    const TOPIC: &str = "TensorRT-RTX";
    match (&machine.runtime, &machine.runtime_problem) {
        (Some(runtime), _) => Finding::ok(TOPIC, format!("{}, {}", runtime.version, runtime.path)),
        // The problem says what to do.
        (None, problem) => Finding {
            topic: TOPIC.to_owned(),
            verdict: Verdict::Bad,
            found: problem.as_deref().unwrap_or("not found").to_owned(),
            advice: None,
        },
    }
}

fn libraries(runtime: &Runtime) -> Finding {
    const TOPIC: &str = "libraries";
    let library = Path::new(&runtime.path);
    let parser = library.with_file_name(ONNX_PARSER);
    // A library on the loader's path has no known folder.
    if !library.is_absolute() || parser.exists() {
        Finding::ok(TOPIC, "the main library loads, and its ONNX parser is beside it")
    } else {
        let found = format!("{} is missing", parser.display());
        Finding::bad(TOPIC, found, "`sdtrtctl runtime install` installs both")
    }
}

fn proofs(data_dir: &Path) -> Finding {
    const TOPIC: &str = "ONNX Runtime";
    match onnx_runtime(data_dir) {
        Some(library) => Finding::ok(TOPIC, library.display().to_string()),
        None => Finding::warning(
            TOPIC,
            format!("not found in {}", data_dir.display()),
            "engines stay unproven unless it is on the loader's path; `sdtrtctl runtime install` downloads it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use config::runtime::ONNX_RUNTIME;
    use protocol::GpuReading;

    use super::*;

    fn machine() -> Machine {
        Machine {
            version: "0.1.0".into(),
            driver: Some("580.95".into()),
            driver_problem: None,
            driver_broken: false,
            gpus: vec![gpu("8.9")],
            runtime: Some(Runtime {
                flavour: "tensorrt-rtx".into(),
                version: "1.7.1.116".into(),
                path: "libtensorrt_rtx.so.1".into(),
            }),
            runtime_problem: None,
        }
    }

    fn gpu(compute_capability: &str) -> Gpu {
        Gpu {
            uuid: "GPU-1".into(),
            name: "A card".into(),
            compute_capability: compute_capability.into(),
            reading: None,
        }
    }

    fn config(data_dir: &Path) -> Config {
        Config { data_dir: data_dir.to_owned(), ..Config::default() }
    }

    #[test]
    fn a_setting_that_means_nothing_here_is_told() {
        let slow = Config { idle_seconds: 600.0, ..Config::default() };
        let none = Machine { gpus: vec![], ..machine() };
        assert_eq!(idle(&none, &slow).unwrap().verdict, Verdict::Warning);
        assert_eq!(idle(&machine(), &slow), None);
        assert_eq!(idle(&none, &Config::default()), None);
    }

    /// A data folder with ONNX Runtime in it.
    fn data_dir() -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        let dir = ONNX_RUNTIME.installed_dir(data.path());
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(ONNX_RUNTIME.libraries[0]), "").unwrap();
        data
    }

    #[test]
    fn a_machine_as_it_should_be_has_nothing_to_do() {
        let data = data_dir();
        let findings = all(&machine(), &config(data.path()));
        assert!(findings.iter().all(|finding| finding.advice.is_none()), "{findings:?}");
    }

    #[test]
    fn what_proves_engines_is_asked_for_where_there_is_a_gpu() {
        let empty = tempfile::tempdir().unwrap();
        let told = |machine: &Machine| {
            let findings = all(machine, &config(empty.path()));
            findings.into_iter().find(|finding| finding.topic == "ONNX Runtime")
        };
        assert_eq!(told(&machine()).unwrap().verdict, Verdict::Warning);
        assert_eq!(told(&Machine { gpus: vec![], ..machine() }), None);
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let no_driver = Machine {
            driver: None,
            driver_problem: Some("libnvidia-ml.so.1 is not there".into()),
            gpus: vec![],
            ..machine()
        };
        let mismatch = Machine {
            driver: Some("550.54.14".into()),
            driver_problem: Some("libraries and kernel module are of different versions".into()),
            driver_broken: true,
            gpus: vec![],
            ..machine()
        };
        let one_lost = Machine {
            driver_problem: Some("GPU 1 can't be used: it has fallen off the bus".into()),
            driver_broken: true,
            ..machine()
        };
        let reporting = |percent| Machine {
            gpus: vec![Gpu {
                reading: Some(GpuReading {
                    utilisation: Some(percent),
                    processes: Some(vec![]),
                    ..GpuReading::default()
                }),
                ..gpu("8.9")
            }],
            ..machine()
        };
        let no_gpu = Machine { gpus: vec![], ..machine() };
        let old = Machine { gpus: vec![gpu("6.1")], ..machine() };
        let data_centre = Machine { gpus: vec![gpu("9.0")], ..machine() };
        let no_runtime = Machine {
            runtime: None,
            runtime_problem: Some("no libraries were found".into()),
            ..machine()
        };
        let mut no_parser = machine();
        no_parser.runtime.as_mut().unwrap().path = "/nowhere/libtensorrt_rtx.so.1".into();
        let data = data_dir();
        for (machine, topic, verdict) in [
            (no_driver, "NVIDIA driver", Verdict::Warning),
            (no_gpu, "NVIDIA driver", Verdict::Bad),
            (mismatch, "NVIDIA driver", Verdict::Bad),
            (one_lost, "NVIDIA driver", Verdict::Bad),
            (reporting(100), "GPU 0 use", Verdict::Warning),
            (reporting(u32::MAX), "GPU 0 use", Verdict::Warning),
            (old, "GPU 0", Verdict::Bad),
            (data_centre, "GPU 0", Verdict::Warning),
            (no_runtime, "TensorRT-RTX", Verdict::Bad),
            (no_parser, "libraries", Verdict::Bad),
        ] {
            let findings = all(&machine, &config(data.path()));
            let told: Vec<_> = findings.iter().filter(|f| f.verdict != Verdict::Ok).collect();
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!((told[0].topic.as_str(), told[0].verdict), (topic, verdict));
            assert!(told[0].advice.is_some() || topic == "TensorRT-RTX");
        }
    }
}
