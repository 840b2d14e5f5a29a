-- Reports about TLS (RFC 8460): what deliveries have met, and what we have told about it.

-- Sessions with mail exchangers, counted by day and by what came of them.
CREATE TABLE tls_results (
    -- In UTC.
    day             date NOT NULL,
    -- Of the recipients, in A-label form.
    domain          text NOT NULL,
    -- SHA-256 of policy and failure.
    key             bytea NOT NULL,
    -- 'sts', 'tlsa', 'no-policy-found'
    policy_type     text NOT NULL,
    -- The domain of the recipients; with 'tlsa' the mail exchanger.
    policy_domain   text NOT NULL,
    -- As they stand in the report; failure null: the sessions were successful.
    policy          json NOT NULL,
    failure         json,
    sessions        bigint NOT NULL,
    PRIMARY KEY (day, domain, key)
);
CREATE INDEX tls_results_hosts ON tls_results (day, policy_domain) WHERE policy_type = 'tlsa';

-- What became of the report of a day about a domain: of recipients, or the name of a mail exchanger.
CREATE TABLE tls_reports_sent (
    report_id       uuid PRIMARY KEY,
    day             date NOT NULL,
    domain          text NOT NULL,
    -- 'waiting', 'sent', 'failed', 'skipped'
    status          text NOT NULL DEFAULT 'waiting',
    -- When it is tried, or tried again; whoever tries it puts that off.
    due_at          timestamptz NOT NULL,
    attempts        smallint NOT NULL DEFAULT 0,
    -- Where it goes, and what became of that.
    destinations    json NOT NULL DEFAULT '[]',
    report          json,
    successes       bigint NOT NULL DEFAULT 0,
    failures        bigint NOT NULL DEFAULT 0,
    -- Why it failed or was skipped.
    error           text,
    completed_at    timestamptz,
    CONSTRAINT tls_reports_sent_day_domain_key UNIQUE (day, domain)
);
CREATE INDEX tls_reports_sent_due ON tls_reports_sent (due_at) WHERE status = 'waiting';

-- Where no reports are sent to, though a domain asks for it.
CREATE TABLE tls_report_suppressions (
    suppression_id  uuid PRIMARY KEY,
    -- mailto: or https:, as it stands in DNS, in lower case.
    uri             text NOT NULL CONSTRAINT tls_report_suppressions_uri_key UNIQUE,
    comment         text NOT NULL,
    -- From then on reports are sent again; null: never.
    until_at        timestamptz,
    created_at      timestamptz NOT NULL
);

-- In what way a policy could not be fetched: 'fetch', 'invalid', 'certificate'.
ALTER TABLE mta_sts_policies ADD COLUMN fault text;

-- A report that we send by ourselves: nobody is told about its delivery.
ALTER TABLE messages ADD COLUMN is_report boolean NOT NULL DEFAULT false;
