//! Who is asked when, and what did it say? Schedule, exposition formats, relabelling, staleness.
