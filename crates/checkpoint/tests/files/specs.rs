//! Tensors for test files.

/// A tensor to write.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<u64>,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn size(dtype: &str) -> u64 {
    match dtype {
        "C128" => 16,
        "F64" | "I64" | "C64" => 8,
        "F32" | "I32" => 4,
        "F16" | "BF16" | "I16" => 2,
        _ => 1,
    }
}

/// A tensor whose bytes are derived from its name.
pub(crate) fn spec(name: &str, dtype: &'static str, shape: &[u64]) -> Spec {
    let len = shape.iter().product::<u64>() * size(dtype);
    let mut data = vec![0; len as usize];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut data);
    Spec { name: name.into(), dtype, shape: shape.to_vec(), data }
}

pub(crate) const PREFIX: &str = "model.diffusion_model.";

/// The smallest set of tensors that counts as a UNet.
pub(crate) fn unet(in_channels: u64, context: u64, y: Option<u64>) -> Vec<Spec> {
    let mut shapes = vec![
        ("input_blocks.0.0.weight", vec![8, in_channels, 3, 3]),
        ("input_blocks.0.0.bias", vec![8]),
        ("time_embed.0.weight", vec![32, 8]),
        ("time_embed.2.weight", vec![32, 32]),
        ("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", vec![8, context]),
        ("middle_block.1.transformer_blocks.0.attn2.to_k.weight", vec![8, context]),
        ("out.0.weight", vec![8]),
        ("out.2.weight", vec![4, 8, 3, 3]),
    ];
    if let Some(width) = y {
        shapes.push(("label_emb.0.0.weight", vec![32, width]));
    }
    shapes.iter().map(|(name, shape)| spec(&format!("{PREFIX}{name}"), "F16", shape)).collect()
}

/// A small SD 1.x checkpoint with a bit of everything.
pub(crate) fn sd1() -> Vec<Spec> {
    let mut specs = unet(4, 768, None);
    specs.push(spec("betas", "F64", &[10]));
    specs.push(spec("first_stage_model.decoder.conv_in.weight", "F32", &[4, 4, 3, 3]));
    specs.push(spec(
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
        "I64",
        &[1, 77],
    ));
    specs.push(spec("model_ema.decay", "F32", &[]));
    specs.push(spec("empty", "BF16", &[0, 3]));
    specs
}

/// A safetensors file.
pub(crate) fn safetensors(specs: &[Spec]) -> Vec<u8> {
    let mut data = Vec::new();
    let entries = specs.iter().map(|spec| {
        let start = data.len();
        data.extend_from_slice(&spec.data);
        let offsets = [start, data.len()];
        (
            spec.name.clone(),
            serde_json::json!({"dtype": spec.dtype, "shape": spec.shape, "data_offsets": offsets}),
        )
    });
    let header = serde_json::Value::Object(entries.collect()).to_string();
    with_header(&header, &data)
}

/// A file with this header, valid or not.
pub(crate) fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// The same tensors under other names.
pub(crate) fn renamed(specs: &[Spec], rename: impl Fn(&str) -> String) -> Vec<Spec> {
    specs.iter().map(|spec| Spec { name: rename(&spec.name), ..spec.clone() }).collect()
}
