-- What comes back about deliveries: bounces, complaints, later news.

-- As in deliveries, for what is not known to have ended yet.
ALTER TABLE queue
    ADD COLUMN bounced_at timestamptz,
    ADD COLUMN complained_at timestamptz;

-- Reverse-paths of the domain carry a token that reports are matched by (0.5).
ALTER TABLE domains ADD COLUMN bounce_tokens boolean NOT NULL DEFAULT true;

-- Reports and replies name a message by its Message-ID, which may be longer than an index takes.
CREATE INDEX messages_internet_id ON messages (account_id, left(internet_message_id, 200));

-- Reports that had an effect, so that one that comes again has none.
CREATE TABLE delivery_reports (
    account_id          uuid NOT NULL,
    delivery_id         uuid NOT NULL,
    -- 'failed', 'delayed', 'delivered', 'relayed', 'expanded', 'complained', 'unrecognized'
    kind                text NOT NULL,
    -- Tells reports of one kind apart; empty where only the first counts.
    fingerprint         bytea NOT NULL,
    reported_at         timestamptz NOT NULL,
    PRIMARY KEY (account_id, delivery_id, kind, fingerprint)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE delivery_reports_default PARTITION OF delivery_reports DEFAULT;

-- Bounces without a clear reason in a row, for the rule of 2.6: recent_failures forgets at each
-- delivery, and what bounces has been delivered before.
CREATE TABLE recent_bounces (
    account_id          uuid NOT NULL,
    recipient           text NOT NULL,
    bounces             integer NOT NULL,
    last_at             timestamptz NOT NULL,
    PRIMARY KEY (account_id, recipient)
);
