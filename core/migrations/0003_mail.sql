-- The mail store. Lock order: account_counters, then mailboxes by id.

CREATE TABLE mailboxes (
    account_id          uuid NOT NULL,
    mailbox_id          uuid NOT NULL,
    -- Full name with '/' between levels, NFC; 'Inbox' is spelled so.
    name                text NOT NULL,
    parent_id           uuid,
    -- RFC 6154 without the backslash, lower case: 'archive', 'drafts', 'junk', 'sent', 'trash'; 'inbox'.
    role                text,
    subscribed          boolean NOT NULL DEFAULT true,
    uidvalidity         bigint NOT NULL,
    uidnext             bigint NOT NULL DEFAULT 1,
    createseq           bigint NOT NULL,
    modseq              bigint NOT NULL,
    expunged            boolean NOT NULL DEFAULT false,
    -- Counts (L6): total excludes \Deleted; unseen counts all without \Seen; unread those that are
    -- neither \Seen nor \Deleted; size_bytes counts all.
    total               bigint NOT NULL DEFAULT 0,
    deleted             bigint NOT NULL DEFAULT 0,
    unseen              bigint NOT NULL DEFAULT 0,
    unread              bigint NOT NULL DEFAULT 0,
    size_bytes          bigint NOT NULL DEFAULT 0,
    -- Dictionary of keywords. Grows, never shrinks (K17).
    keywords            text[] NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, mailbox_id)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX mailboxes_name_key ON mailboxes (account_id, name) WHERE NOT expunged;
CREATE UNIQUE INDEX mailboxes_role_key ON mailboxes (account_id, role) WHERE NOT expunged;

-- What a mail says: written once, shared by copies.
CREATE TABLE mail_contents (
    account_id          uuid NOT NULL,
    content_id          uuid NOT NULL,
    blob_hash           bytea NOT NULL,
    -- Header lines added at delivery (Delivered-To, Return-Path, Received).
    prefix              bytea NOT NULL,
    size_bytes          bigint NOT NULL,
    internet_message_id text,
    -- Base subject of RFC 5256 §2.1.
    base_subject        text NOT NULL,
    -- Parsed once: {date, subject, from, …}.
    envelope            json NOT NULL,
    -- MIME structure with octet offsets into prefix + blob.
    structure           json NOT NULL,
    preview             text NOT NULL,
    -- Text of the message, for search.
    search_text         text NOT NULL,
    attachments         json NOT NULL,
    -- How it came: {mail_from, rcpt_to, remote_address, helo, tls, …}; null for appended mail.
    reception           json,
    -- Mailing list or automatic message (FEATURES 2.4).
    list                boolean NOT NULL DEFAULT false,
    automated           boolean NOT NULL DEFAULT false,
    dsn                 boolean NOT NULL DEFAULT false,
    -- For a DSN or reply: the message of ours that it refers to.
    refers_to           uuid,
    PRIMARY KEY (account_id, content_id)
);
CREATE INDEX mail_contents_message_id ON mail_contents (account_id, internet_message_id)
    WHERE internet_message_id IS NOT NULL;
CREATE INDEX mail_contents_blob ON mail_contents (account_id, blob_hash);

-- A mail in a mailbox. Expunged rows stay as tombstones (L4).
CREATE TABLE mails (
    account_id          uuid NOT NULL,
    mail_id             uuid NOT NULL,
    mailbox_id          uuid NOT NULL,
    uid                 bigint NOT NULL,
    content_id          uuid,
    thread_id           uuid NOT NULL,
    -- Bit mask: 1 \Seen, 2 \Answered, 4 \Flagged, 8 \Deleted, 16 \Draft, 32 $Forwarded, 64 $Junk,
    -- 128 $NotJunk, 256 $Phishing, 512 $MDNSent.
    flags               integer NOT NULL DEFAULT 0,
    -- Positions, from 1, in the mailbox's dictionary of keywords.
    keywords            smallint[] NOT NULL DEFAULT '{}',
    createseq           bigint NOT NULL,
    modseq              bigint NOT NULL,
    expunged            boolean NOT NULL DEFAULT false,
    size_bytes          bigint NOT NULL,
    received_at         timestamptz NOT NULL,
    saved_at            timestamptz NOT NULL,
    PRIMARY KEY (account_id, mail_id)
);
CREATE UNIQUE INDEX mails_uid_key ON mails (account_id, mailbox_id, uid);
CREATE INDEX mails_modseq ON mails (account_id, mailbox_id, modseq);
CREATE INDEX mails_thread ON mails (account_id, thread_id) WHERE NOT expunged;
CREATE INDEX mails_content ON mails (account_id, content_id);
