-- What alerting must know again after a restart: alerts that someone may have to be told of, and
-- silences. Each is a JSON document (docs/formats/state.md).
CREATE TABLE alerting_documents (
    -- `alert` or `silence`.
    kind      TEXT NOT NULL,
    -- Fingerprint of the alert's labels, or the silence's UUID.
    id        TEXT NOT NULL,
    document  TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
