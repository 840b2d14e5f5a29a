-- Outgoing messages: content, queue by shards, history. Ids are UUIDv7, so ranges of ids are days.

CREATE TABLE nodes (
    node_id             uuid PRIMARY KEY,
    name                text NOT NULL,
    started_at          timestamptz NOT NULL,
    lease_until         timestamptz NOT NULL
);

-- Who owns which part of the queue. The epoch goes up with each change of owner and fences writes.
CREATE TABLE queue_shards (
    shard               smallint PRIMARY KEY,
    owner               uuid,
    epoch               bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO queue_shards (shard) SELECT generate_series(0, 255);

-- Message bytes, stored once per account and content. Exactly one of data and object is set.
CREATE TABLE blobs (
    account_id          uuid NOT NULL,
    -- SHA-256 of the bytes.
    hash                bytea NOT NULL,
    size_bytes          bigint NOT NULL,
    compression         text NOT NULL CHECK (compression IN ('none', 'zstd')),
    data                bytea,
    -- Path in the blob store.
    object              text,
    created_at          timestamptz NOT NULL,
    -- Since when nothing refers to it, as far as is known.
    garbage_since       timestamptz,
    PRIMARY KEY (account_id, hash),
    CHECK ((data IS NULL) <> (object IS NULL))
);
ALTER TABLE blobs ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX blobs_garbage ON blobs (garbage_since) WHERE garbage_since IS NOT NULL;

-- What callers submitted.
CREATE TABLE messages (
    account_id          uuid NOT NULL,
    message_id          uuid NOT NULL,
    created_at          timestamptz NOT NULL,
    -- 'http' or 'smtp'
    door                text NOT NULL,
    -- Reverse-path, '' for the null sender.
    mail_from           text NOT NULL,
    -- Header field From, decoded, for people.
    header_from         text NOT NULL,
    subject             text NOT NULL,
    -- Header field Message-ID with angle brackets.
    internet_message_id text NOT NULL,
    size_bytes          bigint NOT NULL,
    recipients          integer NOT NULL,
    -- Null once the content is redacted.
    blob_hash           bytea,
    -- Header lines added before the blob: Received, DKIM-Signature.
    prefix              bytea NOT NULL,
    smtputf8            boolean NOT NULL,
    eight_bit           boolean NOT NULL,
    sandbox             boolean NOT NULL,
    tags                json NOT NULL,
    metadata            json NOT NULL,
    PRIMARY KEY (account_id, message_id)
) PARTITION BY RANGE (message_id);
CREATE TABLE messages_default PARTITION OF messages DEFAULT;

-- One row per recipient that waits. Nothing here but the primary key is indexed: retries stay HOT.
CREATE TABLE queue (
    shard               smallint NOT NULL,
    delivery_id         uuid NOT NULL,
    account_id          uuid NOT NULL,
    recipient           text NOT NULL,
    -- 'scheduled', 'queued', 'deferred', 'on_hold'
    status              text NOT NULL,
    attempts            smallint NOT NULL DEFAULT 0,
    next_attempt_at     timestamptz NOT NULL,
    expires_at          timestamptz,
    last_address        text,
    sandbox             boolean NOT NULL,
    PRIMARY KEY (shard, delivery_id)
) WITH (fillfactor = 80);

-- Deliveries that have ended.
CREATE TABLE deliveries (
    account_id          uuid NOT NULL,
    delivery_id         uuid NOT NULL,
    recipient           text NOT NULL,
    status              text NOT NULL,
    attempts            smallint NOT NULL,
    completed_at        timestamptz NOT NULL,
    bounced_at          timestamptz,
    complained_at       timestamptz,
    PRIMARY KEY (account_id, delivery_id)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;

CREATE TABLE attempts (
    account_id          uuid NOT NULL,
    delivery_id         uuid NOT NULL,
    attempt             smallint NOT NULL,
    started_at          timestamptz NOT NULL,
    duration_ms         integer NOT NULL,
    -- 'delivered', 'deferred', 'failed', 'suppressed', 'expired'
    outcome             text NOT NULL,
    mx_host             text,
    remote_address      text,
    local_address       text,
    tls_version         text,
    tls_cipher          text,
    -- 'none', 'opportunistic', 'pkix', 'dane'
    tls_verification    text NOT NULL,
    smtp_code           smallint,
    enhanced_code       text,
    reply               text NOT NULL,
    PRIMARY KEY (account_id, delivery_id, attempt)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- The append-only log. seq is given out under the lock on account_counters.
CREATE TABLE events (
    account_id          uuid NOT NULL,
    seq                 bigint NOT NULL,
    event_id            uuid NOT NULL,
    type                text NOT NULL,
    occurred_at         timestamptz NOT NULL,
    -- The message that it is about, if any.
    message_id          uuid,
    data                json NOT NULL,
    PRIMARY KEY (account_id, seq, event_id)
) PARTITION BY RANGE (event_id);
CREATE TABLE events_default PARTITION OF events DEFAULT;
CREATE INDEX events_message ON events (account_id, message_id, seq) WHERE message_id IS NOT NULL;

CREATE TABLE suppressions (
    account_id          uuid NOT NULL,
    -- Recipient address without what the domain ignores (0.13).
    base_address        text NOT NULL,
    suppression_id      uuid NOT NULL CONSTRAINT suppressions_suppression_id_key UNIQUE,
    address             text NOT NULL,
    -- 'bounce', 'manual', 'complaint'
    reason              text NOT NULL,
    detail              text NOT NULL DEFAULT '',
    delivery_id         uuid,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, base_address)
);

-- Recent failures without a clear reason, for the three-in-a-row rule (2.6).
CREATE TABLE recent_failures (
    account_id          uuid NOT NULL,
    recipient           text NOT NULL,
    failures            integer NOT NULL,
    last_at             timestamptz NOT NULL,
    PRIMARY KEY (account_id, recipient)
);

-- What the sandbox did with each recipient.
CREATE TABLE sandbox_messages (
    account_id          uuid NOT NULL,
    delivery_id         uuid NOT NULL,
    attempt             smallint NOT NULL,
    recipient           text NOT NULL,
    subject             text NOT NULL,
    outcome             text NOT NULL,
    smtp_code           smallint NOT NULL,
    reply               text NOT NULL,
    -- The stored mail, when it was delivered.
    mail_account_id     uuid,
    mail_id             uuid,
    at                  timestamptz NOT NULL,
    PRIMARY KEY (account_id, delivery_id, attempt)
);
