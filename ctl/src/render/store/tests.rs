use super::*;
use crate::render::samples::id;

const NOW: u64 = 1_093_600;
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

fn name(kind: &str, digit: char) -> String {
    format!("{kind}/{}.sealed", id(digit))
}

#[test]
fn a_new_key_says_where_it_counts() {
    let made = |trusted_in: Option<&str>, problem: Option<&str>| KeyMade {
        public_key: KEY.to_owned(),
        file: "/home/a/.config/sdtrt/store.key".to_owned(),
        trusted_in: trusted_in.map(str::to_owned),
        problem: problem.map(str::to_owned),
    };
    insta::assert_snapshot!(key_made(&made(Some("/c.toml"), None)), @r"
    RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3

    made /home/a/.config/sdtrt/store.key, which stays on this machine; the line above is its public key
    /c.toml trusts it now; `sdtrtctl reload` applies it
    on the machines that take what this one adds: `sdtrtctl store trust RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3`
    ");
    let told = key_made(&made(None, Some("/c.toml has no [store] yet")));
    assert!(told.contains("not trusted yet: /c.toml has no [store] yet\n"), "{told}");
}

#[test]
fn a_trusted_key_is_told_from_a_new_one() {
    let trusted = |already_trusted| KeyTrusted {
        public_key: KEY.to_owned(),
        file: "/c.toml".to_owned(),
        already_trusted,
    };
    assert_eq!(key_trusted(&trusted(true)), "/c.toml trusted it already\n");
    assert!(key_trusted(&trusted(false)).starts_with("/c.toml trusts it now"));
}

#[test]
fn what_was_added_and_what_was_left() {
    let one = |digit, outcome, found, reason: Option<&str>| Shared {
        engine: id(digit),
        label: "sd1, default".to_owned(),
        outcome,
        found,
        reason: reason.map(str::to_owned),
    };
    let all = [
        one('1', SharedAs::Added, 2, None),
        one('2', SharedAs::There, 0, None),
        one('3', SharedAs::Left, 0, Some("an earlier release built it")),
    ];
    insta::assert_snapshot!(shared(&all, Look::default()), @r"
    ENGINE         RESULT      FOUND   FOR
    111111111111   added       2 new   sd1, default
    222222222222   was there   -       sd1, default
    333333333333   left        -       sd1, default
      an earlier release built it
    ");
}

#[test]
fn what_was_taken_and_what_was_refused() {
    let one = |digit, outcome, reason: Option<&str>| Pulled {
        engine: id(digit),
        label: "sdxl, default".to_owned(),
        outcome,
        reason: reason.map(str::to_owned),
    };
    let all = [
        one('1', PullOutcome::Taken, None),
        one('2', PullOutcome::Here, None),
        one('3', PullOutcome::Left, Some("it needs TensorRT-RTX 1.6.1.120")),
        one('4', PullOutcome::Refused, Some("it is not signed")),
    ];
    insta::assert_snapshot!(pulled(&all, Look::default()), @r"
    ENGINE         RESULT     FOR
    111111111111   taken      sdxl, default
    222222222222   was here   sdxl, default
    333333333333   left       sdxl, default
      it needs TensorRT-RTX 1.6.1.120
    444444444444   refused    sdxl, default
      it is not signed
    ");
    assert!(pull_complaint(&all).unwrap().starts_with("1 of 4 engines refused"));
    assert_eq!(pull_complaint(&all[..3]), None);
    assert_eq!(pulled(&[], Look::default()), "there are no engines in the store\n");
}

#[test]
fn a_list_says_who_signed_what_and_what_would_be_refused() {
    let one = |kind, name: String, signer: Option<&str>, refusal: Option<&str>| Stored {
        kind,
        name,
        signer: signer.map(str::to_owned),
        time: signer.map(|_| 1_000_000),
        bytes: 500_000,
        refusal: refusal.map(str::to_owned),
    };
    let all = [
        one("engine", name("engines", '1'), Some("1B2C3D4E5F607182"), None),
        one("engine", name("engines", '2'), None, Some("it is not signed")),
        one(
            "kernels",
            name("kernels/NVIDIA_H200-580-1.7.1.116", '1'),
            Some("1B2C3D4E5F607182"),
            None,
        ),
    ];
    insta::assert_snapshot!(listed(&all, NOW, Look::default()), @r"
    KIND      SIZE     SIGNED BY          WHEN          NAME
    engine    500 kB   1B2C3D4E5F607182   1 d 2 h ago   111111111111
    engine    500 kB   -                  -             222222222222
      would be refused: it is not signed
    kernels   500 kB   1B2C3D4E5F607182   1 d 2 h ago   NVIDIA_H200-580-1.7.1.116/111111111111
    1.5 MB in 3 objects
    ");
    assert!(listed(&[], NOW, Look::default()).contains("`sdtrtctl store push`"));
}

#[test]
fn a_check_tells_what_would_be_refused() {
    let one = |digit, refusal: Option<&str>| StoredVerdict {
        kind: "engine",
        name: name("engines", digit),
        refusal: refusal.map(str::to_owned),
    };
    let all = [one('1', None), one('2', Some("it ends too early"))];
    insta::assert_snapshot!(verdicts(&all, Look::default()), @r"
    KIND     RESULT    NAME
    engine   ok        111111111111
    engine   refused   222222222222
      it ends too early
    ");
    assert!(verify_complaint(&all).unwrap().starts_with("1 of 2 objects would be refused"));
    assert_eq!(verify_complaint(&all[..1]), None);
    assert_eq!(verdicts(&[], Look::default()), "the store is empty\n");
}

#[test]
fn what_is_deleted_is_named_with_its_reason() {
    let one = |name: String, reason| StoredGarbage { kind: "blob", name, bytes: 500_000, reason };
    let all = [
        one(format!("blobs/{}.zst", id('a')), "nothing names it"),
        one(format!("claims/{}/0", id('b')), "older than a day"),
    ];
    insta::assert_snapshot!(garbage(&all, true, Look::default()), @r"
    SIZE     NAME
    500 kB   aaaaaaaaaaaa
      nothing names it
    500 kB   bbbbbbbbbbbb/0
      older than a day
    would free 1.0 MB in 2 objects
    ");
    assert_eq!(garbage(&[], false, Look::default()), "nothing to delete\n");
}

#[test]
fn names_that_nobody_knows_stay() {
    for (name, expected) in [("engines", "engines"), ("other/x.txt", "x.txt"), ("", "")] {
        assert_eq!(short(name), expected, "{name}");
    }
}
