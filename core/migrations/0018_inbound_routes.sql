-- Inbound routes: what becomes of mail that comes in.

CREATE TABLE inbound_routes (
    inbound_route_id    uuid PRIMARY KEY,
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name                text NOT NULL,
    enabled             boolean NOT NULL,
    -- Lower ones are asked first; of equal ones the older.
    priority            integer NOT NULL,
    -- Those after it are asked too when it matches.
    go_on               boolean NOT NULL,
    -- {recipient, sender, from, headers, list, automated, dsn}: all that are given must fit.
    matches             json NOT NULL,
    -- [{type, …}]
    actions             json NOT NULL,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL
);
CREATE INDEX inbound_routes_account_id ON inbound_routes (account_id, priority, inbound_route_id);

-- 'event': the event as JSON; 'message': the mail itself, when a route posts it there.
ALTER TABLE webhooks ADD COLUMN payload text NOT NULL DEFAULT 'event';

-- Mail that is posted to endpoints: keeps its octets, also when it is in no mailbox.
CREATE TABLE inbound_posts (
    account_id          uuid NOT NULL,
    event_id            uuid NOT NULL,
    blob_hash           bytea NOT NULL,
    -- Header lines added at delivery.
    prefix              bytea NOT NULL,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, event_id)
);
CREATE INDEX inbound_posts_blob ON inbound_posts (account_id, blob_hash);
CREATE INDEX inbound_posts_created_at ON inbound_posts (created_at);
