//! A chain of one image, or of two that share the bytes: header, tables, compressed clusters.
#![no_main]

use agent_qcow2::{Chain, ChainImage, Decompressor, Extent, ReadError};
use libfuzzer_sys::fuzz_target;

/// As far as a damaged image may make it long.
const MOST_EXTENTS: usize = 2000;
const MOST_BYTES: u64 = 4 << 20;

fuzz_target!(|bytes: &[u8]| {
    let image = |name: &str| ChainImage {
        name: name.to_owned(),
        data: Box::new(bytes.to_vec()),
    };
    let chain = Chain::open(vec![image("alone")])
        .or_else(|_| Chain::open(vec![image("newest"), image("older")]));
    if let Ok(chain) = chain {
        // Whatever is wrong with it, an error says so.
        let _error = exercise(&chain);
    }
});

fn exercise(chain: &Chain) -> Result<(), ReadError> {
    let mut decompressor = Decompressor::new();
    let (mut stretch, mut length): (Vec<Extent>, u64) = (Vec::new(), 0);
    let mut at = 0;
    for extent in chain.extents(0..u64::MAX).take(MOST_EXTENTS) {
        let extent = extent?;
        assert_eq!(extent.guest_offset, at, "extents leave a gap");
        assert!(extent.length > 0 && extent.guest_end() <= chain.virtual_size());
        at = extent.guest_end();
        if length + extent.length <= MOST_BYTES {
            length += extent.length;
            stretch.push(extent);
        }
        let mut first = [0; 100];
        let part = extent.length.min(100) as usize;
        let _error = chain.read_extent(&extent, extent.length - part as u64, &mut first[..part]);
    }
    let mut buffer = vec![0; length as usize];
    chain.read_extents(&stretch, &mut buffer, &mut decompressor)?;
    let end = chain.virtual_size();
    chain.read_at(
        &mut buffer[..end.min(length) as usize],
        end - end.min(length),
    )?;
    chain
        .images()
        .iter()
        .try_for_each(|image| image.head_blake3().map(drop))
}
