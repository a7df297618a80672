"""Pushed authorization requests (RFC 9126), where django-oauth-toolkit has none of its own."""
