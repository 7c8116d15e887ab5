//! What people know files by, as `show` and `list --hashes` tell it.

mod common;

use common::{FakeDaemon, entry, json};
use protocol::{FileNames, Reply, Request, State};

fn names() -> FileNames {
    FileNames {
        location: "/m/a.safetensors".to_owned(),
        title: Some("Photo, v6".to_owned()),
        autov1: Some("c6bbc15e".to_owned()),
        crc32: Some("0f0c14a3".to_owned()),
        ..FileNames::default()
    }
}

#[test]
fn a_checkpoint_is_shown_with_the_names_of_its_files() {
    let one = entry("/m/a.safetensors", State::Ready, None);
    for is_json in [false, true] {
        let daemon =
            FakeDaemon::replying([Reply::Checkpoint(one.clone()), Reply::Names(vec![names()])]);
        let outcome = daemon.ctl(&["show", "c6bbc15e", if is_json { "--json" } else { "--quiet" }]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        let asked = [
            Request::Show { reference: "c6bbc15e".to_owned() },
            Request::Names { reference: Some("/m/a.safetensors".to_owned()) },
        ];
        assert_eq!(daemon.requests(), asked);
        if is_json {
            let expected = format!(
                "{},\"files\":[{}]}}\n",
                json(&one).strip_suffix('}').unwrap(),
                json(&names())
            );
            assert_eq!(outcome.stdout, expected);
        }
    }
}

#[test]
fn every_file_is_listed_with_its_hashes() {
    let daemon = FakeDaemon::replying([Reply::Names(vec![names()])]);
    let outcome = daemon.ctl(&["list", "--hashes"]);
    assert_eq!(daemon.requests(), [Request::Names { reference: None }]);
    assert!(outcome.stdout.contains("AutoV1   c6bbc15e"), "{}", outcome.stdout);
    let daemon = FakeDaemon::replying([Reply::Names(vec![names()])]);
    let outcome = daemon.ctl(&["list", "--hashes", "--json"]);
    assert_eq!(outcome.stdout, json(&[names()]) + "\n");
}
