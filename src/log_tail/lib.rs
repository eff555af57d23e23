//! Which lines are new? Finds and follows log files, reads their formats, remembers positions.
