//! The UNet's tensors, derived from its hyper-parameters.

use super::Names;

/// Residual blocks of each level on the way down; one more on the way up.
const BLOCKS: usize = 2;

/// The hyper-parameters in which UNets differ, named as in the original configurations.
pub(super) struct Unet {
    model_channels: usize,
    channel_mult: &'static [usize],
    /// Transformer blocks of each level's transformers; 0 for none.
    depth: &'static [usize],
    middle_depth: usize,
    context_dim: usize,
    adm_in_channels: Option<usize>,
    linear_projection: bool,
}

/// SD 1.5: 686 tensors, 859,520,964 parameters.
pub(super) fn sd15() -> Unet {
    Unet {
        model_channels: 320,
        channel_mult: &[1, 2, 4, 4],
        depth: &[1, 1, 1, 0],
        middle_depth: 1,
        context_dim: 768,
        adm_in_channels: None,
        linear_projection: false,
    }
}

/// SDXL base: 1680 tensors, 2,567,463,684 parameters.
pub(super) fn sdxl() -> Unet {
    Unet {
        model_channels: 320,
        channel_mult: &[1, 2, 4],
        depth: &[0, 2, 10],
        middle_depth: 10,
        context_dim: 2048,
        adm_in_channels: Some(2816),
        linear_projection: true,
    }
}

impl Unet {
    pub(super) fn tensors(&self, names: &mut Names) {
        let prefix = "model.diffusion_model.";
        let channels = self.model_channels;
        self.embedding(names, &format!("{prefix}time_embed"), channels);
        if let Some(width) = self.adm_in_channels {
            self.embedding(names, &format!("{prefix}label_emb.0"), width);
        }
        let skips = self.input_blocks(names, &format!("{prefix}input_blocks"));
        self.middle_block(names, &format!("{prefix}middle_block"));
        self.output_blocks(names, &format!("{prefix}output_blocks"), skips);
        names.norm(&format!("{prefix}out.0"), channels);
        names.conv(&format!("{prefix}out.2"), channels, 4, 3);
    }

    fn width(&self, level: usize) -> usize {
        self.model_channels * self.channel_mult[level]
    }

    fn embedding_width(&self) -> usize {
        4 * self.model_channels
    }

    fn embedding(&self, names: &mut Names, at: &str, inputs: usize) {
        names.linear(&format!("{at}.0"), inputs, self.embedding_width());
        let width = self.embedding_width();
        names.linear(&format!("{at}.2"), width, width);
    }

    /// Returns the channels of every block's output.
    fn input_blocks(&self, names: &mut Names, at: &str) -> Vec<usize> {
        names.conv(&format!("{at}.0.0"), 4, self.model_channels, 3);
        let mut skips = vec![self.model_channels];
        let mut channels = self.model_channels;
        for level in 0..self.channel_mult.len() {
            let width = self.width(level);
            for _ in 0..BLOCKS {
                let block = format!("{at}.{}", skips.len());
                self.resblock(names, &format!("{block}.0"), channels, width);
                self.transformer(names, &format!("{block}.1"), width, self.depth[level]);
                channels = width;
                skips.push(channels);
            }
            if level + 1 < self.channel_mult.len() {
                let down = format!("{at}.{}.0.op", skips.len());
                names.conv(&down, channels, channels, 3);
                skips.push(channels);
            }
        }
        skips
    }

    fn middle_block(&self, names: &mut Names, at: &str) {
        let width = self.width(self.channel_mult.len() - 1);
        self.resblock(names, &format!("{at}.0"), width, width);
        self.transformer(names, &format!("{at}.1"), width, self.middle_depth);
        self.resblock(names, &format!("{at}.2"), width, width);
    }

    fn output_blocks(&self, names: &mut Names, at: &str, mut skips: Vec<usize>) {
        let mut channels = self.width(self.channel_mult.len() - 1);
        let mut index = 0;
        for level in (0..self.channel_mult.len()).rev() {
            let width = self.width(level);
            for block in 0..=BLOCKS {
                let inputs = channels + skips.pop().unwrap_or_default();
                self.resblock(names, &format!("{at}.{index}.0"), inputs, width);
                let depth = self.depth[level];
                self.transformer(names, &format!("{at}.{index}.1"), width, depth);
                if block == BLOCKS && level > 0 {
                    let after = if depth > 0 { 2 } else { 1 };
                    names.conv(&format!("{at}.{index}.{after}.conv"), width, width, 3);
                }
                channels = width;
                index += 1;
            }
        }
    }

    fn resblock(&self, names: &mut Names, at: &str, inputs: usize, outputs: usize) {
        names.norm(&format!("{at}.in_layers.0"), inputs);
        names.conv(&format!("{at}.in_layers.2"), inputs, outputs, 3);
        let embedding = self.embedding_width();
        names.linear(&format!("{at}.emb_layers.1"), embedding, outputs);
        names.norm(&format!("{at}.out_layers.0"), outputs);
        names.conv(&format!("{at}.out_layers.3"), outputs, outputs, 3);
        if inputs != outputs {
            names.conv(&format!("{at}.skip_connection"), inputs, outputs, 1);
        }
    }

    fn transformer(&self, names: &mut Names, at: &str, channels: usize, depth: usize) {
        if depth == 0 {
            return;
        }
        names.norm(&format!("{at}.norm"), channels);
        for projection in ["proj_in", "proj_out"] {
            let name = format!("{at}.{projection}");
            if self.linear_projection {
                names.linear(&name, channels, channels);
            } else {
                names.conv(&name, channels, channels, 1);
            }
        }
        for block in 0..depth {
            let at = format!("{at}.transformer_blocks.{block}");
            for norm in 1..=3 {
                names.norm(&format!("{at}.norm{norm}"), channels);
            }
            attention(names, &format!("{at}.attn1"), channels, channels);
            attention(names, &format!("{at}.attn2"), channels, self.context_dim);
            names.linear(&format!("{at}.ff.net.0.proj"), channels, 8 * channels);
            names.linear(&format!("{at}.ff.net.2"), 4 * channels, channels);
        }
    }
}

fn attention(names: &mut Names, at: &str, channels: usize, context: usize) {
    names.tensor(format!("{at}.to_q.weight"), &[channels, channels]);
    names.tensor(format!("{at}.to_k.weight"), &[channels, context]);
    names.tensor(format!("{at}.to_v.weight"), &[channels, context]);
    names.linear(&format!("{at}.to_out.0"), channels, channels);
}
