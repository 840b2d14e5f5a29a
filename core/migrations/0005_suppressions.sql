-- Suppressions by topic and with an end, and the topic of what waits in the queue.

ALTER TABLE suppressions
    -- '': all mail of the account.
    ADD COLUMN topic text NOT NULL DEFAULT '',
    -- From then on it does not suppress any more.
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN domain text NOT NULL GENERATED ALWAYS AS (split_part(base_address, '@', -1)) STORED,
    DROP CONSTRAINT suppressions_pkey,
    ADD PRIMARY KEY (account_id, base_address, topic);
CREATE INDEX suppressions_newest ON suppressions (account_id, suppression_id);
CREATE INDEX suppressions_domain ON suppressions (account_id, domain, suppression_id);

-- The topic that its recipients can unsubscribe from.
ALTER TABLE queue ADD COLUMN topic text;
