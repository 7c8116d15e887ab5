//! The choices among equivalent graphs. Which is accurate and fast depends on the engine builder, so it was
//! measured: [`Form::default`] is the result.

/// How the layers are written as operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Linear layers.
    pub linear: Linear,
    /// Group normalization.
    pub group_norm: GroupNorm,
    /// The type in which normalizations compute.
    pub norms: Norms,
    /// Attention from queries, keys and values.
    pub attention: Attention,
    /// How queries, keys and values are computed from the features.
    pub projections: Projections,
    /// The activation of the feed-forward gate.
    pub gelu: Gelu,
    /// The type in which matrix products accumulate.
    pub sums: Sums,
    /// The 1×1 convolutions around SD 1.x's transformers.
    pub pointwise: Pointwise,
    /// Upsampling.
    pub upsample: Upsample,
}

/// Linear layers, on features of the shape `[rows, channels]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linear {
    /// One Gemm with the bias.
    #[default]
    Gemm,
    /// Transpose of the weight, MatMul, Add.
    MatMul,
    /// A 1×1 convolution of each row as an image of one pixel.
    Conv,
}

/// Group normalization, 32 groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupNorm {
    /// The operator GroupNormalization (opset 21).
    #[default]
    Group,
    /// InstanceNormalization of the groups, then Mul and Add.
    Instance,
}

/// The type in which normalizations compute. They accumulate in fp32 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norms {
    /// fp32, between casts: TensorRT-RTX is faster with it when attention is in fp32 too.
    #[default]
    Fp32,
    /// The graph's precision.
    Native,
}

/// Attention from queries, keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// MatMul, Softmax, MatMul.
    Plain {
        /// Where the scores are scaled.
        scale: Scale,
        /// The type of the softmax.
        softmax: Softmax,
        /// The type in which the values are accumulated.
        values: Values,
    },
    /// The operator Attention (opset 23).
    Operator,
}

impl Default for Attention {
    fn default() -> Self {
        let (scale, softmax, values) = Default::default();
        Self::Plain { scale, softmax, values }
    }
}

/// Where attention's scores are scaled by width^−½.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// On the queries, which keeps the scores in the range of fp16. TensorRT-RTX's fused kernel does not need
    /// that: with the softmax in fp32, its scores are never in fp16.
    #[default]
    Queries,
    /// Half of it on the queries, half on the keys.
    QueriesAndKeys,
    /// On the scores, which may have overflowed already.
    Scores,
    /// On the scores after a cast to fp32, which saves rounding the queries once more. TensorRT-RTX's fused
    /// kernel never has the scores in fp16; where the product is rounded first, as the graph says,
    /// overflowing scores are lost.
    ScoresFp32,
}

/// The type of attention's softmax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Softmax {
    /// fp32, cast back afterwards.
    #[default]
    Fp32,
    /// The graph's precision.
    Native,
}

/// The type in which attention accumulates its weighted values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// fp32 in self-attention. In fp16, TensorRT-RTX's fused kernel accumulates exp(score) · value before it
    /// divides: with thousands of positions that overflows, and the image is black.
    #[default]
    Fp32,
    /// The graph's precision.
    Native,
}

/// How queries, keys and values are computed from the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Projections {
    /// One linear layer each.
    #[default]
    Separate,
    /// One linear layer for all with the same input, split afterwards; for measuring, with weights in the
    /// graph. Where weights are inputs, they are always joined.
    Fused,
}

/// The exact GELU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gelu {
    /// The operator Gelu (opset 20) in fp32, cast back afterwards: in the graph's precision, TensorRT-RTX 1.6
    /// fuses it with the linear layer before it and drops that layer's bias.
    #[default]
    Fp32,
    /// The operator Gelu in the graph's precision.
    Native,
    /// Written out with Erf in the graph's precision.
    Erf,
}

/// The type in which matrix products and convolutions accumulate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sums {
    /// The builder's choice: TensorRT-RTX accumulates fp16 products in fp16, which a GeForce does twice as
    /// fast.
    #[default]
    Native,
    /// fp32 in linear layers and attention. From the casts around a product TensorRT-RTX sees that it should
    /// accumulate in fp32, and still multiplies in fp16.
    LinearFp32,
    /// fp32 in convolutions too, which TensorRT-RTX then really computes in fp32.
    Fp32,
}

/// The 1×1 convolutions around SD 1.x's transformers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pointwise {
    /// Convolutions, outside the layout change.
    #[default]
    Conv,
    /// Linear layers inside the layout change, as in the other architectures.
    Linear,
}

/// Upsampling: nearest neighbour by two, then a 3×3 convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upsample {
    /// Resize, Conv.
    #[default]
    Resize,
    /// One ConvTranspose whose 4×4 kernel consists of sums of the weights: the same result with 4/9 of the
    /// multiplications.
    Transposed,
}
