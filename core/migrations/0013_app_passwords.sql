-- Passwords for single devices and programs, beside the account's own.

CREATE TABLE app_passwords (
    credential_id       uuid PRIMARY KEY,
    account_id          uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name                text NOT NULL,
    -- SHA-256 of the password: it has 120 random bits, nobody guesses it from that.
    secret_hash         bytea NOT NULL,
    scram_stored_key    bytea NOT NULL,
    scram_server_key    bytea NOT NULL,
    scopes              text[] NOT NULL,
    allowed_cidrs       text[] NOT NULL,
    allowed_senders     text[] NOT NULL,
    sandbox             boolean NOT NULL,
    expires_at          timestamptz,
    last_used_at        timestamptz,
    created_at          timestamptz NOT NULL,
    CONSTRAINT app_passwords_secret UNIQUE (account_id, secret_hash)
);
CREATE INDEX app_passwords_account_id ON app_passwords (account_id, credential_id);

-- In SCRAM the server names the salt before it knows which password it is: all of an account share
-- it (decision 0018).
ALTER TABLE accounts ADD COLUMN scram_salt bytea NOT NULL DEFAULT uuid_send(gen_random_uuid());
UPDATE accounts AS a SET scram_salt = p.scram_salt FROM passwords AS p
WHERE p.account_id = a.account_id;
ALTER TABLE passwords DROP COLUMN scram_salt;
