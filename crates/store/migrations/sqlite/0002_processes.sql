-- Version 2: what a second engine and several processes need has the same name in both dialects.

ALTER TABLE replays RENAME COLUMN end TO end_at; -- `end` is a word of SQL
ALTER TABLE approval_queues ADD COLUMN reseller_id BLOB;
ALTER TABLE approval_queues ADD COLUMN tenant_id BLOB;
ALTER TABLE approval_queues ADD COLUMN mode INTEGER;
UPDATE approval_queues SET (reseller_id, tenant_id, mode) = (SELECT reseller_id, tenant_id, mode FROM approvals a WHERE a.id = approval);
