//! The generator agrees with the one that made the fixtures, and full-size checkpoints with real models.

use anyhow::Result;
use goldens::{Dtype, Manifest, full_size_sd15, full_size_sdxl, names};
use safetensors::SafeTensors;

const UNET: &str = "model.diffusion_model.";

#[test]
fn every_manifest_hashes_as_it_says() -> Result<()> {
    for name in names()? {
        let manifest = Manifest::load(&name)?;
        assert_eq!(Some(manifest.digest()), manifest.sha256, "{name}");
    }
    Ok(())
}

#[test]
fn the_file_holds_the_tensors_and_the_format() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("sd1.safetensors");
    let manifest = Manifest::load("sd1")?;
    manifest.write_checkpoint(&path)?;
    let bytes = std::fs::read(&path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    assert_eq!(file.len(), manifest.tensors.len());
    let (_, header) = SafeTensors::read_metadata(&bytes)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    assert_eq!(metadata["format"], "pt");
    Ok(())
}

#[test]
fn a_wrong_hash_is_an_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut manifest = Manifest::load("sd1")?;
    manifest.seed += 1;
    let path = folder.path().join("sd1.safetensors");
    assert!(manifest.write_checkpoint(&path).is_err());
    assert!(!path.exists());
    Ok(())
}

#[test]
fn seeds_differ_and_types_only_round() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let read = |manifest: Manifest| -> Result<Vec<u8>> {
        let path = folder.path().join("checkpoint.safetensors");
        manifest.write_checkpoint(&path)?;
        let bytes = std::fs::read(&path)?;
        let name = format!("{UNET}input_blocks.0.0.weight");
        Ok(SafeTensors::deserialize(&bytes)?.tensor(&name)?.data().to_vec())
    };
    let sd1 = Manifest::load("sd1")?;
    let halves = read(sd1.clone())?;
    assert_ne!(halves, read(sd1.clone().reseed(99))?);
    let stored_as = |dtype| {
        let mut manifest = sd1.clone();
        (manifest.dtype, manifest.sha256) = (dtype, None);
        read(manifest)
    };
    let (singles, brains) = (stored_as(Dtype::F32)?, stored_as(Dtype::Bf16)?);
    for ((half, brain), single) in halves.chunks(2).zip(brains.chunks(2)).zip(singles.chunks(4)) {
        let single = f32::from_le_bytes([single[0], single[1], single[2], single[3]]);
        assert_eq!(half, half::f16::from_f32(single).to_le_bytes());
        assert_eq!(brain, half::bf16::from_f32(single).to_le_bytes());
    }
    Ok(())
}

#[test]
fn cases_have_inputs_and_outputs() -> Result<()> {
    for name in names()? {
        let manifest = Manifest::load(&name)?;
        let (inputs, expected) = (manifest.inputs(), manifest.expected()?);
        assert_eq!(inputs.len(), expected.len());
        for (index, (case, latent)) in inputs.iter().zip(expected).enumerate() {
            let sample = manifest.kept(index, case["sample"].clone());
            assert_eq!(case["timesteps"].shape, [latent.shape[0]], "{name}");
            assert_eq!(sample.shape[2..], latent.shape[2..], "{name}");
            assert!(case["timesteps"].values[0] >= 1.0, "{name}");
        }
    }
    Ok(())
}

#[test]
fn full_size_checkpoints_have_the_real_counts() {
    let count = |manifest: &Manifest, prefix: &str| {
        let ours = manifest.tensors.iter().filter(|t| t.0.starts_with(prefix));
        (ours.count(), manifest.parameters(prefix))
    };
    let sd15 = full_size_sd15(0);
    assert_eq!(count(&sd15, UNET), (686, 859_520_964));
    assert_eq!(count(&sd15, "cond_stage_model."), (196, 123_060_480));
    assert_eq!(count(&sd15, "first_stage_model."), (248, 83_653_863));
    let sdxl = full_size_sdxl(0);
    assert_eq!(count(&sdxl, UNET), (1680, 2_567_463_684));
    assert_eq!(count(&sdxl, "conditioner.embedders.1."), (390, 694_659_841));
}
