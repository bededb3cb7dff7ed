//! Sums by which the files of a closed index are known again.
//!
//! XXH3 of 128 bits finds what a disk changed or a write that went astray, and no more is asked of it: whoever writes
//! to the folder can write another sum as well, and what the index then says is still compared with the state map. To
//! open ten million records is to sum seven gigabytes; BLAKE3 took a fifth of the processor time of that.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use finchain_core::cores::on_all_cores;
use rayon::prelude::*;
use twox_hash::XxHash3_128;

use crate::error::IndexError;

/// XXH3 with 128 bits and seed 0, big-endian, as its authors write it.
pub(crate) type Sum = [u8; 16];

pub(crate) fn sum(bytes: &[u8]) -> Sum {
    XxHash3_128::oneshot(bytes).to_be_bytes()
}

/// The sum of the first `bytes` of a file: that of the sums of its pieces of 256 KiB, which all cores read.
pub(crate) fn file_sum(path: &Path, bytes: u64) -> Result<Sum, IndexError> {
    /// Enough for a call of the system, and little enough to be in the processor's cache still when it is summed.
    const PIECE: usize = 256 << 10;
    let file = File::open(path).map_err(IndexError::io("open", path))?;
    let piece = |buffer: &mut Vec<u8>, number: u64| {
        let at = number * PIECE as u64;
        let read = &mut buffer[..usize::try_from(bytes - at).map_or(PIECE, |left| left.min(PIECE))];
        file.read_exact_at(read, at).map_err(IndexError::io("read", path))?;
        Ok(sum(read))
    };
    let pieces = (0..bytes.div_ceil(PIECE as u64)).into_par_iter().map_init(|| vec![0; PIECE], piece);
    let sums: Result<Vec<Sum>, IndexError> = on_all_cores(|| pieces.collect());
    Ok(sum(sums?.as_flattened()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_sum_is_that_of_the_published_function() {
        assert_eq!(sum(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f_u128.to_be_bytes());
    }

    #[test]
    fn a_sum_of_a_file_is_over_the_sums_of_its_pieces() {
        const PIECE: usize = 256 << 10;
        let content: Vec<u8> = (0..3 * PIECE as u64 + 3).map(u64::to_le_bytes).map(|n| n[0] ^ n[1] ^ n[2]).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, &content).unwrap();
        for bytes in [0, 1, PIECE - 1, PIECE, PIECE + 1, content.len()] {
            let sums: Vec<Sum> = content[..bytes].chunks(PIECE).map(sum).collect();
            assert_eq!(file_sum(&path, bytes as u64).unwrap(), sum(sums.as_flattened()), "{bytes} bytes");
        }
        let more = content.len() as u64 + 1;
        assert!(matches!(file_sum(&path, more), Err(IndexError::Io { action: "read", .. })));
    }
}
