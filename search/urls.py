"""Addresses of stores, fit to be shown."""

from __future__ import annotations


def masked(url: str) -> str:
    """Return a URL with its password, if it has one, replaced by asterisks."""
    head, at, host = url.rpartition("@")
    scheme, slashes, login = head.partition("://")
    user, colon, _ = login.partition(":")
    return f"{scheme}{slashes}{user}:***{at}{host}" if at and slashes and colon else url
