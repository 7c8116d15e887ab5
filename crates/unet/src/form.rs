//! The choices among graphs that compute the same: which is right and fast depends on the engine
//! builder, so it is measured, and [`Form::default`] is what measuring said.

/// How the layers are written as operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Linear layers.
    pub linear: Linear,
    /// Group normalization.
    pub group_norm: GroupNorm,
    /// The type in which norms are computed.
    pub norms: Norms,
    /// Attention from queries, keys and values.
    pub attention: Attention,
    /// Queries, keys and values from the features.
    pub projections: Projections,
    /// The gate's activation.
    pub gelu: Gelu,
    /// The type in which products are summed up.
    pub sums: Sums,
    /// The 1×1 convolutions around SD 1.x's transformers.
    pub pointwise: Pointwise,
    /// Doubling of the resolution.
    pub upsample: Upsample,
}

/// Linear layers, all on features of the shape `[rows, channels]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linear {
    /// One Gemm with the bias inside.
    #[default]
    Gemm,
    /// Transpose of the weight, MatMul, Add.
    MatMul,
    /// Each row as an image of one pixel, and a 1×1 convolution of it.
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

/// The type in which norms are computed. Their sums are in fp32 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norms {
    /// fp32, between casts: beside attention in fp32, TensorRT-RTX takes less time so.
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
        /// In which type the weights are normalized.
        softmax: Softmax,
        /// In which type the values are summed up.
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
    /// On the queries: the scores stay in the range of fp16. TensorRT-RTX's fused kernel needs no help: with
    /// the softmax in fp32 it never has them in fp16.
    #[default]
    Queries,
    /// Half of it on the queries, half on the keys.
    QueriesAndKeys,
    /// On the scores, which may have overflowed by then.
    Scores,
    /// On the scores, once they are cast to fp32: the queries are not rounded once more. TensorRT-RTX's fused
    /// kernel never has the scores in fp16; where the product is rounded first, as the graph says, those that
    /// overflow are lost.
    ScoresFp32,
}

/// The type in which attention's weights are normalized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Softmax {
    /// fp32, cast back after.
    #[default]
    Fp32,
    /// The graph's precision.
    Native,
}

/// The type in which attention sums up values by their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// fp32 in self-attention. In fp16 TensorRT-RTX's fused kernel adds up exp(score) · value before it
    /// divides: with thousands of positions that passes fp16's range, and the picture is black.
    #[default]
    Fp32,
    /// The graph's precision.
    Native,
}

/// Queries, keys and values from the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Projections {
    /// One linear layer each.
    #[default]
    Separate,
    /// One linear layer for all that have the same input, split after; for measuring it with weights in
    /// the graph. Where weights are inputs, they are always joined.
    Fused,
}

/// The exact GELU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gelu {
    /// The operator Gelu (opset 20) in fp32, cast back after: in the graph's precision TensorRT-RTX
    /// 1.6 draws it into the linear layer before it, and loses that layer's bias.
    #[default]
    Fp32,
    /// The operator Gelu in the graph's precision.
    Native,
    /// Written out with Erf in the graph's precision.
    Erf,
}

/// The type in which the products of matrices and convolutions are summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sums {
    /// As the builder likes: TensorRT-RTX sums products of fp16 in fp16, which a GeForce does twice
    /// as fast.
    #[default]
    Native,
    /// fp32 in linear layers and attention. TensorRT-RTX sees from the casts around a product that
    /// it is to be summed in fp32, and multiplies fp16 all the same.
    LinearFp32,
    /// fp32 in convolutions too, which TensorRT-RTX then keeps and multiplies as fp32.
    Fp32,
}

/// The 1×1 convolutions around SD 1.x's transformers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pointwise {
    /// Convolutions, before and after the change of layout.
    #[default]
    Conv,
    /// Linear layers inside the change of layout, as the other kinds have them.
    Linear,
}

/// Doubling of the resolution: each pixel four times, then a 3×3 convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upsample {
    /// Resize, Conv.
    #[default]
    Resize,
    /// One ConvTranspose whose 4×4 kernel is made of sums of the weights: the same with 4/9 of the
    /// multiplications.
    Transposed,
}
