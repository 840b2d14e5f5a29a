-- What senders want of TLS (RFC 8689), for each delivery: null, as the receiving side publishes.

ALTER TABLE queue ADD COLUMN require_tls boolean;
ALTER TABLE deliveries ADD COLUMN require_tls boolean;

ALTER TABLE queue_wishes
    -- Something else is wanted of TLS, besides the action.
    ADD COLUMN sets_require_tls boolean NOT NULL DEFAULT false,
    ADD COLUMN require_tls boolean;
