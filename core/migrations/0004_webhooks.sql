-- Webhook endpoints: a cursor over the event log and a table of what must be tried again.

CREATE TABLE webhooks (
    webhook_id          uuid PRIMARY KEY,
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    url                 text NOT NULL,
    description         text NOT NULL DEFAULT '',
    -- Patterns such as 'delivery.*'; '*' is all.
    event_types         text[] NOT NULL,
    -- Sealed JSON object: header fields often hold credentials.
    headers             bytea NOT NULL,
    enabled             boolean NOT NULL DEFAULT true,
    disabled_reason     text,
    -- Sealed.
    secret              bytea NOT NULL,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL
);
CREATE INDEX webhooks_account_id ON webhooks (account_id);

CREATE TABLE webhook_cursors (
    webhook_id          uuid PRIMARY KEY REFERENCES webhooks ON DELETE CASCADE,
    -- All events up to here have been tried once.
    seq                 bigint NOT NULL,
    -- Since when nothing but failures; null after a success.
    failing_since       timestamptz,
    -- Lease of the node that serves the endpoint.
    owner               uuid,
    lease_until         timestamptz
) WITH (fillfactor = 50);

-- Events to try again.
CREATE TABLE webhook_retries (
    webhook_id          uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    seq                 bigint NOT NULL,
    event_id            uuid NOT NULL,
    attempts            smallint NOT NULL,
    next_attempt_at     timestamptz NOT NULL,
    PRIMARY KEY (webhook_id, seq)
);
CREATE INDEX webhook_retries_due ON webhook_retries (webhook_id, next_attempt_at);

-- History of every attempt.
CREATE TABLE webhook_deliveries (
    webhook_id          uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    webhook_delivery_id uuid NOT NULL,
    account_id          uuid NOT NULL,
    event_id            uuid NOT NULL,
    seq                 bigint NOT NULL,
    event_type          text NOT NULL,
    attempt             smallint NOT NULL,
    started_at          timestamptz NOT NULL,
    duration_ms         integer NOT NULL,
    succeeded           boolean NOT NULL,
    -- First 4 KiB of what was sent and what came back.
    request_body        text NOT NULL,
    response_status     smallint,
    response_body       text,
    error               text,
    next_attempt_at     timestamptz,
    PRIMARY KEY (webhook_id, webhook_delivery_id)
);
CREATE INDEX webhook_deliveries_started_at ON webhook_deliveries (started_at);
