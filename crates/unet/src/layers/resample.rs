//! Downsampling and upsampling.

use super::Features;
use crate::builder::Builder;
use crate::error::Error;
use crate::form::Upsample;
use crate::graph::Attribute;

impl Builder<'_> {
    /// Halves height and width, rounding up.
    pub(crate) fn downsample(&mut self, at: &str, x: &Features) -> Result<Features, Error> {
        let at = format!("{at}.op");
        let outputs = self.weights.outputs(&at)?;
        self.conv(&at, x, outputs, 3, 2)
    }

    /// Doubles height and width by repeating pixels, then convolves.
    pub(crate) fn upsample(&mut self, at: &str, x: &Features) -> Result<Features, Error> {
        let conv = format!("{at}.conv");
        let outputs = self.weights.outputs(&conv)?;
        if self.form.upsample == Upsample::Transposed {
            return self.upsample_transposed(&conv, x, outputs);
        }
        let scales = self.singles("resize.scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
        let attributes = [
            ("mode", Attribute::Text("nearest")),
            ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        // The second input, a region of interest, is left out.
        let none = crate::builder::Value::new("");
        let value = self.op(at, "Resize", &[&x.value, &none, &scales], &attributes);
        self.conv(&conv, &Features { value, channels: x.channels }, outputs, 3, 1)
    }

    /// The same as one transposed convolution: weights that a 3×3 kernel applies to copies of the same pixel
    /// are added.
    fn upsample_transposed(
        &mut self,
        at: &str,
        x: &Features,
        outputs: u64,
    ) -> Result<Features, Error> {
        let weight = self.weight(&format!("{at}.weight"), &[outputs, x.channels, 3, 3])?;
        let bias = self.weight(&format!("{at}.bias"), &[outputs])?;
        // For each row of the new kernel, which rows of the old one are added.
        let sums = [[0., 0., 1.], [0., 1., 1.], [1., 1., 0.], [1., 0., 0.]];
        let rows = self.numbers("upsample.rows", &[4, 3], sums.as_flattened());
        let transposed: Vec<f32> = (0..3).flat_map(|column| sums.map(|row| row[column])).collect();
        let columns = self.numbers("upsample.columns", &[3, 4], &transposed);
        let kernel = self.op(at, "MatMul", &[&rows, &weight], &[]);
        let kernel = self.op(at, "MatMul", &[&kernel, &columns], &[]);
        let kernel = self.transpose(at, &kernel, [1, 0, 2, 3]);
        let attributes =
            [("pads", Attribute::Ints(vec![1; 4])), ("strides", Attribute::Ints(vec![2; 2]))];
        let value = self.op(at, "ConvTranspose", &[&x.value, &kernel, &bias], &attributes);
        Ok(Features { value, channels: outputs })
    }

    /// Crops `x` to the height and width of `like`: upsampling what a downsample rounded up gives a
    /// row or column too many.
    pub(crate) fn trim(&mut self, at: &str, x: &Features, like: &Features) -> Features {
        let range = [("start", Attribute::Int(2)), ("end", Attribute::Int(4))];
        let ends = self.op(at, "Shape", &[&like.value], &range);
        let starts = self.ints("slice.starts", &[0, 0]);
        let axes = self.ints("slice.axes", &[2, 3]);
        let value = self.op(at, "Slice", &[&x.value, &starts, &ends, &axes], &[]);
        Features { value, channels: x.channels }
    }
}
