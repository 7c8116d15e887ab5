//! Changes of resolution.

use super::Features;
use crate::builder::Builder;
use crate::error::Error;
use crate::graph::Attribute;

impl Builder<'_> {
    /// Halves height and width, rounding up.
    pub(crate) fn downsample(&mut self, at: &str, x: &Features) -> Result<Features, Error> {
        let at = format!("{at}.op");
        let outputs = self.weights.outputs(&at)?;
        self.conv(&at, x, outputs, 3, 2)
    }

    /// Doubles height and width by repetition, then convolves.
    pub(crate) fn upsample(&mut self, at: &str, x: &Features) -> Result<Features, Error> {
        let scales = self.singles("resize.scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
        let attributes = [
            ("mode", Attribute::Text("nearest")),
            ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        // The second input, a region of interest, is left out.
        let none = crate::builder::Value::new("");
        let value = self.op(at, "Resize", &[&x.value, &none, &scales], &attributes);
        let at = format!("{at}.conv");
        let outputs = self.weights.outputs(&at)?;
        self.conv(&at, &Features { value, channels: x.channels }, outputs, 3, 1)
    }

    /// Drops what `x` has more in height and width than `like`: doubling what a downsample
    /// rounded up gives a row or column too many.
    pub(crate) fn trim(&mut self, at: &str, x: &Features, like: &Features) -> Features {
        let range = [("start", Attribute::Int(2)), ("end", Attribute::Int(4))];
        let ends = self.op(at, "Shape", &[&like.value], &range);
        let starts = self.ints("slice.starts", &[0, 0]);
        let axes = self.ints("slice.axes", &[2, 3]);
        let value = self.op(at, "Slice", &[&x.value, &starts, &ends, &axes], &[]);
        Features { value, channels: x.channels }
    }
}
