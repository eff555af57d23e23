//! How is this machine? /proc and /sys as node_* samples.
