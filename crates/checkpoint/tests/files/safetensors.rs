//! The safetensors format, and files that are mistaken for it.

use checkpoint::{Architecture, Checkpoint, Dtype, Heads, Kind, Rejection, Tensor};

use crate::{
    open, refused, scratch,
    specs::{PREFIX, safetensors, sd1, spec, unet, with_header},
};

#[test]
fn a_checkpoint_opens() {
    let specs = sd1();
    let bytes = safetensors(&specs);
    let checkpoint = open(&bytes).unwrap();
    let mut names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
    names.sort();
    assert!(checkpoint.tensors.iter().map(|tensor| &tensor.name).eq(&names));
    assert_eq!(checkpoint.unet().count(), unet(4, 768, None).len());
    for spec in specs {
        let tensor = checkpoint.tensors.iter().find(|tensor| tensor.name == spec.name).unwrap();
        let data = &bytes[tensor.offset as usize..][..tensor.bytes as usize];
        assert_eq!(
            (tensor.dtype.name(), &tensor.shape, data),
            (spec.dtype, &spec.shape, &*spec.data)
        );
    }
    let expected = Architecture {
        kind: Kind::Sd1,
        in_channels: 4,
        context_width: 768,
        y_width: None,
        heads: Heads::Count(8),
    };
    assert_eq!(checkpoint.architecture, expected);
}

#[test]
fn dtypes_have_their_names_and_sizes() {
    let names = [
        "F64",
        "F32",
        "F16",
        "BF16",
        "F8_E4M3",
        "F8_E5M2",
        "I64",
        "I32",
        "I16",
        "I8",
        "U64",
        "U32",
        "U16",
        "U8",
        "BOOL",
        "C64",
        "F8_E8M0",
        "F8_E4M3FNUZ",
        "F8_E5M2FNUZ",
        "F2_NEW",
    ];
    let sizes = [8, 4, 2, 2, 1, 1, 8, 4, 2, 1, 8, 4, 2, 1, 1, 8, 1, 1, 1, 1];
    for (name, size) in names.iter().zip(sizes) {
        let mut specs = unet(4, 768, None);
        let mut odd = spec("a", "U8", &[3 * size]);
        (odd.dtype, odd.shape) = (name, vec![3]);
        specs.push(odd);
        let checkpoint = open(&safetensors(&specs)).unwrap();
        let Tensor { dtype, bytes, .. } = checkpoint.tensors[0];
        assert_eq!((dtype.name(), dtype.size(), bytes), (*name, size, 3 * size));
    }
}

/// Elements of less than a byte, and what a later release of the format adds: only its UNet's types matter to a
/// checkpoint.
#[test]
fn types_outside_the_unet_do_not_matter() {
    for (name, shape, bytes) in
        [("F4", &[4, 2][..], 4), ("F6_E2M3", &[8], 6), ("F6_E3M2", &[4], 3), ("X99", &[1], 4)]
    {
        let mut specs = unet(4, 768, None);
        let mut odd = spec("first_stage_model.odd", "U8", &[bytes]);
        (odd.dtype, odd.shape) = (name, shape.to_vec());
        specs.push(odd.clone());
        let checkpoint = open(&safetensors(&specs)).unwrap();
        let found = checkpoint.tensors.first().unwrap();
        assert_eq!((found.dtype.name(), &*found.shape, found.bytes), (name, shape, bytes));
        // The same in the UNet is a type that nothing computes with.
        odd.name = format!("{PREFIX}odd");
        specs.pop();
        specs.push(odd);
        refused(&safetensors(&specs), &format!("stored as {name}"));
    }
}

/// Workflows and preview pictures may take megabytes, which are not kept.
#[test]
fn headers_up_to_the_formats_own_limit_are_read() {
    let tensors = safetensors(&sd1());
    let len = u64::from_le_bytes(tensors[..8].try_into().unwrap()) as usize;
    let (header, data) = (std::str::from_utf8(&tensors[9..8 + len]).unwrap(), &tensors[8 + len..]);
    for (picture, is_read) in [(3 << 20, true), (99_000_000, true), (100_000_000, false)] {
        let padding = "x".repeat(picture);
        let header = format!(r#"{{"__metadata__":{{"preview":"{padding}"}},{header}"#);
        let bytes = with_header(&header, data);
        if is_read {
            assert_eq!(
                open(&bytes).unwrap().ids().unwrap(),
                open(&tensors).unwrap().ids().unwrap()
            );
        } else {
            let limit = "more than the 100000000 that safetensors allows";
            assert!(matches!(refused(&bytes, limit), Rejection::HeaderTooLong { .. }));
        }
    }
    // Entries alone are limited too: each takes more memory than it has bytes.
    let entry = r#""":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"#;
    let many = format!("{{{}", entry.repeat(140_000));
    refused(&with_header(&many, b""), "more than 131072 tensors");
    let long = format!(r#"{{"{}":{{"dtype":"U8""#, "n".repeat(5000));
    refused(&with_header(&long, b""), "at most 4096 bytes");
}

#[test]
fn damaged_files_are_refused_by_name() {
    let good = safetensors(&sd1());
    let len = good.len();
    let header = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;

    let cut = refused(&good[..len - 1], "copy or download it again");
    assert!(
        matches!(cut, Rejection::Truncated { expected, actual } if (expected, actual) == (len as u64, len as u64 - 1))
    );
    let long = refused(&[&good[..], b"x"].concat(), "too long");
    assert!(matches!(long, Rejection::TooLong { actual, .. } if actual == len as u64 + 1));
    let cut = refused(&good[..header], "its header alone takes");
    assert!(
        matches!(cut, Rejection::HeaderPastEnd { header: found, .. } if found == header as u64)
    );
    let mut huge = good.clone();
    huge[..8].copy_from_slice(&(u64::MAX - 3).to_le_bytes());
    assert!(matches!(refused(&huge, "more than the"), Rejection::HeaderTooLong { .. }));
    assert!(matches!(refused(b"", "empty"), Rejection::Empty));
    assert!(matches!(refused(&[0; 4096], "neither"), Rejection::NotACheckpoint));
    assert!(matches!(refused(&good[..5], "neither"), Rejection::NotACheckpoint));
    assert!(matches!(refused(&good[..8], "neither"), Rejection::NotACheckpoint));
}

#[test]
fn damaged_headers_are_refused() {
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        format!(
            r#"{{"a":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#
        )
    };
    let max = u64::MAX;
    for (header, words) in [
        (entry("F32", "[1]", "[2,6]"), "invalid offset"),
        (entry("F32", "[1]", "[8,12]"), "invalid offset"),
        (entry("F32", "[2]", "[4,8]"), ""),
        (entry("F32", "[1]", "[8,4]"), ""),
        (entry("F32", &format!("[{max},{max}]"), "[4,8]"), "overflow"),
        (entry("U8", &format!("[{}]", max - 4), &format!("[4,{max}]")), "overflow"),
        (entry("F32", "[1]", &format!("[4,{max}9]")), ""),
        (entry("x99", "[1]", "[4,8]"), "x99"),
        (entry("F4", "[3]", "[4,8]"), "invalid length of tensor t"),
        (entry("F32", &format!("[{}1]", "1,".repeat(64)), "[4,8]"), "at most 64 dimensions"),
        (entry("F32", "[-1]", "[4,8]"), ""),
        ("{".into(), "EOF"),
        ("{\"a\":1}".into(), ""),
        (format!("{{\"a\":{}", "[".repeat(100_000)), ""),
    ] {
        let rejection = refused(&with_header(&header, &[0; 8]), words);
        assert!(matches!(rejection, Rejection::BadHeader { .. }), "{header:.200}: {rejection}");
    }
    let invalid = [&6u64.to_le_bytes()[..], b"{\"\xff\":1"].concat();
    assert!(matches!(refused(&invalid, "damaged"), Rejection::BadHeader { .. }));

    let entry = |offsets| format!(r#""t":{{"dtype":"U8","shape":[4],"data_offsets":{offsets}}}"#);
    let twice = format!("{{{},{}}}", entry("[0,4]"), entry("[4,8]"));
    let twice = refused(&with_header(&twice, &[0; 8]), "two tensors are called t");
    assert!(matches!(twice, Rejection::DuplicateName { name } if name == "t"));
    for empty in ["{}", r#"{"__metadata__":{"format":"pt"}}"#] {
        assert!(matches!(refused(&with_header(empty, b""), "no tensors"), Rejection::NoTensors));
    }
}

#[test]
fn other_files_are_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 42\n";
    assert!(matches!(refused(pointer.as_bytes(), "git lfs pull"), Rejection::GitLfsPointer));
    for page in [
        "<!DOCTYPE html><html>",
        "\n\n<html>",
        "\u{feff}<html lang=en>",
        "{\"error\":\"gated\"}",
        "<?xml version='1.0'?>",
    ] {
        assert!(matches!(refused(page.as_bytes(), "web page"), Rejection::WebPage), "{page}");
    }
    let mut tar = vec![0; 2048];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(matches!(refused(&tar, "tar"), Rejection::LegacyTar));
    let pickle = b"\x80\x02}U\x05stateK\x01s.";
    assert!(matches!(refused(pickle, "torch did not write"), Rejection::OtherPickle));
}

#[test]
fn system_errors_are_reported() {
    let file = scratch(b"");
    let folder = file.path.parent().unwrap();
    assert!(matches!(Checkpoint::open(folder).unwrap_err(), Rejection::NotAFile));
    let missing = Checkpoint::open(&folder.join("missing.ckpt")).unwrap_err();
    assert!(matches!(missing, Rejection::Unreadable { .. }));
    assert!(missing.to_string().contains("could not open it"));
    assert_eq!(Dtype::Bf16.to_string(), "BF16");
}
