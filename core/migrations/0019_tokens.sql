-- Access tokens: keys that sign them, sessions and their refresh tokens. With them what else bounds access: requests of a key, where an account logs in from, limits that were told of.

CREATE TABLE signing_keys (
    key_id              uuid PRIMARY KEY,
    public_key          bytea NOT NULL,
    -- PKCS #8, sealed with the master key.
    sealed_key          bytea NOT NULL,
    created_at          timestamptz NOT NULL,
    -- It is published before, so that everybody knows it by then.
    signs_at            timestamptz NOT NULL
);

CREATE TABLE sessions (
    session_id          uuid PRIMARY KEY,
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    scopes              text[] NOT NULL,
    user_agent          text NOT NULL,
    remote_address      text NOT NULL,
    -- SHA-256 of the refresh token that holds, and of the one before it.
    refresh_hash        bytea NOT NULL,
    former_hash         bytea,
    refreshed_at        timestamptz NOT NULL,
    created_at          timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL
);
CREATE INDEX sessions_account_id ON sessions (account_id, session_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- Every refresh token that was given out: one that comes again tells of a theft.
CREATE TABLE refresh_tokens (
    token_hash          bytea PRIMARY KEY,
    session_id          uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    expires_at          timestamptz NOT NULL
);
CREATE INDEX refresh_tokens_session_id ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);

ALTER TABLE api_keys ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0);

-- Requests of the current minute. Not logged: after a crash it begins anew.
CREATE UNLOGGED TABLE key_request_counts (
    key_id              uuid PRIMARY KEY,
    minute_at           timestamptz NOT NULL,
    requests            integer NOT NULL
) WITH (fillfactor = 50);

-- Where accounts have logged in from with a password: an address, or a /64 of IPv6.
CREATE TABLE login_places (
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    network             text NOT NULL,
    last_at             timestamptz NOT NULL,
    PRIMARY KEY (account_id, network)
);
CREATE INDEX login_places_last_at ON login_places (last_at);

-- When an account was last told that it has reached a limit.
CREATE TABLE limit_notices (
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    limit_name          text NOT NULL,
    -- The key whose limit it is; nil: the account's.
    key_id              uuid NOT NULL,
    noticed_at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, limit_name, key_id)
);
