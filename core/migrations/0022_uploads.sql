-- Files that messages attach by their id, until they expire.

CREATE TABLE uploads (
    upload_id           uuid PRIMARY KEY,
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    filename            text,
    content_type        text NOT NULL,
    blob_hash           bytea NOT NULL,
    size_bytes          bigint NOT NULL,
    created_at          timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL
);
-- Also for those who look whether a blob is still needed.
CREATE INDEX uploads_blob ON uploads (account_id, blob_hash);
CREATE INDEX uploads_expiry ON uploads (expires_at);
