-- Changing mail: tombstones with their time, moves, and how far back changes are known.

ALTER TABLE mails
    -- When it was expunged; null: it is there.
    ADD COLUMN expunged_at timestamptz,
    -- In the tombstone that a move leaves in the old mailbox: the mail that went on.
    ADD COLUMN moved_mail_id uuid;
-- What expunged mails said is erased some time later, and the tombstones much later.
CREATE INDEX mails_to_erase ON mails (expunged_at) WHERE expunged AND content_id IS NOT NULL;
CREATE INDEX mails_to_forget ON mails (expunged_at) WHERE expunged AND content_id IS NULL;

ALTER TABLE mailboxes ADD COLUMN expunged_at timestamptz;

-- Tombstones up to this modseq may be forgotten: changes since an older one cannot be told.
ALTER TABLE account_counters ADD COLUMN changes_from bigint NOT NULL DEFAULT 0;
