-- Logins with passwords: who guesses is slowed down, and accounts see who tried.

-- Failed logins by address and by the networks around it, of the current minute and day (H4).
-- Not logged: after a crash it begins anew.
CREATE UNLOGGED TABLE login_throttle (
    -- An address or network in CIDR notation.
    network             text PRIMARY KEY,
    minute_at           timestamptz NOT NULL,
    minute_failures     integer NOT NULL,
    day_at              timestamptz NOT NULL,
    day_failures        integer NOT NULL
) WITH (fillfactor = 50);

-- Attempts to log in to an account; those that look alike are one row (J6).
CREATE TABLE login_attempts (
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    -- Of everything that makes attempts alike.
    fingerprint         bytea NOT NULL,
    -- Of the last one, so that lists are in the order of those.
    attempt_id          uuid NOT NULL,
    login               text NOT NULL,
    remote_address      text NOT NULL,
    -- Version and cipher suite; null: not known here.
    tls                 text,
    user_agent          text NOT NULL,
    -- 'http' or 'smtp'
    door                text NOT NULL,
    mechanism           text NOT NULL,
    -- 'ok', or the code of the error
    result              text NOT NULL,
    count               bigint NOT NULL,
    first_at            timestamptz NOT NULL,
    last_at             timestamptz NOT NULL,
    PRIMARY KEY (account_id, fingerprint)
);
CREATE UNIQUE INDEX login_attempts_attempt_id ON login_attempts (account_id, attempt_id);
