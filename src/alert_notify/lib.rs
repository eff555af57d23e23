//! Who must know? Route, group, retry, receivers.
