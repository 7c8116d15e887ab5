//! Which engines would make an image.

use protocol::{Coverage, PassCoverage};

use crate::render::{look::Look, table::Table, text};

pub(crate) fn render(coverage: &[Coverage], look: Look) -> String {
    if coverage.is_empty() {
        return "no checkpoints; `sdtrtctl status` shows the folders that are watched\n".to_owned();
    }
    let mut table = Table::new(&["ID", "PASS", "SIZE", "SERVED BY", "LOCATION"]);
    for checkpoint in coverage {
        for pass in &checkpoint.passes {
            let cells = [
                text::short_id(&checkpoint.weights_id),
                &pass.pass,
                &format!("{}x{}", pass.width, pass.height),
                &served_by(pass),
                checkpoint.location.as_deref().unwrap_or("-"),
            ];
            table.row(cells, pass.problem.as_deref());
        }
    }
    table.render(look)
}

fn served_by(pass: &PassCoverage) -> String {
    let preset = pass.preset.as_deref().unwrap_or("-");
    match (&pass.engine, pass.profile) {
        (Some(engine), Some(profile)) => {
            format!("{preset}: profile {profile} of {}", text::short_id(engine))
        }
        _ => preset.to_owned(),
    }
}

/// How many passes no engine on disk serves, where there are any.
pub(crate) fn complaint(coverage: &[Coverage]) -> Option<String> {
    let passes: Vec<_> = coverage.iter().flat_map(|checkpoint| &checkpoint.passes).collect();
    let unserved = passes.iter().filter(|pass| pass.engine.is_none()).count();
    let all = passes.len();
    (unserved > 0).then(|| format!("no engine is there yet for {unserved} of {all} passes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn pass(name: &str, width: u64) -> PassCoverage {
        PassCoverage {
            pass: name.into(),
            width,
            height: 768,
            engine: None,
            profile: None,
            preset: None,
            problem: None,
        }
    }

    #[test]
    fn served_coming_and_missing() {
        let served = PassCoverage {
            engine: Some(samples::id('e')),
            profile: Some(1),
            preset: Some("dynamic".into()),
            ..pass("base", 512)
        };
        let coming = PassCoverage {
            profile: Some(0),
            preset: Some("default".into()),
            problem: Some("once its engine is built".into()),
            ..pass("base", 512)
        };
        let missing =
            PassCoverage { problem: Some("width 4096 is over 2048".into()), ..pass("hires", 4096) };
        let checkpoint = |digit, passes| Coverage {
            weights_id: samples::id(digit),
            architecture: "sd1".into(),
            location: Some(format!("/models/{digit}.safetensors")),
            passes,
        };
        let all = [checkpoint('a', vec![served.clone(), missing]), checkpoint('b', vec![coming])];
        insta::assert_snapshot!(render(&all, Look::default()), @r"
        ID             PASS    SIZE       SERVED BY                            LOCATION
        aaaaaaaaaaaa   base    512x768    dynamic: profile 1 of eeeeeeeeeeee   /models/a.safetensors
        aaaaaaaaaaaa   hires   4096x768   -                                    /models/a.safetensors
          width 4096 is over 2048
        bbbbbbbbbbbb   base    512x768    default                              /models/b.safetensors
          once its engine is built
        ");
        assert_eq!(complaint(&all).unwrap(), "no engine is there yet for 2 of 3 passes");
        assert_eq!(complaint(&[checkpoint('a', vec![served])]), None);
    }
}
