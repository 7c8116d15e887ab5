//! What people and other programs know files by.

use protocol::FileNames;

use crate::render::{table::Fields, text};

/// A paragraph for each file.
pub(crate) fn render(files: &[FileNames]) -> String {
    if files.is_empty() {
        return "no checkpoints; `sdtrtctl status` shows the watched folders\n".to_owned();
    }
    let paragraphs = files.iter().map(|file| {
        let mut fields = Fields::indented("  ");
        add(&mut fields, file);
        format!("{}\n{}", text::clean(&file.location), fields.render())
    });
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// Adds a file's names to what is known of it.
pub(crate) fn add(fields: &mut Fields, file: &FileNames) {
    let FileNames { title, picture, sha256, autov1, autov2, autov3, .. } = file;
    let FileNames { crc32, blake3, stated_sha256, .. } = file;
    let comfyui = blake3.as_ref().map(|hash| format!("blake3:{hash}"));
    for (name, value) in [
        ("title", title),
        ("picture", picture),
        ("SHA256", sha256),
        ("AutoV1", autov1),
        ("AutoV2", autov2),
        ("AutoV3", autov3),
        ("CRC32", crc32),
        ("BLAKE3", blake3),
        ("in ComfyUI", &comfyui),
        ("stated hash", stated_sha256),
    ] {
        if let Some(value) = value {
            fields.add(name, value);
        }
    }
    if crc32.is_none() {
        fields.add("other hashes", "not yet: the file is read for them once the machine has time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_for_each_file_and_a_word_on_what_is_still_to_come() {
        let known = FileNames {
            location: "/m/photo.safetensors".to_owned(),
            title: Some("Photo, v6".to_owned()),
            picture: Some("/m/photo.preview.png".to_owned()),
            sha256: Some("6".repeat(64)),
            autov1: Some("c6bbc15e".to_owned()),
            autov2: Some("6666666666".to_owned()),
            autov3: Some("3eaf2c2d5a1b".to_owned()),
            crc32: Some("0f0c14a3".to_owned()),
            blake3: Some("b".repeat(64)),
            ..FileNames::default()
        };
        let unread = FileNames {
            location: "/m/new.ckpt".to_owned(),
            sha256: Some("7".repeat(64)),
            autov2: Some("7777777777".to_owned()),
            ..FileNames::default()
        };
        insta::assert_snapshot!(render(&[known, unread]), @"
        /m/photo.safetensors
          title        Photo, v6
          picture      /m/photo.preview.png
          SHA256       6666666666666666666666666666666666666666666666666666666666666666
          AutoV1       c6bbc15e
          AutoV2       6666666666
          AutoV3       3eaf2c2d5a1b
          CRC32        0f0c14a3
          BLAKE3       bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
          in ComfyUI   blake3:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

        /m/new.ckpt
          SHA256         7777777777777777777777777777777777777777777777777777777777777777
          AutoV2         7777777777
          other hashes   not yet: the file is read for them once the machine has time
        ");
    }
}
