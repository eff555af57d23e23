-- Groups of pushed metrics (Pushgateway's protocol): what a scrape finds until the group is deleted.
CREATE TABLE pushed_groups (
    -- The labels that name the group, as text.
    id       TEXT PRIMARY KEY,
    -- A protobuf message, described in docs/formats/state.md.
    document BLOB NOT NULL
) STRICT;
