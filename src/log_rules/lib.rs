//! What of it do we keep, and how? Keeps, drops, redacts, renames and samples lines before they are stored.
