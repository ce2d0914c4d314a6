-- What many people share leads from nobody to anybody: an office's address, the browser of a counter's tablet.
SET LOCAL lock_timeout = '5s';

-- Who is erased is not counted among those who share a key any more. The last of them are still not one person.
CREATE TABLE shared_keys (
    dataset_id bigint NOT NULL,
    -- As in leads; of a browser's id at Meta its SHA-256.
    key_hash bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    found_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, key_hash)
);
COMMENT ON TABLE shared_keys IS 'Keys that more than five people shared when one of them was erased.';
