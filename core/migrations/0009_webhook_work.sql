-- Webhooks: rotation of secrets, filters, statistics, events told again.

ALTER TABLE webhooks
    -- 'v1': HMAC-SHA256, secret is whsec_…; 'v1a': Ed25519, secret is whsk_….
    ADD COLUMN signature_scheme text NOT NULL DEFAULT 'v1',
    -- Sealed JSON: former secrets that still sign, each with its end; the last of these ends.
    ADD COLUMN former_secrets bytea,
    ADD COLUMN former_secrets_until timestamptz,
    -- Empty: all.
    ADD COLUMN domains text[] NOT NULL DEFAULT '{}',
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    -- Of repeated delivery.deferred one in each such interval; 0: all.
    ADD COLUMN deferred_interval_seconds integer NOT NULL DEFAULT 7200;
CREATE INDEX webhooks_former_secrets_until ON webhooks (former_secrets_until)
    WHERE former_secrets_until IS NOT NULL;

-- Counts requests to look at retries and replays at once.
ALTER TABLE webhook_cursors ADD COLUMN nudges bigint NOT NULL DEFAULT 0;

CREATE INDEX webhook_deliveries_event_id ON webhook_deliveries (webhook_id, event_id);
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (webhook_id, webhook_delivery_id)
    WHERE NOT succeeded;

-- What came of attempts, by the hour.
CREATE TABLE webhook_stats (
    webhook_id          uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    hour                timestamptz NOT NULL,
    -- Answers by the first digit of their status; other: no answer, or no such status.
    answered_2xx        bigint NOT NULL,
    answered_3xx        bigint NOT NULL,
    answered_4xx        bigint NOT NULL,
    answered_5xx        bigint NOT NULL,
    other               bigint NOT NULL,
    -- How many took how long: logarithmic classes.
    durations           bigint[] NOT NULL,
    PRIMARY KEY (webhook_id, hour)
) WITH (fillfactor = 50);

-- Parts of the log that are told again.
CREATE TABLE webhook_replays (
    webhook_replay_id   uuid PRIMARY KEY,
    webhook_id          uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    account_id          uuid NOT NULL,
    since               timestamptz NOT NULL,
    until               timestamptz NOT NULL,
    event_types         text[] NOT NULL,
    first_seq           bigint NOT NULL,
    last_seq            bigint NOT NULL,
    -- Everything up to here has been told again.
    seq                 bigint NOT NULL,
    succeeded           bigint NOT NULL DEFAULT 0,
    failed              bigint NOT NULL DEFAULT 0,
    -- 'running', 'completed', 'canceled'
    status              text NOT NULL DEFAULT 'running',
    created_at          timestamptz NOT NULL,
    finished_at         timestamptz
) WITH (fillfactor = 70);
CREATE INDEX webhook_replays_webhook_id ON webhook_replays (webhook_id, webhook_replay_id);
CREATE UNIQUE INDEX webhook_replays_running ON webhook_replays (webhook_id)
    WHERE status = 'running';
