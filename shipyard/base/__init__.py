"""What everything else stands on: errors, the clock, shell quoting, clean text. Imports nothing of shipyard."""
