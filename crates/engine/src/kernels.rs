/// The folder, within that for kernels, of those that were compiled for GPUs of one model by one driver and
/// one TensorRT, which no other takes. The web UI's extension has the same.
pub fn kernels_folder(gpu: &str, driver: &str, tensorrt: &str) -> String {
    let plain = |part: &str| {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._".contains(c) { c } else { '_' };
        part.chars().map(plain).collect::<String>()
    };
    [gpu, driver, tensorrt].map(plain).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_one_that_the_web_ui_looks_in() {
        for ((gpu, driver, tensorrt), expected) in [
            (("NVIDIA H200", "580.159.04", "1.6.1.120"), "NVIDIA_H200-580.159.04-1.6.1.120"),
            (("GeForce RTX 4090 (24-GB)/é", "1", "2"), "GeForce_RTX_4090__24_GB___-1-2"),
            (("../x", "", "1"), ".._x--1"),
        ] {
            assert_eq!(kernels_folder(gpu, driver, tensorrt), expected);
        }
    }
}
