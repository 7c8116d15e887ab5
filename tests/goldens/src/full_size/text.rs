//! The text encoders' tensors.

use super::Names;

const VOCABULARY: usize = 49408;
const TOKENS: usize = 77;

/// CLIP ViT-L/14's text model with the transformers library's names: 123,060,480 parameters.
pub(super) fn clip(names: &mut Names, prefix: &str) {
    let (width, layers) = (768, 12);
    let model = format!("{prefix}text_model");
    let embedding = |what| format!("{model}.embeddings.{what}_embedding.weight");
    names.tensor(embedding("token"), &[VOCABULARY, width]);
    names.tensor(embedding("position"), &[TOKENS, width]);
    for layer in 0..layers {
        let at = format!("{model}.encoder.layers.{layer}");
        names.norm(&format!("{at}.layer_norm1"), width);
        names.norm(&format!("{at}.layer_norm2"), width);
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            names.linear(&format!("{at}.self_attn.{projection}"), width, width);
        }
        names.linear(&format!("{at}.mlp.fc1"), width, 4 * width);
        names.linear(&format!("{at}.mlp.fc2"), 4 * width, width);
    }
    names.norm(&format!("{model}.final_layer_norm"), width);
}

/// OpenCLIP ViT-bigG/14's text model with OpenCLIP's names: 694,659,841 parameters.
pub(super) fn open_clip(names: &mut Names, prefix: &str) {
    let (width, layers) = (1280, 32);
    names.tensor(format!("{prefix}token_embedding.weight"), &[VOCABULARY, width]);
    names.tensor(format!("{prefix}positional_embedding"), &[TOKENS, width]);
    for layer in 0..layers {
        let at = format!("{prefix}transformer.resblocks.{layer}");
        names.norm(&format!("{at}.ln_1"), width);
        names.norm(&format!("{at}.ln_2"), width);
        names.tensor(format!("{at}.attn.in_proj_weight"), &[3 * width, width]);
        names.tensor(format!("{at}.attn.in_proj_bias"), &[3 * width]);
        names.linear(&format!("{at}.attn.out_proj"), width, width);
        names.linear(&format!("{at}.mlp.c_fc"), width, 4 * width);
        names.linear(&format!("{at}.mlp.c_proj"), 4 * width, width);
    }
    names.norm(&format!("{prefix}ln_final"), width);
    names.tensor(format!("{prefix}text_projection"), &[width, width]);
    names.tensor(format!("{prefix}logit_scale"), &[]);
}
