ALTER TABLE snapshots DROP COLUMN IF EXISTS damage_msg;
ALTER TABLE snapshots DROP COLUMN IF EXISTS verified_at;
ALTER TABLE snapshots DROP COLUMN IF EXISTS incrementals_since_full;
