-- A Message-ID may be longer than an entry of an index (2.7 KB): its beginning finds it.
DROP INDEX mail_contents_message_id;
CREATE INDEX mail_contents_message_id ON mail_contents (account_id, left(internet_message_id, 200))
    WHERE internet_message_id IS NOT NULL;
