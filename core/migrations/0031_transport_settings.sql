-- Transports: how to log in, how connections leave, and SOCKS5.

ALTER TABLE transports
    -- SASL names; empty: whatever is safe.
    ADD COLUMN auth_mechanisms      text[] NOT NULL DEFAULT '{}',
    -- Also without verified TLS.
    ADD COLUMN insecure_auth        boolean NOT NULL DEFAULT false,
    -- PEM, the certificate first.
    ADD COLUMN client_certificate   text,
    -- PEM, sealed with the master key.
    ADD COLUMN client_key           bytea,
    -- IP addresses; empty: any.
    ADD COLUMN source_addresses     text[] NOT NULL DEFAULT '{}',
    -- In A-label form; null: that of the installation.
    ADD COLUMN ehlo_name            text,
    ADD CHECK ((client_certificate IS NULL) = (client_key IS NULL)),
    -- Host, port and login are those of the proxy.
    ADD CHECK (type <> 'socks5' OR host IS NOT NULL AND port IS NOT NULL AND tls IS NULL);
