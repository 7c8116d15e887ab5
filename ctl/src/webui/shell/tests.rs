use super::*;

fn args(script: &str) -> Result<Option<String>, Unclear> {
    variable(script, "COMMANDLINE_ARGS", &[("HOME", "/home/me".to_owned())])
}

#[test]
fn what_people_write_is_read_as_bash_reads_it() {
    for (script, expected) in [
        ("", None),
        ("#export COMMANDLINE_ARGS=\"--a\"\n", None),
        ("export COMMANDLINE_ARGS=\"--a --b\"\n", Some("--a --b")),
        ("export COMMANDLINE_ARGS='--a \"b c\"'", Some("--a \"b c\"")),
        ("COMMANDLINE_ARGS=--a # --b\n", Some("--a")),
        ("COMMANDLINE_ARGS=--a#b", Some("--a#b")),
        ("export COMMANDLINE_ARGS=\"--a \\\n  --b\"", Some("--a   --b")),
        ("export \\\n  COMMANDLINE_ARGS=--a", Some("--a")),
        (
            "COMMANDLINE_ARGS=\"--a\"\nCOMMANDLINE_ARGS+=\" --b\"\nCOMMANDLINE_ARGS+=' --c'\n",
            Some("--a --b --c"),
        ),
        ("COMMANDLINE_ARGS=--a\nCOMMANDLINE_ARGS=\"$COMMANDLINE_ARGS --b\"", Some("--a --b")),
        ("COMMANDLINE_ARGS=\"${COMMANDLINE_ARGS} --b\"", Some(" --b")),
        ("export COMMANDLINE_ARGS=\"${COMMANDLINE_ARGS:---a --x} --b\"", Some("--a --x --b")),
        ("COMMANDLINE_ARGS=${COMMANDLINE_ARGS-\"--a b\"}", Some("--a b")),
        ("COMMANDLINE_ARGS=\nCOMMANDLINE_ARGS=${COMMANDLINE_ARGS-x}", Some("")),
        ("COMMANDLINE_ARGS=\nCOMMANDLINE_ARGS=${COMMANDLINE_ARGS:-x}", Some("x")),
        (
            "M=/models\nexport COMMANDLINE_ARGS=\"--ckpt-dir ${M}/sd --lora-dir $M/l\"",
            Some("--ckpt-dir /models/sd --lora-dir /models/l"),
        ),
        ("COMMANDLINE_ARGS=\"--ckpt-dir $HOME/m\"", Some("--ckpt-dir /home/me/m")),
        ("M=~/m; export COMMANDLINE_ARGS=\"--ckpt-dir $M\"", Some("--ckpt-dir /home/me/m")),
        ("export COMMANDLINE_ARGS=--a COMMANDLINE_ARGS2=--b", Some("--a")),
        ("declare -x COMMANDLINE_ARGS=\"--a\"; readonly COMMANDLINE_ARGS", Some("--a")),
        (
            "export COMMANDLINE_ARGS=\"--a\" && export X=1 && export COMMANDLINE_ARGS=\"--b\"",
            Some("--b"),
        ),
        ("COMMANDLINE_ARGS=--a || COMMANDLINE_ARGS=--b", Some("--a")),
        ("A=(--a \"--b c\"\n  # more\n  --d)\nCOMMANDLINE_ARGS=\"${A[*]}\"", Some("--a --b c --d")),
        ("A=(--a); A+=(--b)\nexport COMMANDLINE_ARGS=\"${A[@]} --c\"", Some("--a --b --c")),
        ("COMMANDLINE_ARGS=\"--a\"\r\nexport X=1\r\n", Some("--a")),
        ("COMMANDLINE_ARGS=--a\nunset COMMANDLINE_ARGS\n", None),
        ("COMMANDLINE_ARGS=--a python launch.py", None),
        ("if [ -n \"$X\" ]; then\n  export OTHER=1\nfi\nCOMMANDLINE_ARGS=--a", Some("--a")),
        ("f() {\n  echo COMMANDLINE_ARGS\n}\nCOMMANDLINE_ARGS=--a", Some("--a")),
        ("source venv/bin/activate\nCOMMANDLINE_ARGS=--a", Some("--a")),
        ("cat <<EOF\nCOMMANDLINE_ARGS=--x\nEOF\nCOMMANDLINE_ARGS=--a", Some("--a")),
        ("  export   COMMANDLINE_ARGS=$'--a'  ", Some("--a")),
        ("X=$(date)\nCOMMANDLINE_ARGS=--a", Some("--a")),
        ("if true; then\nCOMMANDLINE_ARGS=--x\nfi\nCOMMANDLINE_ARGS=--a", Some("--a")),
    ] {
        assert_eq!(args(script), Ok(expected.map(str::to_owned)), "{script}");
    }
}

#[test]
fn what_depends_on_more_is_refused_by_its_line() {
    for (script, line, why) in [
        ("\nif [ -d /x ]; then\n  export COMMANDLINE_ARGS=--a\nfi", 3, "`if`"),
        ("[ -d /x ] && export COMMANDLINE_ARGS=--a", 1, "`&&`"),
        ("[ -d /x ] || COMMANDLINE_ARGS=--a", 1, "`||`"),
        ("for a in --a --b; do COMMANDLINE_ARGS+=\" $a\"; done", 1, "`for`"),
        ("case $X in\n a) COMMANDLINE_ARGS=--a;;\nesac", 2, "`case`"),
        ("f() {\n COMMANDLINE_ARGS=--a\n}\nf", 2, "`{`"),
        ("COMMANDLINE_ARGS=\"--ckpt-dir $(realpath .)\"", 1, "output of a command"),
        ("COMMANDLINE_ARGS=`cat args`", 1, "output of a command"),
        ("COMMANDLINE_ARGS=\"--ckpt-dir $MODELS\"", 1, "$MODELS"),
        ("COMMANDLINE_ARGS=\"$1\"", 1, "called with"),
        ("COMMANDLINE_ARGS=${X//a/b}", 1, "${…}"),
        ("A=1\nsource ./my-args.sh", 2, "another file"),
        (". ~/.sdrc", 1, "another file"),
        ("A=1\n\nCOMMANDLINE_ARGS=(--a --b)", 3, "list"),
        ("printf -v COMMANDLINE_ARGS %s --a", 1, "printf"),
        ("eval \"COMMANDLINE_ARGS=--a\"", 1, "eval"),
        ("COMMANDLINE_ARGS=\"--a", 1, "not closed"),
        ("X=$(date)\nCOMMANDLINE_ARGS=\"--a $X\"", 1, "output of a command"),
    ] {
        let unclear = args(script).expect_err(script);
        assert_eq!(unclear.line, line, "{script}: {unclear}");
        assert!(unclear.why.contains(why), "{script}: {unclear}");
    }
}

#[test]
fn bash_agrees() {
    // Only what is read above, and only where bash is.
    for script in [
        "export COMMANDLINE_ARGS=\"--a \\\n --b\" # c\nCOMMANDLINE_ARGS+=' --c \"d e\"'",
        "A=(--a \"--b c\"); A+=(--d)\nCOMMANDLINE_ARGS=\"${A[*]} ${X:---y z}\"",
        "COMMANDLINE_ARGS=--a\\ b\"c\\d\\\"\"'e\\'",
    ] {
        let told = format!("{script}\nprintf %s \"$COMMANDLINE_ARGS\"");
        let Ok(output) = std::process::Command::new("bash").args(["--norc", "-c", &told]).output()
        else {
            return;
        };
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(args(script), Ok(Some(said)), "{script}");
    }
}
