//! `verify`, as the daemon answers it.

mod common;

use common::{FakeDaemon, id, json};
use protocol::{CheckpointVerdict, Reply, Request, Verdict};

#[test]
fn a_checkpoint_that_changed_ends_with_1() {
    let verdict = |problem: Option<&str>| CheckpointVerdict {
        location: "/m/a.safetensors".into(),
        weights_id: [0xab; 32].into(),
        problem: problem.map(str::to_owned),
    };
    for (verdict, code, said) in [
        (verdict(None), 0, ""),
        (verdict(Some("it holds cdcdcdcdcdcd now")), 1, "1 of 1 checkpoint"),
    ] {
        let daemon = FakeDaemon::replying([Reply::VerifiedCheckpoints(vec![verdict.clone()])]);
        let outcome = daemon.ctl(&["verify", "--checkpoints", "--json"]);
        assert_eq!(daemon.requests(), [Request::VerifyCheckpoints]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert_eq!(outcome.stdout.trim_end(), json(&[&verdict]), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
}

#[test]
fn a_bad_engine_ends_with_1() {
    let bad = Verdict { key: id("ef"), path: "/e".into(), problem: Some("short".into()) };
    let outcome = FakeDaemon::replying([Reply::Verified(vec![bad])]).ctl(&["verify", "--json"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("\"problem\":\"short\""), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("1 of 1 engine"), "{}", outcome.stderr);
}
