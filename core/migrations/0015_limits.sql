-- What accounts may send and ask in a time. Without a row there is no limit.

CREATE TABLE account_limits (
    account_id              uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    -- In 24 hours; null: no limit (B10).
    recipients_per_day      bigint CHECK (recipients_per_day >= 0),
    new_recipients_per_day  bigint CHECK (new_recipients_per_day >= 0),
    requests_per_minute     integer CHECK (requests_per_minute > 0)
);

-- Recipients of accepted messages of limited accounts, by the hour.
CREATE TABLE sending_counts (
    account_id              uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    hour                    timestamptz NOT NULL,
    recipients              bigint NOT NULL,
    new_recipients          bigint NOT NULL,
    PRIMARY KEY (account_id, hour)
);

-- Whom accounts with a limit of new recipients have written to, in lower case.
CREATE TABLE known_recipients (
    account_id              uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    recipient               text NOT NULL,
    PRIMARY KEY (account_id, recipient)
);

-- Requests of the current minute. Not logged: after a crash it begins anew.
CREATE UNLOGGED TABLE request_counts (
    account_id              uuid PRIMARY KEY,
    minute_at               timestamptz NOT NULL,
    requests                integer NOT NULL
) WITH (fillfactor = 50);
