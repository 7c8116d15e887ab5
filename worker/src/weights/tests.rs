use super::*;

#[test]
fn no_value_becomes_infinite() {
    let tensor = Tensor {
        name: "out.2.weight".into(),
        dtype: Dtype::F32,
        shape: vec![1],
        offset: 0,
        bytes: 0,
    };
    for (value, expected) in [
        (1.5, Ok([0x00, 0x3e])),
        // An infinity in the checkpoint stays one: it is no overflow.
        (f32::INFINITY, Ok([0x00, 0x7c])),
        (65_504.0, Ok([0xff, 0x7b])),
        (7e4, Err("out.2.weight holds 7e4, which is outside the range of fp16")),
        (-1e6, Err("out.2.weight holds -1e6, which is outside the range of fp16")),
    ] {
        match (rounded(&[value], &tensor).map_err(|error| error.to_string()), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{value}"),
            (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
            (found, expected) => panic!("{value}: {found:?}, not {expected:?}"),
        }
    }
}

/// In half precision as in double the numbers that are written are those that were hashed.
#[test]
fn what_is_written_is_what_was_hashed() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["sd1", "sd2-unclip-h"] {
        let path = dir.path().join("a.safetensors");
        let mut golden = goldens::Manifest::load(name).unwrap();
        // LCM's, which front ends drop: the file's UNet id is over it, but it is in no engine and no sample.
        let dropped = format!("{UNET_PREFIX}time_embed.cond_proj.weight");
        golden.tensors.push(goldens::TensorSpec(dropped, vec![32, 256]));
        golden.sha256 = None;
        golden.write_checkpoint(&path).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let weights = Weights::new(&checkpoint).unwrap();
        let (moved, inside) = weights.write_halves(&dir.path().join("weights")).unwrap();
        assert_eq!(inside.unet, checkpoint.ids().unwrap().unet, "{name}");
        let written = fs::read(dir.path().join("weights")).unwrap();
        let mut sample = Sample::default();
        assert_eq!(moved.len() + 1, checkpoint.unet().count(), "{name}");
        for tensor in checkpoint.parameters() {
            let expected = weights.halves(tensor).unwrap();
            let now = moved.iter().find(|moved| moved.name == tensor.name).unwrap();
            let found = &written[now.offset as usize..][..now.bytes as usize];
            assert!(found == expected, "{name} {}", tensor.name);
            sample.add(&tensor.name[UNET_PREFIX.len()..], &expected);
        }
        assert_eq!(inside.sample, sample.id(), "{name}");
    }
}

/// A file with the least that counts as a UNet, whose layer is stored as `dtype` with `beside` it.
fn quantised(dtype: &str, stored: &[u8], beside: &[(&str, &str, &[u64], Vec<u8>)]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    let mut add = |name: &str, dtype: &str, shape: &[u64], bytes: &[u8]| {
        let offsets = [data.len(), data.len() + bytes.len()];
        data.extend_from_slice(bytes);
        entries.push(format!(
            r#""{UNET_PREFIX}{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":{offsets:?}}}"#
        ));
    };
    for (name, shape) in [
        ("input_blocks.0.0.weight", &[1, 4, 1, 1][..]),
        ("time_embed.0.weight", &[1, 1]),
        ("time_embed.2.weight", &[1, 1]),
        ("x.attn2.to_k.weight", &[1, 768]),
        ("out.0.weight", &[1]),
        ("out.2.weight", &[4, 1, 1, 1]),
    ] {
        add(name, "F16", shape, &vec![0; 2 * shape.iter().product::<u64>() as usize]);
    }
    add("layer.weight", dtype, &[2, 2], stored);
    beside.iter().for_each(|(name, dtype, shape, bytes)| add(name, dtype, shape, bytes));
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

/// Casting what is stored without its scale makes another model.
#[test]
fn no_weight_is_read_without_its_scale() {
    let single = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let half = |values: &[f32]| -> Vec<u8> {
        values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
    };
    let rotated = br#"{"format":"int8_tensorwise","convrot":true}"#.to_vec();
    let length = [rotated.len() as u64];
    let ones = [0x38; 4];
    let scale = |name, shape: &'static [u64], values: &[f32]| (name, "F32", shape, single(values));
    let folder = tempfile::tempdir().unwrap();
    for (what, file, expected) in [
        ("plain", quantised("F8_E4M3", &ones, &[]), Some([1.0; 4])),
        (
            "one scale",
            quantised("F8_E4M3", &ones, &[scale("layer.scale_weight", &[], &[0.25])]),
            Some([0.25; 4]),
        ),
        (
            "one for each row",
            quantised("I8", &[1, 2, 3, 4], &[scale("layer.weight_scale", &[2, 1], &[2.0, 0.5])]),
            Some([2.0, 4.0, 1.5, 2.0]),
        ),
        (
            "fp16 with one",
            quantised("F16", &half(&[3.0; 4]), &[scale("layer.weight_scale", &[1], &[2.0])]),
            Some([6.0; 4]),
        ),
        (
            "one for each column",
            quantised("F8_E4M3", &ones, &[scale("layer.weight_scale", &[4], &[1.0; 4])]),
            None,
        ),
        (
            "rotated",
            quantised(
                "I8",
                &[1; 4],
                &[
                    scale("layer.weight_scale", &[], &[1.0]),
                    ("layer.comfy_quant", "U8", &length, rotated),
                ],
            ),
            None,
        ),
    ] {
        let path = folder.path().join("a.safetensors");
        fs::write(&path, file).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let weights = Weights::new(&checkpoint).unwrap();
        let written = weights.write_halves(&folder.path().join("weights"));
        match (written, expected) {
            (Ok((moved, inside)), Some(expected)) => {
                let layer = moved.iter().find(|tensor| tensor.name.ends_with(".layer.weight"));
                let all = fs::read(folder.path().join("weights")).unwrap();
                let offset = layer.unwrap().offset as usize;
                assert_eq!(all[offset..][..8], half(&expected), "{what}");
                assert_eq!(inside.unet, checkpoint.ids().unwrap().unet, "{what}");
            }
            (Err(error), None) => {
                assert!(
                    matches!(error.downcast_ref(), Some(Unfit::Scaled { .. })),
                    "{what}: {error}"
                );
            }
            (found, _) => panic!("{what}: {:?}", found.map(|(moved, _)| moved)),
        }
    }
}

/// A torch file's may be strided or negated: they are written as what they stand for.
#[test]
fn weights_that_do_not_lie_in_the_file_as_they_are_are_gathered() {
    let dir = tempfile::tempdir().unwrap();
    let golden = goldens::Manifest::load("sd1").unwrap();
    let (plain, path) = (dir.path().join("a.safetensors"), dir.path().join("a.ckpt"));
    golden.write_checkpoint(&plain).unwrap();
    golden.write_lazy(&path).unwrap();
    let plain = Checkpoint::open(&plain).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert!(checkpoint.unet().all(|tensor| !checkpoint.is_in_place(tensor)));
    let written = |checkpoint: &Checkpoint| {
        let weights = Weights::new(checkpoint).unwrap();
        let (_, inside) = weights.write_halves(&dir.path().join("weights")).unwrap();
        (inside.unet, inside.sample)
    };
    assert_eq!(written(&checkpoint), written(&plain));
    assert_eq!(checkpoint.ids().unwrap().unet, plain.ids().unwrap().unet);
}

#[test]
fn convolution_weights_are_reordered_to_channels_last() {
    // Two outputs of two inputs, 1×3.
    let values: Vec<u8> = (0..12u16).flat_map(u16::to_le_bytes).collect();
    let moved = channels_last(&values, &[2, 2, 1, 3]);
    let moved: Vec<u16> = moved.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
    assert_eq!(moved, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
}
