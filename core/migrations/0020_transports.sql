-- Transports, and routes that say which of them a delivery takes.

CREATE TABLE transports (
    transport_id        uuid PRIMARY KEY,
    name                text NOT NULL CONSTRAINT transports_name_key UNIQUE,
    -- 'direct', 'smtp', 'submission', 'submissions', 'fail'
    type                text NOT NULL,
    -- Of smtp, submission and submissions.
    host                text,
    port                integer,
    -- 'required', 'opportunistic', 'implicit', 'never'
    tls                 text,
    username            text,
    -- Sealed with the master key.
    password            bytea,
    -- Of direct: 'ipv4' or 'ipv6'; null: both.
    ip_version          text,
    -- Of fail.
    code                smallint,
    reply               text,
    created_at          timestamptz NOT NULL,
    CHECK ((type IN ('smtp', 'submission', 'submissions')) = (host IS NOT NULL AND port IS NOT NULL
        AND tls IS NOT NULL)),
    CHECK ((type = 'fail') = (code IS NOT NULL AND reply IS NOT NULL))
);

-- Lists: those of an account, of a sender's domain, and of all (both null). The first that matches
-- in the order of position counts (D2).
CREATE TABLE routes (
    route_id            uuid PRIMARY KEY,
    account_id          uuid REFERENCES accounts ON DELETE CASCADE,
    domain_id           uuid REFERENCES domains ON DELETE CASCADE,
    position            integer NOT NULL,
    -- A-labels; with a dot in front also sub-domains; empty: any.
    from_domains        text[] NOT NULL,
    to_domains          text[] NOT NULL,
    -- Attempts already made.
    minimum_attempts    smallint NOT NULL,
    transport_id        uuid NOT NULL CONSTRAINT routes_transport_id_fkey REFERENCES transports,
    description         text NOT NULL,
    created_at          timestamptz NOT NULL,
    CHECK (account_id IS NULL OR domain_id IS NULL)
);
CREATE INDEX routes_account ON routes (account_id, route_id);
CREATE INDEX routes_domain ON routes (domain_id, route_id);
CREATE INDEX routes_transport ON routes (transport_id);

-- Goes up with each change, in its transaction: nodes read everything anew then.
CREATE TABLE routing (
    -- There is one row.
    single              boolean PRIMARY KEY DEFAULT true CHECK (single),
    version             bigint NOT NULL
);
INSERT INTO routing (version) VALUES (1);

-- Also for routes that go with their account or domain.
CREATE FUNCTION routing_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE routing SET version = version + 1;
    PERFORM pg_notify('posthouse_queue', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER transports_changed AFTER INSERT OR UPDATE OR DELETE ON transports
    FOR EACH STATEMENT EXECUTE FUNCTION routing_changed();
CREATE TRIGGER routes_changed AFTER INSERT OR UPDATE OR DELETE ON routes
    FOR EACH STATEMENT EXECUTE FUNCTION routing_changed();

-- Chosen for one delivery, before all routes (D4); perhaps gone by now.
ALTER TABLE queue ADD COLUMN transport_id uuid;

ALTER TABLE queue_wishes
    -- Another transport is wanted, besides the action: this, or null for what the routes say.
    ADD COLUMN sets_transport boolean NOT NULL DEFAULT false,
    ADD COLUMN transport_id uuid;

-- Finds an event by its id. Ids come nearly in order, so this index is small and costs nothing.
CREATE INDEX events_event_id ON events USING brin (event_id)
    WITH (pages_per_range = 16, autosummarize = on);
