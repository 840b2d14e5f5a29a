-- How a message is sent, and stored templates.

ALTER TABLE messages
    -- The caller's stream, if any: also the topic that suppressions are asked about.
    ADD COLUMN stream text,
    -- Null: as the policy of the recipient's domain says. False: delivered without TLS rather than
    -- not at all (RFC 8689 §3).
    ADD COLUMN require_tls boolean;

CREATE TABLE templates (
    template_id         uuid PRIMARY KEY,
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name                text NOT NULL,
    description         text NOT NULL,
    -- The version that messages use when they name none; null: none yet.
    published_version   integer,
    latest_version      integer NOT NULL,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CONSTRAINT templates_name_key UNIQUE (account_id, name)
);
CREATE INDEX templates_account ON templates (account_id, template_id);

-- What a template says. Versions never change.
CREATE TABLE template_versions (
    template_id         uuid NOT NULL REFERENCES templates ON DELETE CASCADE,
    version             integer NOT NULL,
    subject             text NOT NULL,
    text                text,
    html                text,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (template_id, version)
);
