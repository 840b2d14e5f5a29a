-- Changing what waits: what callers want, until the node that owns the delivery has done it.

-- Apart from the queue, so that asking never waits for an attempt and retries stay HOT.
CREATE TABLE queue_wishes (
    shard               smallint NOT NULL,
    delivery_id         uuid NOT NULL,
    -- 'cancel', 'fail', 'hold', 'release', 'retry', 'schedule'
    action              text NOT NULL,
    -- For 'schedule'.
    at                  timestamptz,
    -- Told in the event.
    reason              text NOT NULL,
    PRIMARY KEY (shard, delivery_id)
);

-- What waits of one account. Neither column ever changes: retries stay HOT.
CREATE INDEX queue_account ON queue (account_id, delivery_id);
