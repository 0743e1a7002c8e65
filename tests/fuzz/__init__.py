"""Fuzzers: whatever is put in, pyengine gives the right answer or a pyengine.Error."""
