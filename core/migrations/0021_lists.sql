-- Finding messages, deliveries and events among millions.

-- What messages are looked up by: their tags, and each key of their metadata with its value. A label
-- is the first half of the SHA-256 of it, made by core/src/messages/labels.rs; who looks something up
-- compares the words, too.
CREATE TABLE message_labels (
    account_id          uuid NOT NULL,
    label               uuid NOT NULL,
    message_id          uuid NOT NULL,
    PRIMARY KEY (account_id, label, message_id)
) PARTITION BY RANGE (message_id);
CREATE TABLE message_labels_default PARTITION OF message_labels DEFAULT;

INSERT INTO message_labels (account_id, label, message_id)
SELECT m.account_id, encode(substr(sha256(convert_to(l.label, 'UTF8')), 1, 16), 'hex')::uuid,
    m.message_id
FROM messages AS m CROSS JOIN LATERAL (
    SELECT 'tag:' || tag FROM json_array_elements_text(m.tags) AS t (tag)
    UNION SELECT 'metadata:' || key || '=' || value FROM json_each_text(m.metadata)
) AS l (label);

CREATE INDEX messages_stream ON messages (account_id, stream, message_id) WHERE stream IS NOT NULL;

CREATE INDEX deliveries_recipient ON deliveries (account_id, lower(recipient), delivery_id);
CREATE INDEX deliveries_domain
    ON deliveries (account_id, split_part(recipient, '@', -1), delivery_id);
-- Nearly all are delivered: these are found by going through them.
CREATE INDEX deliveries_status ON deliveries (account_id, status, delivery_id)
    WHERE status <> 'delivered' AND status <> 'relayed';

CREATE INDEX events_type ON events (account_id, type, seq);
