-- What an API key may send in a day.

ALTER TABLE api_keys ADD COLUMN recipients_per_day bigint CHECK (recipients_per_day >= 0);

-- Recipients of what was sent with keys that have such a limit, by the hour.
CREATE TABLE key_sending_counts (
    key_id              uuid NOT NULL REFERENCES api_keys ON DELETE CASCADE,
    hour                timestamptz NOT NULL,
    recipients          bigint NOT NULL,
    PRIMARY KEY (key_id, hour)
) WITH (fillfactor = 50);
