-- Who may do what: accounts, domains, addresses, credentials, API keys, and the per-account counters.

CREATE TABLE accounts (
    account_id          uuid PRIMARY KEY,
    name                text NOT NULL CONSTRAINT accounts_name_key UNIQUE,
    -- 'user' or 'admin'
    role                text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    full_name           text NOT NULL DEFAULT '',
    -- Text shown at login instead of letting the user in; null: login is allowed (I7).
    login_disabled      text,
    -- How long finished messages stay visible (C14).
    retention_seconds   bigint NOT NULL DEFAULT 2592000 CHECK (retention_seconds >= 0),
    -- Null: no limit (I14).
    quota_bytes         bigint CHECK (quota_bytes > 0),
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL
);

-- One row per account, locked by every transaction that writes events or mail: the order in which
-- transactions take it is the order in which they commit, so seq and modseq order is commit order.
CREATE TABLE account_counters (
    account_id          uuid PRIMARY KEY,
    event_seq           bigint NOT NULL DEFAULT 0,
    -- Starts at 1 so that the first change has modseq 2 (L3: 0 means none and is shown as 1).
    modseq              bigint NOT NULL DEFAULT 1,
    next_uidvalidity    bigint NOT NULL DEFAULT 1,
    mail_bytes          bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

CREATE TABLE domains (
    domain_id           uuid PRIMARY KEY,
    -- A-label form, lower case.
    name                text NOT NULL CONSTRAINT domains_name_key UNIQUE,
    description         text NOT NULL DEFAULT '',
    disabled            boolean NOT NULL DEFAULT false,
    separators          text[] NOT NULL DEFAULT '{+}',
    case_sensitive      boolean NOT NULL DEFAULT false,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL
);

CREATE TABLE dkim_keys (
    domain_id           uuid NOT NULL REFERENCES domains ON DELETE CASCADE,
    selector            text NOT NULL,
    algorithm           text NOT NULL CHECK (algorithm IN ('rsa-2048', 'ed25519')),
    -- PKCS #8, sealed with the master key.
    private_key         bytea NOT NULL,
    -- The TXT record to publish.
    public_record       text NOT NULL,
    active              boolean NOT NULL DEFAULT true,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (domain_id, selector)
);

-- Local part '' is the catch-all of the domain (I3).
CREATE TABLE addresses (
    address_id          uuid PRIMARY KEY,
    domain_id           uuid NOT NULL REFERENCES domains,
    -- Canonical form (I2).
    local_part          text NOT NULL,
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    -- As the administrator wrote it.
    display             text NOT NULL,
    created_at          timestamptz NOT NULL,
    CONSTRAINT addresses_domain_id_local_part_key UNIQUE (domain_id, local_part)
);
CREATE INDEX addresses_account_id ON addresses (account_id);

-- The account's password in the forms that the mechanisms need.
CREATE TABLE passwords (
    account_id          uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    argon2id            text NOT NULL,
    scram_salt          bytea NOT NULL,
    scram_iterations    integer NOT NULL,
    scram_stored_key    bytea NOT NULL,
    scram_server_key    bytea NOT NULL,
    changed_at          timestamptz NOT NULL
);

CREATE TABLE api_keys (
    key_id              uuid PRIMARY KEY,
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name                text NOT NULL,
    -- SHA-256 of the key.
    secret_hash         bytea NOT NULL CONSTRAINT api_keys_secret_hash_key UNIQUE,
    -- First characters, to recognise it in lists.
    hint                text NOT NULL,
    scopes              text[] NOT NULL,
    allowed_cidrs       text[] NOT NULL DEFAULT '{}',
    allowed_senders     text[] NOT NULL DEFAULT '{}',
    sandbox             boolean NOT NULL DEFAULT false,
    expires_at          timestamptz,
    last_used_at        timestamptz,
    created_at          timestamptz NOT NULL
);
CREATE INDEX api_keys_account_id ON api_keys (account_id);

-- Every administrative change, and every use of an administrator's right to act for an account.
CREATE TABLE audit_log (
    audit_id            uuid PRIMARY KEY,
    at                  timestamptz NOT NULL,
    actor_account_id    uuid NOT NULL,
    credential          text NOT NULL,
    account_id          uuid,
    action              text NOT NULL,
    target              text NOT NULL,
    request_id          text NOT NULL
);

-- Answers of creating requests, for replay (API.md "idempotency").
CREATE TABLE idempotency (
    account_id          uuid NOT NULL,
    key                 text NOT NULL,
    request_hash        bytea NOT NULL,
    -- The result, sealed: it may hold a secret that is shown once.
    result              bytea NOT NULL,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_created_at ON idempotency (created_at);

-- Small settings of the whole installation.
CREATE TABLE settings (
    name                text PRIMARY KEY,
    value               jsonb NOT NULL
);
