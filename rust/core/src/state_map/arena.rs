//! A growing list in chunks: indices stay, nothing is ever copied, and little is allocated ahead.
//!
//! A `Vec` doubles, which would hold up to twice the memory that the map needs.

/// Elements of one chunk. A larger chunk leaves more unused at the end of each of the map's 256 shards. A smaller one
/// makes the list of chunks longer, which each step of a walk reads before it reads the element: with 64, and 24 bytes
/// a chunk in that list, writing and reading ten million records took 1.15 times as long.
const CHUNK: usize = 128;

/// The most elements: an index leaves two of its 32 bits to the kind of node.
const LENGTH_MAX: u32 = 1 << 30;

/// A list of `T`, addressed by `u32`.
#[derive(Debug)]
pub(super) struct Arena<T> {
    chunks: Vec<Box<[T; CHUNK]>>,
    length: u32,
}

impl<T: Copy> Arena<T> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), length: 0 }
    }

    pub(super) fn len(&self) -> u32 {
        self.length
    }

    /// Adds an element and gives its index.
    pub(super) fn push(&mut self, element: T) -> u32 {
        // Memory ends long before: all shards together would hold 2^38 records, some 30 TB.
        assert!(self.length < LENGTH_MAX, "the state map is full");
        let index = self.length;
        match self.chunks.get_mut(index as usize / CHUNK) {
            Some(chunk) => chunk[index as usize % CHUNK] = element,
            None => self.chunks.push(Box::new([element; CHUNK])),
        }
        self.length += 1;
        index
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<T>() + self.chunks.capacity() * size_of::<Box<[T; CHUNK]>>()
    }
}

impl<T> std::ops::Index<u32> for Arena<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }
}

impl<T> std::ops::IndexMut<u32> for Arena<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }
}
