-- Finding mail: by its words, by its mailbox in order, and by conversation.

-- The words of what mails say, apart from mail_contents so that a search reads narrow rows.
CREATE TABLE mail_search (
    account_id          uuid NOT NULL,
    content_id          uuid NOT NULL,
    -- Each lexeme begins with a mark of the account, so that a search never reads the postings of
    -- others, and a letter for the field: core/src/mails/search.rs.
    words               tsvector NOT NULL,
    PRIMARY KEY (account_id, content_id),
    FOREIGN KEY (account_id, content_id) REFERENCES mail_contents ON DELETE CASCADE
) WITH (toast_tuple_target = 128);
-- Without statistics the planner takes every search for a rare one and uses the index: it does not
-- know what reading the words from beside the table costs.
ALTER TABLE mail_search ALTER COLUMN words SET STATISTICS 0;
-- New words wait in a list, which a worker sorts in: no delivery does.
CREATE INDEX mail_search_words ON mail_search USING gin (words)
    WITH (fastupdate = on, gin_pending_list_limit = 65536);

-- Text was kept for search only.
ALTER TABLE mail_contents DROP COLUMN search_text;

-- A mailbox, newest first.
CREATE INDEX mails_mailbox ON mails (account_id, mailbox_id, mail_id) WHERE NOT expunged;
-- The newest mail of a conversation.
DROP INDEX mails_thread;
CREATE INDEX mails_thread ON mails (account_id, thread_id, mail_id) WHERE NOT expunged;
