-- How far a snapshot is from the last full one, whatever retention merges; what its verification found.
ALTER TABLE snapshots ADD COLUMN IF NOT EXISTS incrementals_since_full INTEGER NOT NULL DEFAULT 0;
ALTER TABLE snapshots ADD COLUMN IF NOT EXISTS verified_at DATETIME(6) NULL;
ALTER TABLE snapshots ADD COLUMN IF NOT EXISTS damage_msg LONGTEXT NULL;
