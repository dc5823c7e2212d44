ALTER TABLE snapshots DROP COLUMN damage_msg;
ALTER TABLE snapshots DROP COLUMN verified_at;
ALTER TABLE snapshots DROP COLUMN incrementals_since_full;
