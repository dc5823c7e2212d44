//! A writer that goes on from a checkpoint out of a damaged journal.
#![no_main]

use std::io;

use agent_qcow2::{Checkpoint, Compression, ImageSink, ImageWriter};
use libfuzzer_sys::fuzz_target;

struct NullSink(u64);

impl ImageSink for NullSink {
    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.0 = length;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0 += bytes.len() as u64;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.0
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _head: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(bytes) else {
        return;
    };
    let saved = serde_json::to_vec(&checkpoint).expect("a checkpoint is JSON");
    let again: Checkpoint = serde_json::from_slice(&saved).expect("and comes back");
    assert_eq!(again, checkpoint);

    let options = checkpoint.options().clone();
    // The head of a disk of petabytes is megabytes long: true, but slow here.
    if options.size_bytes > 1 << 44 {
        return;
    }
    let sink = NullSink(checkpoint.length_bytes());
    let Ok(mut writer) = ImageWriter::resume(sink, options.clone(), checkpoint) else {
        return;
    };
    let next = writer.next_guest_cluster();
    let written = match options.compression {
        Compression::None => writer.write_data(next, &[1; 65536]),
        _ => writer.write_compressed(next, &[1; 100]),
    };
    if written.is_ok() {
        writer.checkpoint().expect("nothing has failed");
        writer.finish().expect("nothing has failed");
    }
});
