//! Damaged images: an error that names the image, never a panic, never an endless read.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::OnceLock;

use agent_qcow2::{CLUSTER_BYTES, Chain, ChainImage, ImageWriter, ReadError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use support::{CLUSTER, VecSink, options, pattern, qemu_img};

const SIZE: u64 = 9000 * CLUSTER_BYTES;
/// Where the second L2 table of the sample lies, and its first data cluster.
const L2: usize = 5 * CLUSTER;
const DATA: usize = 2 * CLUSTER;

fn written(backing: Option<&str>) -> Vec<u8> {
    let sink = VecSink::default();
    let mut writer = ImageWriter::create(sink.clone(), options(SIZE, backing)).unwrap();
    writer
        .write_data(0, &[pattern(0, 1), pattern(1, 1)].concat())
        .unwrap();
    writer.write_data(3, &pattern(3, 1)).unwrap();
    writer.write_zero(5..7).unwrap();
    writer.finish().unwrap();
    sink.take()
}

fn parent() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| written(None))
}

fn child() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| written(Some("parent")))
}

fn packed() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let [plain, packed] = ["plain", "packed"].map(|name| folder.path().join(name));
        std::fs::write(&plain, parent()).unwrap();
        let options = "compression_type=zstd";
        let (from, to) = (plain.to_str().unwrap(), packed.to_str().unwrap());
        qemu_img(&["convert", "-c", "-O", "qcow2", "-o", options, from, to]).unwrap();
        std::fs::read(&packed).unwrap()
    })
}

fn open(images: Vec<Vec<u8>>) -> Result<Chain, ReadError> {
    let names = ["newest", "older"];
    let named = images.into_iter().zip(names);
    Chain::open(
        named
            .map(|(data, name)| ChainImage {
                name: name.to_owned(),
                data: Box::new(data),
            })
            .collect(),
    )
}

/// Uses all that a chain can do, as far as a damaged one may make that long.
fn exercise(images: Vec<Vec<u8>>) -> Result<(), ReadError> {
    let chain = open(images)?;
    for extent in chain.extents(0..SIZE).take(20_000) {
        let extent = extent?;
        let mut bytes = vec![0; extent.length.min(CLUSTER_BYTES) as usize];
        chain.read_extent(&extent, extent.length - bytes.len() as u64, &mut bytes)?;
    }
    let mut bytes = vec![0; 10 * CLUSTER];
    chain.read_at(&mut bytes, 1000)?;
    let end = chain.virtual_size();
    chain.read_at(&mut bytes[..1], end.saturating_sub(1))?;
    chain
        .images()
        .iter()
        .try_for_each(|image| image.head_blake3().map(drop))
}

#[test]
fn the_samples_are_sound() {
    exercise(vec![parent().to_vec()]).unwrap();
    exercise(vec![child().to_vec(), parent().to_vec()]).unwrap();
    exercise(vec![packed().to_vec()]).unwrap();
    assert_eq!(&parent()[DATA..DATA + CLUSTER], pattern(0, 1));
}

fn message(image: &[u8], at: usize, value: &[u8]) -> String {
    let mut image = image.to_vec();
    image[at..at + value.len()].copy_from_slice(value);
    let error = exercise(vec![image]).unwrap_err();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn damage_is_named_with_the_image_and_the_place() {
    let far = (1u64 << 40).to_be_bytes();
    let cases: [(usize, &[u8], &str); 17] = [
        (0, b"RAW", "not a QCOW2 image"),
        (4, &[0, 0, 0, 4], "a version other than 2 or 3"),
        (
            20,
            &[0, 0, 0, 30],
            "impossible cluster size (field at offset 20)",
        ),
        (20, &[0, 0, 0, 9], "L1 table is too small"),
        (24, &far, "L1 table is too small"),
        (32, &[0, 0, 0, 1], "encryption"),
        (36, &[255; 4], "L1 table is too large"),
        (40, &far, "L1 table lies beyond the end of the file"),
        (40, &[255; 8], "L1 table is not aligned"),
        (72, &[0, 0, 0, 0, 0, 0, 0, 2], "marked as corrupt"),
        (72, &[1], "newer features"),
        (100, &[0, 0, 0, 1], "impossible header length"),
        (
            CLUSTER,
            &far,
            "damaged at offset 65536: an L2 table lies past the end of the file",
        ),
        (CLUSTER, &[0xFF], "reserved bits of an L1 entry"),
        (CLUSTER + 6, &[2], "an L1 entry is not aligned"),
        (L2, &far, "an L2 entry points past the end of the file"),
        (L2 + 6, &[2], "an L2 entry is not aligned"),
    ];
    for (at, value, expected) in cases {
        let message = message(parent(), at, value);
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("newest"), "{message}");
    }
    let message = message(child(), 8, &far);
    assert!(
        message.contains("backing file name lies outside"),
        "{message}"
    );
}

#[test]
fn an_image_cut_anywhere_is_noticed() {
    // Behind the data only the refcounts lie, which a reader does not need.
    for length in [
        0,
        3,
        71,
        72,
        103,
        104,
        CLUSTER,
        CLUSTER + 8,
        DATA,
        DATA + CLUSTER,
        L2,
        L2 + 1,
    ] {
        let cut = parent()[..length].to_vec();
        assert!(exercise(vec![cut]).is_err(), "{length}");
    }
}

#[test]
fn a_read_that_fails_names_image_and_offset() {
    struct Broken(Vec<u8>);
    impl agent_qcow2::ReadAt for Broken {
        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
            if offset >= DATA as u64 && offset < L2 as u64 {
                return Err(std::io::Error::from_raw_os_error(5));
            }
            self.0.read_exact_at(buffer, offset)
        }
        fn size_bytes(&self) -> u64 {
            self.0.size_bytes()
        }
    }
    let data = Box::new(Broken(parent().to_vec()));
    let chain = Chain::open(vec![ChainImage {
        name: "image".to_owned(),
        data,
    }])
    .unwrap();
    let error = chain.read_at(&mut [0; 10], 20).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot read 10 bytes of image image at offset {}",
            DATA + 20
        )
    );
}

/// Places whose damage is more interesting than that of data.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![
        0usize..120,
        CLUSTER..CLUSTER + 24,
        L2..L2 + 64,
        0usize..8 * CLUSTER
    ]
}

fn damaged(image: &[u8], damages: &[(usize, u8)], length: Option<usize>) -> Vec<u8> {
    let mut image = image.to_vec();
    for (at, value) in damages {
        let at = at % image.len();
        image[at] = *value;
    }
    image.truncate(length.unwrap_or(usize::MAX));
    image
}

fn value() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), select(&[0u8, 1, 0x7F, 0x80, 0xFF][..])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_damage_makes_a_reader_panic(
        damages in vec((place(), value()), 1..5),
        length in proptest::option::of(0usize..9 * CLUSTER),
        which in 0..3,
    ) {
        let images = match which {
            0 => vec![damaged(parent(), &damages, length)],
            1 => vec![damaged(child(), &damages, length), parent().to_vec()],
            _ => vec![child().to_vec(), damaged(parent(), &damages, length)],
        };
        if let Err(error) = exercise(images) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn no_damage_of_compressed_data_makes_a_reader_panic(
        damages in vec((place(), value()), 1..5),
    ) {
        if let Err(error) = exercise(vec![damaged(packed(), &damages, None)]) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
