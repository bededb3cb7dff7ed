//! One frame: a head of 64 bytes, a payload, zeros up to the next multiple of 4,096 bytes.
//!
//! Decoding refuses anything but what encoding writes, with one error for each cause, and reads no field
//! before the head's own sum has shown that the head is whole.

use super::LedgerTag;
use crate::encoding::hex;

/// Frames start at multiples of this many bytes: the unit of page caches and of most devices' writes.
pub const ALIGNMENT: u64 = 4096;
/// Bytes of a head.
pub const HEAD_BYTES: usize = 64;
/// The longest payload, in bytes. It bounds what a reader must allocate before it can check a sum.
pub const PAYLOAD_BYTES_MAX: u32 = 16 << 20;

const MAGIC: [u8; 3] = *b"FCB";
const VERSION: u8 = 1;

/// The first 16 bytes of BLAKE3: enough against accidents, which is all that a checksum is for. Intent is met
/// by the hash chain and the signed checkpoints.
pub type Sum = [u8; 16];

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Payload bytes.
    pub length: u32,
    /// The block's height.
    pub height: u64,
    /// First 16 bytes of block 0's hash.
    pub ledger: LedgerTag,
    /// Sum of the payload.
    pub payload_sum: Sum,
}

/// Why bytes are not the frame that is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The file ends inside the frame.
    #[error("the frame needs {expected} bytes and the file has {found}")]
    Short {
        /// Bytes from the frame's start to the end of what is needed.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The first three bytes are not `FCB`.
    #[error("a frame starts with {}, not {}", hex(&MAGIC), hex(found))]
    Magic {
        /// The bytes found.
        found: [u8; 3],
    },
    /// The head's sum does not hold.
    #[error("the head's sum is {}, its bytes give {}", hex(found), hex(expected))]
    HeadSum {
        /// The sum of the bytes.
        expected: Sum,
        /// The sum that the head states.
        found: Sum,
    },
    /// A version that this software does not know, in a head that is whole.
    #[error("frame version {found}; this software reads version {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The length is out of range.
    #[error("a payload has 1 to {PAYLOAD_BYTES_MAX} bytes, not {found}")]
    Length {
        /// The length found.
        found: u32,
    },
    /// The length is not that of the place where the frame was looked for.
    #[error("the payload has {found} bytes where {expected} are expected")]
    PlaceLength {
        /// The length in the place.
        expected: u32,
        /// The length in the head.
        found: u32,
    },
    /// The frame belongs to another ledger.
    #[error("the frame is of ledger {}…, not {}…", hex(found), hex(expected))]
    Ledger {
        /// The ledger that is open.
        expected: LedgerTag,
        /// The ledger in the head.
        found: LedgerTag,
    },
    /// The frame holds another block.
    #[error("the frame holds block {found}, not {expected}")]
    Height {
        /// The height that follows.
        expected: u64,
        /// The height in the head.
        found: u64,
    },
    /// The payload's sum does not hold.
    #[error("the payload's sum is {}, its bytes give {}", hex(found), hex(expected))]
    PayloadSum {
        /// The sum of the bytes.
        expected: Sum,
        /// The sum in the head.
        found: Sum,
    },
    /// A byte between the payload and the next frame is not zero.
    #[error("the padding holds byte {found:02x}")]
    Padding {
        /// The first such byte.
        found: u8,
    },
}

impl FrameError {
    /// Whether an append that was interrupted can leave this behind.
    ///
    /// A head lies in one sector, so a head whose sum holds was written whole: its version, length, ledger and
    /// height are then meant, and are never cut away. The padding goes where zeros were.
    #[must_use]
    pub const fn may_be_torn(&self) -> bool {
        matches!(self, Self::Short { .. } | Self::Magic { .. } | Self::HeadSum { .. } | Self::PayloadSum { .. })
    }
}

impl Frame {
    /// The head of a frame that holds `payload`, or `None` if the payload is empty or too long.
    #[must_use]
    pub fn of(ledger: LedgerTag, height: u64, payload: &[u8]) -> Option<Self> {
        let length = u32::try_from(payload.len()).ok().filter(|n| (1..=PAYLOAD_BYTES_MAX).contains(n))?;
        Some(Self { length, height, ledger, payload_sum: sum(payload) })
    }

    /// The 64 bytes of the head.
    #[must_use]
    pub fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head[..3].copy_from_slice(&MAGIC);
        head[3] = VERSION;
        head[4..8].copy_from_slice(&self.length.to_le_bytes());
        head[8..16].copy_from_slice(&self.height.to_le_bytes());
        head[16..32].copy_from_slice(&self.ledger);
        head[32..48].copy_from_slice(&self.payload_sum);
        let head_sum = sum(&head[..48]);
        head[48..].copy_from_slice(&head_sum);
        head
    }

    /// Reads a head.
    ///
    /// # Errors
    /// `Magic`, `HeadSum`, `Version` or `Length`, in this order. Every version keeps the head's sum in its
    /// place, so that a head of newer software is told from a damaged one.
    pub fn decode(head: &[u8; HEAD_BYTES]) -> Result<Self, FrameError> {
        let magic = part(head, 0);
        if magic != MAGIC {
            return Err(FrameError::Magic { found: magic });
        }
        let (expected, found) = (sum(&head[..48]), part(head, 48));
        if expected != found {
            return Err(FrameError::HeadSum { expected, found });
        }
        if head[3] != VERSION {
            return Err(FrameError::Version { found: head[3] });
        }
        let length = u32::from_le_bytes(part(head, 4));
        if !(1..=PAYLOAD_BYTES_MAX).contains(&length) {
            return Err(FrameError::Length { found: length });
        }
        let height = u64::from_le_bytes(part(head, 8));
        Ok(Self { length, height, ledger: part(head, 16), payload_sum: part(head, 32) })
    }

    /// Checks that this is the frame of block `height` of `ledger`.
    ///
    /// # Errors
    /// `Ledger` or `Height`.
    pub fn check_place(&self, ledger: LedgerTag, height: u64) -> Result<(), FrameError> {
        if self.ledger != ledger {
            return Err(FrameError::Ledger { expected: ledger, found: self.ledger });
        }
        if self.height != height {
            return Err(FrameError::Height { expected: height, found: self.height });
        }
        Ok(())
    }

    /// Checks the payload, and that all of the padding is zero.
    ///
    /// # Errors
    /// `PayloadSum` or `Padding`.
    pub fn check_payload(&self, payload: &[u8], padding: &[u8]) -> Result<(), FrameError> {
        let expected = sum(payload);
        if expected != self.payload_sum {
            return Err(FrameError::PayloadSum { expected, found: self.payload_sum });
        }
        padding.iter().find(|byte| **byte != 0).map_or(Ok(()), |byte| Err(FrameError::Padding { found: *byte }))
    }

    /// Bytes from the frame's start to the next frame's.
    #[must_use]
    pub fn padded_bytes(&self) -> u64 {
        padded_bytes(self.length)
    }
}

/// Bytes that a frame with that many payload bytes takes in its file.
#[must_use]
pub fn padded_bytes(length: u32) -> u64 {
    (HEAD_BYTES as u64 + u64::from(length)).next_multiple_of(ALIGNMENT)
}

fn sum(bytes: &[u8]) -> Sum {
    part(blake3::hash(bytes).as_bytes(), 0)
}

/// `N` bytes from `start`; the callers' bounds are constants within the array.
fn part<const N: usize, const M: usize>(bytes: &[u8; M], start: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[start + i])
}
