//! Which samples had this series then? Head, journal, codec, pages, index, retention.
