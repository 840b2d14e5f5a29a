-- How fast mail exchangers are used, as administrators have said; no row: as
-- core/src/queue/lane_rules/providers.json says.
CREATE TABLE lane_rules (
    -- There is one row at most.
    single              boolean PRIMARY KEY DEFAULT true CHECK (single),
    -- A list, in the order in which they are tried: core/src/queue/lane_rules/mod.rs.
    rules               jsonb NOT NULL
);
CREATE TRIGGER lane_rules_changed AFTER INSERT OR UPDATE OR DELETE ON lane_rules
    FOR EACH STATEMENT EXECUTE FUNCTION routing_changed();
