//! The VAE's tensors: the same autoencoder in every Stable Diffusion, 83,653,863 parameters.

use super::Names;

/// Channels of each level, outermost first.
const WIDTHS: [usize; 4] = [128, 256, 512, 512];
const LATENT: usize = 4;

pub(super) fn tensors(names: &mut Names) {
    let prefix = "first_stage_model";
    encoder(names, &format!("{prefix}.encoder"));
    decoder(names, &format!("{prefix}.decoder"));
    names.conv(&format!("{prefix}.quant_conv"), 2 * LATENT, 2 * LATENT, 1);
    names.conv(&format!("{prefix}.post_quant_conv"), LATENT, LATENT, 1);
}

fn encoder(names: &mut Names, at: &str) {
    names.conv(&format!("{at}.conv_in"), 3, WIDTHS[0], 3);
    let mut channels = WIDTHS[0];
    for (level, width) in WIDTHS.into_iter().enumerate() {
        for block in 0..2 {
            resblock(names, &format!("{at}.down.{level}.block.{block}"), channels, width);
            channels = width;
        }
        if level + 1 < WIDTHS.len() {
            names.conv(&format!("{at}.down.{level}.downsample.conv"), width, width, 3);
        }
    }
    middle(names, at, channels);
    names.norm(&format!("{at}.norm_out"), channels);
    names.conv(&format!("{at}.conv_out"), channels, 2 * LATENT, 3);
}

fn decoder(names: &mut Names, at: &str) {
    let mut channels = WIDTHS[WIDTHS.len() - 1];
    names.conv(&format!("{at}.conv_in"), LATENT, channels, 3);
    middle(names, at, channels);
    for (level, width) in WIDTHS.into_iter().enumerate().rev() {
        for block in 0..3 {
            resblock(names, &format!("{at}.up.{level}.block.{block}"), channels, width);
            channels = width;
        }
        if level > 0 {
            names.conv(&format!("{at}.up.{level}.upsample.conv"), width, width, 3);
        }
    }
    names.norm(&format!("{at}.norm_out"), channels);
    names.conv(&format!("{at}.conv_out"), channels, 3, 3);
}

fn middle(names: &mut Names, at: &str, channels: usize) {
    resblock(names, &format!("{at}.mid.block_1"), channels, channels);
    names.norm(&format!("{at}.mid.attn_1.norm"), channels);
    for projection in ["q", "k", "v", "proj_out"] {
        names.conv(&format!("{at}.mid.attn_1.{projection}"), channels, channels, 1);
    }
    resblock(names, &format!("{at}.mid.block_2"), channels, channels);
}

fn resblock(names: &mut Names, at: &str, inputs: usize, outputs: usize) {
    names.norm(&format!("{at}.norm1"), inputs);
    names.conv(&format!("{at}.conv1"), inputs, outputs, 3);
    names.norm(&format!("{at}.norm2"), outputs);
    names.conv(&format!("{at}.conv2"), outputs, outputs, 3);
    if inputs != outputs {
        names.conv(&format!("{at}.nin_shortcut"), inputs, outputs, 1);
    }
}
