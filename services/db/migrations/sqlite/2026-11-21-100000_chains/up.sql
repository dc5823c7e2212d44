-- How far a snapshot is from the last full one, whatever retention merges; what its verification found.
ALTER TABLE snapshots ADD COLUMN incrementals_since_full INTEGER NOT NULL DEFAULT 0;
ALTER TABLE snapshots ADD COLUMN verified_at TIMESTAMP NULL;
ALTER TABLE snapshots ADD COLUMN damage_msg TEXT NULL;
