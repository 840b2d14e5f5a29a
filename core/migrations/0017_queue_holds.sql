-- Rules that hold deliveries, and pauses.

CREATE TABLE queue_holds (
    hold_id             uuid PRIMARY KEY,
    -- Null: for all accounts, made by an administrator.
    account_id          uuid REFERENCES accounts ON DELETE CASCADE,
    -- All that are given must match (0.6); lower case.
    sender              text,
    recipient           text,
    sender_domain       text,
    recipient_domain    text,
    reason              text NOT NULL,
    -- From then on it holds nothing new.
    expires_at          timestamptz,
    created_at          timestamptz NOT NULL,
    -- Since when everything that waited when it was made is asked to be held.
    applied_at          timestamptz,
    -- Until then a node is working on that.
    applying_until      timestamptz
);
CREATE INDEX queue_holds_account_id ON queue_holds (account_id, hold_id);
CREATE INDEX queue_holds_new ON queue_holds (hold_id) WHERE applied_at IS NULL;

-- Accounts whose deliveries are not attempted at the moment; the nil id stands for all accounts.
CREATE TABLE queue_pauses (
    account_id          uuid PRIMARY KEY,
    paused_at           timestamptz NOT NULL
);

-- Whether an action makes sense for a delivery that waits, with another wish pending or none.
CREATE FUNCTION queue_wish_fits(action text, status text, attempts smallint, pending text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(pending, '') NOT IN ('cancel', 'fail')
        AND CASE action
            WHEN 'hold' THEN status <> 'on_hold' OR coalesce(pending, '') = 'release'
            WHEN 'release' THEN status = 'on_hold' OR coalesce(pending, '') = 'hold'
            WHEN 'retry' THEN status <> 'on_hold'
            WHEN 'schedule' THEN attempts = 0
            ELSE true
        END
$$;
