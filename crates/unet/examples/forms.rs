//! Writes a checkpoint's UNet in several forms, in fp16, for the benchmark on a GPU: `forms CHECKPOINT FOLDER
//! [FORM…]`; by default, all forms that are worth measuring.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use checkpoint::Checkpoint;
use unet::{Form, Graph, Precision};

/// Prefix of a form's name: make the weights inputs, and write the binding beside the graph.
const SHARED: &str = "shared:";

/// Measured in addition to the forms that differ from the default in one choice.
const TOGETHER: [&str; 5] = [
    "attention-operator+fused",
    "fused+sums-linear-fp32",
    "fused+sums-linear-fp32+softmax-fp32",
    "fused+sums-fp32+softmax-fp32",
    // As torch.onnx writes it.
    "linear-matmul+norm-instance+gelu-erf+scale-scores",
];

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(path), Some(folder)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: forms CHECKPOINT FOLDER [FORM…]");
    };
    let path = fs::canonicalize(&path).with_context(|| path.display().to_string())?;
    let (folder, mut names) = (PathBuf::from(folder), Vec::new());
    for name in arguments {
        names.push(name.into_string().map_err(|name| anyhow::anyhow!("{name:?} is not a form"))?);
    }
    if names.is_empty() {
        names.push("default".to_owned());
        names.extend(Form::changes().chain(TOGETHER).map(str::to_owned));
    }
    let checkpoint = Checkpoint::open(&path)?;
    let weights = link(&path, &folder)?;
    for name in names {
        let Checkpoint { architecture, tensors, .. } = &checkpoint;
        let graph = match name.strip_prefix(SHARED) {
            Some(form) => {
                Graph::shared_with_form(architecture, tensors, Precision::Fp16, form.parse()?)?
            }
            None => Graph::with_form(architecture, tensors, Precision::Fp16, name.parse()?)?,
        };
        fs::write(folder.join(format!("{name}.onnx")), graph.to_onnx(&weights))?;
        if let Some(binding) = graph.binding() {
            let binding = serde_json::to_vec_pretty(binding)?;
            fs::write(folder.join(format!("{name}.binding.json")), binding)?;
        }
        println!("{name}");
    }
    Ok(())
}

/// Creates a link to the checkpoint beside the graphs, where they look for the weights. Returns its name.
fn link(checkpoint: &Path, folder: &Path) -> Result<String> {
    fs::create_dir_all(folder)?;
    let extension = checkpoint.extension().unwrap_or_default().to_string_lossy();
    let name = format!("weights.{extension}");
    let link = fs::canonicalize(folder)?.join(&name);
    // The checkpoint itself or an earlier link to it may be there already.
    if fs::canonicalize(&link).ok().as_deref() != Some(checkpoint) {
        symlink(checkpoint, &link).with_context(|| link.display().to_string())?;
    }
    Ok(name)
}
