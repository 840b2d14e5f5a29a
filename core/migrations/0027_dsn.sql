-- What senders want to be told of deliveries, in the words of RFC 3461: null, they have not said.

ALTER TABLE messages
    -- 'FULL' or 'HDRS'
    ADD COLUMN dsn_ret text,
    -- Decoded.
    ADD COLUMN dsn_envid text;

ALTER TABLE queue
    -- 'NEVER', or of 'SUCCESS', 'FAILURE' and 'DELAY' those that are wanted, with commas.
    ADD COLUMN dsn_notify text,
    -- `type;address`, decoded.
    ADD COLUMN dsn_orcpt text;
ALTER TABLE deliveries
    ADD COLUMN dsn_notify text,
    ADD COLUMN dsn_orcpt text;
