#!/usr/bin/env bash
# The trainer killed at random moments, by signals and by a power cut, twenty times on numbers and six times on pictures
# that are augmented; see tests/programs/kills.
python3 "$(dirname "$0")/kills" 20 && python3 "$(dirname "$0")/kills" --pictures 6
