-- Reading the audit log.

CREATE INDEX audit_log_account_id ON audit_log (account_id, audit_id);
CREATE INDEX audit_log_actor_account_id ON audit_log (actor_account_id, audit_id);
CREATE INDEX audit_log_action ON audit_log (action, audit_id);
