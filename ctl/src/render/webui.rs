//! Web UIs around the models folders.

use protocol::ExtensionIndex;

use crate::render::{table::Fields, text};

pub(crate) fn render(indexes: &[ExtensionIndex]) -> String {
    if indexes.is_empty() {
        return "no models folder has a models/Unet-trt/model.json beside it\n".to_owned();
    }
    indexes.iter().map(index).collect::<Vec<_>>().join("\n")
}

fn index(index: &ExtensionIndex) -> String {
    let mut fields = Fields::default();
    fields.add("index", &index.path);
    let kept = if index.kept { "yes" } else { "no; set keep_model_json = true" };
    fields.add("kept", kept);
    fields.add("lists", text::count(index.engines, "engine"));
    if let Some(problem) = &index.problem {
        fields.add("problem", problem);
    }
    let change = if index.kept { "changed" } else { "would change" };
    fields.all(change, index.changes.iter().cloned());
    fields.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_and_what_is_wrong() {
        let watched = ExtensionIndex {
            path: "/a/models/Unet-trt/model.json".into(),
            kept: false,
            engines: 3,
            changes: vec!["e.trt: old → new, sub_new".into(), "f.trt is gone".into()],
            problem: None,
        };
        let broken = ExtensionIndex {
            path: "/b/models/Unet-trt/model.json".into(),
            kept: true,
            engines: 0,
            changes: vec![],
            problem: Some("it is not what the extension writes".into()),
        };
        insta::assert_snapshot!(render(&[watched, broken]), @r"
        index          /a/models/Unet-trt/model.json
        kept           no; set keep_model_json = true
        lists          3 engines
        would change   e.trt: old → new, sub_new
                       f.trt is gone

        index     /b/models/Unet-trt/model.json
        kept      yes
        lists     0 engines
        problem   it is not what the extension writes
        changed   none
        ");
        assert!(render(&[]).starts_with("no models folder"));
    }
}
