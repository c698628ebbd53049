"""What every job has in common: files, log, journal, record."""
