-- What the sandbox is to do wrong, of each account that has asked for it.
CREATE TABLE sandbox_faults (
    account_id          uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    -- A list, in the order in which they are tried: core/src/sandbox/faults.rs.
    faults              jsonb NOT NULL
);
