//! Which blocks can hold it? Streams, blocks of columns, the block index, partitions, retention.
