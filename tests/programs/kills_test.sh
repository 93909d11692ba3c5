#!/usr/bin/env bash
# The trainer killed twenty times at random moments, by signals and by a power cut; see tests/programs/kills.
exec python3 "$(dirname "$0")/kills" 20
