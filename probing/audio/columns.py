"""What is kept of every audio file: names of columns in the table of a cache."""

MEASURES = ("audio_seconds", "audio_level_db", "audio_bandwidth_hz", "audio_noise_floor_db")
# which file it was, kept beside the measures
STAMPS = ("file_bytes", "file_mtime_us", "file_crc32")
