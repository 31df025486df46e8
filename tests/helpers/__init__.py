"""Helpers for tests: servers, trainers, studies and commands."""
