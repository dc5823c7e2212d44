"""Where this site's backups go: a folder, or the bucket that the environment names (BACKSTAY_S3_URL, BACKSTAY_S3_BUCKET,
AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)."""
import os

from places import TARGET

OF_BUCKET = {"endpoint_url": "BACKSTAY_S3_URL", "bucket": "BACKSTAY_S3_BUCKET", "region_name": "AWS_DEFAULT_REGION",
             "access_key_id": "AWS_ACCESS_KEY_ID", "secret_access_key": "AWS_SECRET_ACCESS_KEY"}


def keys(section):
    """{(section, key): value} for a configuration file."""
    if "BACKSTAY_S3_BUCKET" not in os.environ:
        return {(section, "path"): TARGET}
    return {(section, "type"): "s3", **{(section, key): os.environ[name] for key, name in OF_BUCKET.items()}}
