-- A month of one account: a message each two seconds, all delivered but one of 499; each tenth has a
-- tag of a thousand, and a user of a hundred thousand in its metadata. Five events for each message.
-- {account}, {messages}, {events} and {suppressions} are replaced.

DO $$
DECLARE
    parted text;
    day date;
BEGIN
    FOREACH parted IN ARRAY ARRAY['messages', 'message_labels', 'deliveries', 'attempts', 'events'] LOOP
        FOR day IN SELECT generate_series(current_date - 30, current_date - 1, '1 day')::date LOOP
            EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                parted || to_char(day, '_YYYYMMDD'), parted,
                rpad(lpad(to_hex(extract(epoch FROM day)::bigint * 1000), 12, '0'), 32, '0')::uuid,
                rpad(lpad(to_hex(extract(epoch FROM day + 1)::bigint * 1000), 12, '0'), 32, '0')::uuid);
        END LOOP;
    END LOOP;
END $$;

CREATE FUNCTION pg_temp.id(at timestamptz, nth bigint, number integer) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000'
        || lpad(to_hex(nth), 7, '0') || lpad(to_hex(nth % 256), 2, '0')
        || lpad(to_hex(number), 3, '0'))::uuid
$$;

CREATE TEMP TABLE sent AS
SELECT nth, at, pg_temp.id(at, nth, 0) AS id,
    'user' || nth % 200000 || '@domain' || nth % 5000 || '.example' AS recipient
FROM (SELECT nth, now() - ({messages} - nth) * interval '2 s' AS at
      FROM generate_series(1, {messages}) AS nth) AS numbers;

INSERT INTO messages (account_id, message_id, created_at, door, mail_from, header_from, subject,
    internet_message_id, size_bytes, recipients, prefix, smtputf8, eight_bit, sandbox, tags, metadata)
SELECT '{account}', id, at, 'http', 'bench@example.test', 'Bench <bench@example.test>',
    'Your order ' || nth, '<' || nth || '@example.test>', 2048, 1, '', false, false, false,
    CASE WHEN nth % 10 = 0 THEN json_build_array('tag' || nth / 10 % 1000) ELSE '[]' END,
    CASE WHEN nth % 10 = 0 THEN json_build_object('user', (nth / 10)::text) ELSE '{}' END
FROM sent;

INSERT INTO message_labels (account_id, label, message_id)
SELECT '{account}', encode(substr(sha256(label::bytea), 1, 16), 'hex')::uuid, id
FROM sent CROSS JOIN LATERAL (VALUES ('tag:tag' || nth / 10 % 1000), ('metadata:user=' || nth / 10))
    AS labels (label)
WHERE nth % 10 = 0;

INSERT INTO deliveries (account_id, delivery_id, recipient, status, attempts, completed_at)
SELECT '{account}', pg_temp.id(at, nth, 1), recipient,
    CASE WHEN nth % 499 = 0 THEN 'failed' ELSE 'delivered' END, 1, at
FROM sent;

INSERT INTO attempts (account_id, delivery_id, attempt, started_at, duration_ms, outcome, mx_host,
    remote_address, tls_verification, smtp_code, enhanced_code, reply)
SELECT '{account}', pg_temp.id(at, nth, 1), 1, at, 30, 'delivered', 'mx.example', '192.0.2.1', 'none',
    250, '2.0.0', 'OK'
FROM sent;

INSERT INTO events (account_id, seq, event_id, type, occurred_at, message_id, data)
SELECT '{account}', nth, pg_temp.id(at, nth, 0),
    CASE WHEN nth % 1000000 = 5 THEN 'suppression.created' WHEN nth % 2500 = 0 THEN 'delivery.failed'
        WHEN nth % 2 = 0 THEN 'message.accepted' ELSE 'delivery.delivered' END,
    at, pg_temp.id(now() - ({messages} - nth / 5) * interval '2 s', nth / 5, 0),
    json_build_object('message_id', 'msg_0', 'recipient', 'user@domain.example', 'subject', 'Your order',
        'smtp_code', 250, 'reply', '250 2.0.0 OK')
FROM (SELECT nth, now() - ({events} - nth) * interval '400 ms' AS at
      FROM generate_series(1, {events}) AS nth) AS numbers;
UPDATE account_counters SET event_seq = {events} WHERE account_id = '{account}';

INSERT INTO suppressions (account_id, base_address, suppression_id, address, reason, created_at)
SELECT '{account}', address, pg_temp.id(now() - interval '1 day', nth, 0), address,
    CASE WHEN nth % 1000 = 0 THEN 'complaint' ELSE 'bounce' END, now() - interval '1 day'
FROM (SELECT nth, 'gone' || nth || '@domain' || nth % 5000 || '.example' AS address
      FROM generate_series(1, {suppressions}) AS nth) AS numbers;

ANALYZE messages, message_labels, deliveries, attempts, events, suppressions;
