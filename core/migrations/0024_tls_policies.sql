-- MTA-STS policies (RFC 8461) of domains that mail goes to, as all nodes know them.

CREATE TABLE mta_sts_policies (
    -- Of the recipients, in A-label form.
    domain              text PRIMARY KEY,
    policy_id           uuid NOT NULL CONSTRAINT mta_sts_policies_policy_id_key UNIQUE,
    -- The id in the TXT record that the policy was fetched for; null: none could be fetched yet.
    record_id           text,
    -- 'enforce', 'testing', 'none'
    mode                text,
    -- Names of mail exchangers, also as *.example.com.
    mx                  text[] NOT NULL DEFAULT '{}',
    max_age_seconds     integer,
    fetched_at          timestamptz,
    expires_at          timestamptz,
    -- By a delivery; written once a day.
    last_used_at        timestamptz NOT NULL,
    -- When it is to be fetched again, also without a delivery.
    refresh_at          timestamptz NOT NULL,
    -- When the last fetch failed, and why.
    failed_at           timestamptz,
    error               text,
    CHECK ((record_id IS NULL) = (mode IS NULL) AND (mode IS NULL) = (max_age_seconds IS NULL)
        AND (mode IS NULL) = (fetched_at IS NULL) AND (mode IS NULL) = (expires_at IS NULL))
);
CREATE INDEX mta_sts_policies_refresh_at ON mta_sts_policies (refresh_at);
