-- DKIM keys with states, how a domain signs, and what its checks have found in DNS.

ALTER TABLE dkim_keys
    -- 'pending': its record has not been seen; 'published': it has; 'active': it signs;
    -- 'retired': it signs no more, its record stays for what is on its way
    ADD COLUMN state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'published', 'active', 'retired')),
    -- Becomes active in place of those of its algorithm as soon as its record is seen.
    ADD COLUMN rotates boolean NOT NULL DEFAULT false,
    ADD COLUMN published_at timestamptz,
    ADD COLUMN activated_at timestamptz,
    ADD COLUMN retired_at timestamptz,
    -- The record of a retired key is needed until then.
    ADD COLUMN removable_at timestamptz;
UPDATE dkim_keys SET state = CASE WHEN active THEN 'active' ELSE 'retired' END,
    activated_at = CASE WHEN active THEN created_at END,
    retired_at = CASE WHEN NOT active THEN now() END,
    removable_at = CASE WHEN NOT active THEN now() + interval '7 days' END;
ALTER TABLE dkim_keys DROP COLUMN active;

ALTER TABLE domains
    ADD COLUMN dkim_canonicalization text NOT NULL DEFAULT 'relaxed/relaxed' CHECK
        (dkim_canonicalization IN ('relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple')),
    -- 0: signatures do not expire.
    ADD COLUMN dkim_expires_seconds integer NOT NULL DEFAULT 259200 CHECK (dkim_expires_seconds >= 0),
    -- Null: those of F2.
    ADD COLUMN dkim_oversigned text[],
    ADD COLUMN dkim_overlap_seconds integer NOT NULL DEFAULT 604800,
    ADD CONSTRAINT domains_dkim_overlap_check CHECK (dkim_overlap_seconds > dkim_expires_seconds);

CREATE TABLE domain_checks (
    domain_id           uuid PRIMARY KEY REFERENCES domains ON DELETE CASCADE,
    state               text NOT NULL DEFAULT 'unverified'
        CHECK (state IN ('unverified', 'verified', 'degraded')),
    -- As they are shown.
    checks              json NOT NULL DEFAULT '[]',
    -- Null: not checked yet.
    checked_at          timestamptz,
    due_at              timestamptz NOT NULL
);
CREATE INDEX domain_checks_due_at ON domain_checks (due_at);
INSERT INTO domain_checks (domain_id, due_at) SELECT domain_id, now() FROM domains;
