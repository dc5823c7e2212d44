//! What QEMU says of the images on the target.

use std::path::Path;
use std::process::Command;

fn qemu_img(arguments: &[&str]) {
    let output = Command::new("qemu-img").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// The image is whole, and holds exactly what the disk holds.
pub(crate) fn assert_same(image: &Path, disk: &Path) {
    let (image, disk) = (image.to_str().unwrap(), disk.to_str().unwrap());
    qemu_img(&["check", "-q", image]);
    qemu_img(&["compare", "-q", "-f", "qcow2", "-F", "raw", image, disk]);
}
